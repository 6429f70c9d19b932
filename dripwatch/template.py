"""The template of `dripwatch scenario new`, made from the Structs, so that it is never out of date.

Each table and each word after `do` has a block that is commented out by one `#`; what may be left
out is commented out by another. Without the first `#` every block is a valid table.
"""

import inspect
import textwrap
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct, structs

from infusion.errors import ConfigError
from simulator.story.actions import ACTIONS
from simulator.story.entries import Entry, Expectation, Patient
from simulator.story.faults import FAULTS
from simulator.story.orders import ORDERS
from simulator.story.patient_events import PATIENT_EVENTS
from simulator.story.reading import Offset
from simulator.story.scenario import Header, read_scenario

_HEAD = """\
# A scenario for dripwatch, to be filled in. For testing and training only; nothing here is
# clinical advice.
#
# A line that begins with # is not read. What stands above the first [[table]] is about the whole;
# below, each [[table]] is one thing, and you may have as many as you like, in any order. To use a
# block from the list at the end, copy it and take away the first # of each of its lines that has
# no space after it; a line with "# #" may stay out, and loses both if you need it.
#
# Times are "HH:MM" or "HH:MM:SS" from the start. A pump is "P-01", a list such as
# ["P-01", "P-02"], or "all" (but one pump in [[patient]] and [[expect]]).
#
#   dripwatch scenario check FILE         says what is wrong, and where
#   dripwatch scenario show FILE          tells the story in plain words
#   dripwatch up --scenario FILE          runs it

title = "My scenario"
description = "P-01: the line closes, and somebody sees to it."
pumps = 3
duration = "00:30"
quiet = true
"""
_STORY = """
[[patient]]
pump = "P-01"
weight_kg = 80
dose_iu_kg_h = 15

[[fault]]
at = "00:04"
until = "00:12"
pump = "P-01"
do = "occlusion"

[[action]]
at = "00:13"
pump = "P-01"
do = "restart"

[[expect]]
pump = "P-01"
rule = "downstream-occlusion"
raised = ["00:04", "00:09"]
cleared_by = "00:15"
"""
_TABLES: tuple[tuple[str, str, Mapping[str, type[Entry]]], ...] = (
    ("fault", "Something breaks.", FAULTS),
    ("action", "Somebody does something at the pump.", ACTIONS),
    ("order", "The prescriber changes the order.", ORDERS),
    ("event", "Something befalls a patient or the laboratory.", PATIENT_EVENTS),
)
# Times that follow one another, and words, where the type alone gives no good example.
_EXAMPLES: dict[str, str] = {
    "at": '"00:10"',
    "until": '"00:20"',
    "since": '"00:02"',
    "upto": '"00:05"',
    "as_pump": '"P-02"',
    "protocol": '"home-heparin"',
    "pump": '"P-01"',
    "therapy": '"T-01"',
    "raised": '["00:10", "00:15"]',
    "cleared_by": '"00:20"',
    "rule": '"downstream-occlusion"',
    "priority": '"high"',
    "applied_after": '"00:05"',
    "carer": '"home"',
    "weight_kg": "80",
    "dose_iu_kg_h": "15",
    "dose_iu_h": "1200",
    "dose_iu": "2000",
    "duration_s": "600",
    "concentration_iu_ml": "100",
    "programmed_iu_ml": "50",
    "volume_ml": "50",
    "reservoir_ml": "250",
    "rate_ml_h": "12",
    "factor": "10",
    "minutes": "30",
    "user": '"nurse-1"',
    "first_user": '"nurse-1"',
    "second_user": '"nurse-2"',
    "level": "0.5",
}


def template_text() -> str:
    """The whole file."""
    parts = [_HEAD, _header(), _STORY, _rule("Everything that a scenario can say")]
    parts.append(_block("patient", None, Patient))
    for table, words, kinds in _TABLES:
        parts.append(_rule(f"[[{table}]]: {words} do = {', '.join(kinds)}"))
        parts += [_block(table, word, kind) for word, kind in kinds.items()]
    parts.append(_rule("[[expect]]"))
    parts.append(_block("expect", None, Expectation))
    return "\n".join(parts)


def _header() -> str:
    """What else may stand above the tables, with its docstring."""
    told = {"title", "description", "pumps", "duration", "quiet"}
    fields = [field for field in structs.fields(Header) if field.name not in told]
    lines = [f"# {line}" for line in _explained(Header)]
    return "\n".join([*lines, *(f"# {_pair(Header, field)}" for field in fields), ""])


def _rule(text: str) -> str:
    return "\n".join(["", "# " + "-" * 96, *(f"# {line}" for line in _wrapped(text))])


def _block(table: str, word: str | None, kind: type[Struct]) -> str:
    lines = [f"#   {line}" for line in _explained(kind)]
    lines.append(f"#[[{table}]]")
    if word is not None:
        lines.append(f'#do = "{word}"')
    needed = needed_keys(table, word, kind)
    for field in structs.fields(kind):
        mark = "#" if field.name in needed else "# #"
        lines.append(f"{mark}{_pair(kind, field)}")
    return "\n".join(["", *lines])


def needed_keys(table: str, word: str | None, kind: type[Struct]) -> set[str]:
    """The keys without which the reader refuses a table: those it requires, and one of a choice.

    Raises ConfigError where no single further key makes the table valid.
    """
    fields = structs.fields(kind)
    required = {field.name for field in fields if field.required}
    found = None
    for extra in (set(), *({field.name} for field in fields if not field.required)):
        text = "\n".join(_pair(kind, field) for field in fields if field.name in required | extra)
        do = "" if word is None else f'do = "{word}"\n'
        try:
            read_scenario(f"[[{table}]]\n{do}{text}\n".encode(), "template")
        except ConfigError as error:
            found = error
            continue
        return required | extra
    raise ConfigError(f"the template has no example of [[{table}]] {word}: {found}")


def _pair(kind: type[Struct], field: structs.FieldInfo) -> str:
    return f"{field.encode_name} = {_EXAMPLES.get(field.name) or _example(kind, field)}"


def _example(kind: type[Struct], field: structs.FieldInfo) -> str:
    """A value that the type allows: its default, its first word, or a number within its bounds."""
    if isinstance(field.default, bool):
        return str(field.default).lower()
    if isinstance(field.default, int | float):
        return f"{field.default:g}"
    if isinstance(field.default, str):
        return f'"{field.default}"'
    info = msgspec.inspect.type_info(field.type)
    if isinstance(info, msgspec.inspect.UnionType):
        info = info.types[0]
    return _typed(kind, field, info)


def _typed(kind: type[Struct], field: structs.FieldInfo, info: Any) -> str:
    if isinstance(info, msgspec.inspect.CustomType) and info.cls is Offset:
        return '"00:15"'
    if isinstance(info, msgspec.inspect.LiteralType):
        return f'"{info.values[0]}"'
    if isinstance(info, msgspec.inspect.FloatType | msgspec.inspect.IntType):
        least = info.ge if info.ge is not None else info.gt
        most = info.le if info.le is not None else info.lt
        if least is None or most is None:
            return "1"
        return f"{least + 1 if most > least + 1 else (least + most) / 2:g}"
    if isinstance(info, msgspec.inspect.BoolType):
        return "true"
    if isinstance(info, msgspec.inspect.StrType):
        return '"some-word"'
    if isinstance(info, msgspec.inspect.StructType):
        # In one line, so that the block stays one table.
        inner = structs.fields(info.cls)
        return f"{{{', '.join(_pair(info.cls, each) for each in inner)}}}"
    if isinstance(info, msgspec.inspect.VarTupleType):
        one = _typed(kind, field, info.item_type)
        return f"[{', '.join([one] * max(1, info.min_length or 0))}]"
    raise ConfigError(f"the template has no example for {kind.__name__}.{field.name}")


def _explained(kind: type[Struct]) -> list[str]:
    return _wrapped(inspect.getdoc(kind) or "")


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), 92)
