"""What holds for every script of the page: types, no way from text to markup, nothing from afar."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import monitor.web

STATIC = Path(monitor.web.__file__).parent / "static"
SCRIPTS = sorted(STATIC.glob("*.js"))
TSC = shutil.which("tsc")
TYPES = ("--checkJs", "--strict", "--noEmit", "--target", "es2022", "--module", "es2022",
         "--moduleResolution", "bundler", "--lib", "es2023,dom,dom.iterable")  # fmt: skip
# What would make markup or code of a text, or style a node past the policy.
FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment"
    r"|srcdoc|\beval\(|new Function|setAttribute\(\"(?:style|on)|javascript:"
)
# An address of another host; the name of the SVG vocabulary is no address.
ELSEWHERE = re.compile(r"(?:https?:)?//(?!www\.w3\.org/2000/svg)[a-z0-9-]+\.[a-z]")


def offences(text: str) -> list[str]:
    """What a file must not hold."""
    return [found.group() for pattern in (FORBIDDEN, ELSEWHERE) for found in pattern.finditer(text)]


def test_the_check_would_find_something() -> None:
    """Planted offences are found, and what is allowed is not."""
    assert offences('node.innerHTML = name; import "https://cdn.example/x.js"; eval(a)') == [
        *("innerHTML", "eval("),
        "https://cdn.e",
    ]
    assert offences('"http://www.w3.org/2000/svg" // a remark') == []


@pytest.mark.parametrize("path", sorted(STATIC.iterdir()), ids=lambda path: path.name)
def test_no_text_becomes_markup_and_nothing_comes_from_afar(path: Path) -> None:
    """By what is written; the browser's policy refuses the rest."""
    assert offences(path.read_text()) == []


@pytest.mark.skipif(
    TSC is None, reason="there is no tsc on this machine: npm install -g typescript"
)
def test_types() -> None:
    """tsc finds nothing wrong with the scripts and their JSDoc."""
    assert TSC is not None
    command = [TSC, *TYPES, *map(str, SCRIPTS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout
