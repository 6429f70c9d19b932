"""A unit test of the source tree: the habits that ruff and mypy cannot check.

Each habit is a small function from source to offences; it is first shown a planted offence, so
that a check that finds nothing is known to be one that could have found something.
"""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("infusion", "link", "simulator", "monitor", "dripwatch")
FOLDERS = (*ROOMS, "tests", "benchmarks", "config", "docs", ".ci")
TEXT_ENDINGS = {"", ".py", ".toml", ".md", ".yml", ".conf", ".example", ".json", ".js", ".css"}

CACHES = {"__pycache__", ".ruff_cache", ".mypy_cache", ".pytest_cache", "node_modules"}

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 400
# Sentences and no logic: one file, so that the words of all alerts are reviewed together.
TEXT_FILES = {"infusion/texts.py"}

# First folders that mean the same on every Debian; a path below another one names one machine.
STANDARD_FOLDERS = {"bin", "dev", "etc", "lib", "opt", "proc", "run", "sbin", "srv", "usr", "var"}
MACHINE_FOLDERS = {"home", "root", "tmp", "Users", ROOT.parts[1]} - STANDARD_FOLDERS
# The lookbehind keeps URLs, globs and relative paths out.
MACHINE_PATH = re.compile(r"(?<![\w.*}/-])/(?:" + "|".join(sorted(MACHINE_FOLDERS)) + r")/\w")
# Put together from halves, so that this line does not find itself.
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
MARKDOWN_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)")

Check = Callable[[ast.AST], Iterator[int]]


def long_functions(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            if node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX:
                yield node.lineno


def relative_imports(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level > 0:
            yield node.lineno


def patches(tree: ast.AST) -> Iterator[int]:
    """A test talks to real things; only environment and working folder may be set for it."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names) if any(n.name == "unittest.mock" for n in names):
                yield node.lineno
            case ast.ImportFrom(module="unittest", names=names) if names[0].name == "mock":
                yield node.lineno
            case ast.ImportFrom(module="unittest.mock"):
                yield node.lineno
            case ast.Attribute(attr="setattr" | "setitem", value=ast.Name(id="monkeypatch")):
                yield node.lineno


def swallowed_errors(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        match node:
            case ast.ExceptHandler(type=caught, body=[only]) if _is_everything(
                caught
            ) and _does_nothing(only):
                yield node.lineno
            case ast.Call(
                func=ast.Name(id="suppress") | ast.Attribute(attr="suppress"), args=caught_ones
            ) if any(_is_everything(caught) for caught in caught_ones):
                yield node.lineno


def _is_everything(caught: ast.expr | None) -> bool:
    match caught:
        case None | ast.Name(id="Exception" | "BaseException"):
            return True
        case ast.Tuple(elts=elements):
            return any(_is_everything(element) for element in elements)
    return False


def _does_nothing(statement: ast.stmt) -> bool:
    match statement:
        case ast.Pass() | ast.Continue() | ast.Expr(value=ast.Constant()):
            return True
    return False


CHECKS: dict[Check, str] = {
    long_functions: "def f():\n" + "    x = 1\n" * FUNCTION_LINES_MAX,
    relative_imports: "from .units import x",
    patches: "monkeypatch.setattr(link, 'connect', None)",
    swallowed_errors: "try:\n    f()\nexcept Exception:\n    pass",
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_no_python_file_has(check: Check) -> None:
    assert list(check(ast.parse(CHECKS[check]))), "the planted offence was not found"
    offences = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in files({".py"})
        for line in check(ast.parse(path.read_bytes()))
    ]
    assert offences == []


@pytest.mark.parametrize(
    "planted",
    [
        "from unittest import mock",
        "from unittest.mock import patch",
        "import unittest.mock",
    ],
)
def test_every_way_to_a_mock_is_found(planted: str) -> None:
    assert list(patches(ast.parse(planted)))


@pytest.mark.parametrize(
    "planted",
    [
        "try:\n    f()\nexcept:\n    ...",
        "try:\n    f()\nexcept (OSError, BaseException):\n    pass",
        "with contextlib.suppress(Exception):\n    f()",
    ],
)
def test_every_way_to_swallow_an_error_is_found(planted: str) -> None:
    assert list(swallowed_errors(ast.parse(planted)))


def test_a_named_error_may_be_let_go() -> None:
    assert not list(swallowed_errors(ast.parse("try:\n    f()\nexcept OSError:\n    pass")))


def test_no_file_of_a_room_is_long() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in files({".py"}, ROOMS)
    }
    assert lengths.keys() >= TEXT_FILES
    lengths = {path: n for path, n in lengths.items() if path not in TEXT_FILES}
    assert {path: n for path, n in lengths.items() if n > FILE_LINES_MAX} == {}


@pytest.mark.parametrize(
    ("pattern", "planted"),
    [(MACHINE_PATH, f"cd '/{'home'}/nurse'"), (UNFINISHED, f"# {'TO' + 'DO'}: later")],
    ids=["paths of one machine", "unfinished work"],
)
def test_no_file_names(pattern: re.Pattern[str], planted: str) -> None:
    assert pattern.search(planted), "the planted offence was not found"
    offences = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files(TEXT_ENDINGS)
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if pattern.search(line)
    ]
    assert offences == []


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "LICENSE"])
def test_the_documents_of_the_top_level_are_there(name: str) -> None:
    assert (ROOT / name).read_text().strip()


def test_every_link_between_documents_leads_somewhere() -> None:
    broken = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in files({".md"})
        for target in MARKDOWN_LINK.findall(path.read_text())
        if not (path.parent / target).exists()
    ]
    assert broken == []


def files(endings: set[str], folders: tuple[str, ...] = FOLDERS) -> Iterator[Path]:
    """The project's own files with these endings: the top level (for all folders) and `folders`."""
    top = ROOT.iterdir() if folders is FOLDERS else iter(())
    below = (path for folder in folders for path in (ROOT / folder).rglob("*"))
    for path in (*top, *below):
        is_cache = any(part in CACHES for part in path.relative_to(ROOT).parts)
        if path.is_file() and path.suffix in endings and not is_cache:
            yield path
