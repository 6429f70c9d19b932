"""The forms of the page as data: labels, choices, units, hints and limits, in one place.

The page draws what it is given here. Choices and limits are those of the Structs that take what is
typed, so that a form cannot ask for what would be refused, nor let in more than is kept.
"""

import re
from functools import cache
from typing import Literal, get_args

import msgspec
from msgspec import Struct, inspect

from infusion.clinical import LAB_UNITS, LabTest
from monitor.people import ALL_ROLES, TOKEN_DAYS, TOKEN_DAYS_MAX
from monitor.web.api.office import Office
from monitor.web.api.proposals import OrderBody
from monitor.web.api.therapies import ReportBody, ResultBody
from monitor.web.operations import PREFIX, Call, Nothing, Operation
from monitor.web.sign_in import NewPassword, NewToken, NewUser

_REST = re.compile(r"\{0,(\d+)\}\$")

Kind = Literal["text", "number", "time", "password", "lines", "choice"]

# How bad a bleeding is stands before the detail, and takes so much of its room.
SEVERITY_LENGTH_MAX = 32


class Choice(Struct, frozen=True, omit_defaults=True):
    """One choice: what is sent, what is read, the unit of what goes with it and how the contract
    writes that unit, and which fields are shown with it."""

    value: str
    text: str
    unit: str = ""
    code: str = ""
    shows: tuple[str, ...] = ()


class Field(Struct, frozen=True, omit_defaults=True):
    """One field. `unit_of` names the field whose choice tells the unit; `max` is in characters."""

    name: str
    label: str
    kind: Kind = "text"
    choices: tuple[Choice, ...] = ()
    unit: str = ""
    unit_of: str = ""
    hint: str = ""
    value: str = ""
    optional: bool = False
    max: int = 0


class Form(Struct, frozen=True):
    """The fields of a form, and the word on its button. A field that choices show is shown with
    these choices alone."""

    verb: str
    fields: tuple[Field, ...]


class Forms(Struct, frozen=True):
    """All forms."""

    result: Form
    report: Form
    order: Form
    first_order: Form
    person: Form
    token: Form
    password: Form


def longest(body: type[Struct], name: str) -> int:
    """How many characters a field of a body takes; 0 where it says no limit."""
    field = next(each for each in msgspec.structs.fields(body) if each.name == name)
    kind = inspect.type_info(field.type)
    kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    return max((_length(each) for each in kinds if isinstance(each, inspect.StrType)), default=0)


def _length(kind: inspect.StrType) -> int:
    """The length of a name stands in its pattern: one character, and so many more."""
    if kind.max_length is not None:
        return kind.max_length
    return 1 + int(found[1]) if (found := _REST.search(kind.pattern or "")) else 0


def _choices(texts: dict[str, str]) -> tuple[Choice, ...]:
    return tuple(Choice(value, text) for value, text in texts.items())


_TESTS: dict[LabTest, tuple[str, str]] = {
    "anti-xa": ("anti-Xa", "IU/mL"),
    "aptt": ("aPTT", "s"),
    "platelets": ("platelets", "·10⁹/L"),
    "haemoglobin": ("haemoglobin", "g/dL"),
    "inr": ("INR", ""),
    "pt": ("PT", "s"),
}
_RESULT = Form(
    "Enter the result",
    (
        Field(
            "test",
            "Test",
            "choice",
            tuple(
                Choice(test, name, unit, LAB_UNITS[test]) for test, (name, unit) in _TESTS.items()
            ),
        ),
        Field(
            "bound",
            "The value is",
            "choice",
            _choices({"": "as written", "below": "below (<)", "above": "above (>)"}),
            optional=True,
        ),
        Field("value", "Value", "number", unit_of="test", optional=True),
        Field(
            "problem",
            "Problem",
            hint="Why there is no value: clotted, haemolysed, lost.",
            optional=True,
            max=longest(ResultBody, "problem"),
        ),
        Field(
            "specimen",
            "Specimen",
            hint="The number on the tube. Entered again, the later result holds.",
            max=longest(ResultBody, "specimen"),
        ),
        Field(
            "drawn_ms",
            "Drawn at",
            "time",
            hint="When the blood was taken: it is held against the dose of that time.",
        ),
        Field("resulted_ms", "Result came at", "time", hint="Now, if left empty.", optional=True),
    ),
)

# What is sent are words that infusion/report_words.py reads, by what they are about.
_BLEEDINGS = {
    "bleeding": "Bleeding",
    "nosebleed": "Nosebleed",
    "blood in urine": "Blood in urine",
    "melaena": "Blood in stool (melaena)",
    "bruising": "Bruising, haematoma",
}
_EVENTS = {
    "bleeding over": "Bleeding is over",
    "pain at the site": "Site: pain",
    "redness at the site": "Site: redness",
    "swelling at the site": "Site: swelling",
    "leak at the site": "Site: leak",
    "site pain redness swelling leak resolved": "Site: well again",
    "fever": "Fever",
    "fever over": "Fever is over",
    "chest pain": "Chest pain",
    "breathlessness": "Breathlessness",
    "fall": "Fall",
    "visit done": "Visit done",
    "dressing changed": "Dressing changed",
    "supplies low": "Supplies low",
    "supplies delivered": "Supplies delivered",
}
_REPORT = Form(
    "Send the report",
    (
        Field(
            "what",
            "What",
            "choice",
            (
                *(Choice(value, text, shows=("severity",)) for value, text in _BLEEDINGS.items()),
                *_choices(_EVENTS),
                Choice("other", "Something else", shows=("words",)),
            ),
        ),
        Field(
            "severity",
            "How bad",
            "choice",
            _choices(
                {
                    "minor": "minor: stops by itself",
                    "clinically relevant": "clinically relevant: needs care",
                    "major": "major: heavy, or in a critical place",
                }
            ),
        ),
        Field("words", "In a few words", max=longest(ReportBody, "what")),
        Field(
            "detail",
            "More",
            "lines",
            optional=True,
            max=longest(ReportBody, "detail") - SEVERITY_LENGTH_MAX,
        ),
        Field("time_ms", "When", "time", hint="Now, if left empty.", optional=True),
    ),
)

_RATE = (
    Field("amount", "Rate", "number"),
    Field("unit", "Unit", "choice", _choices({"rate_iu_kg_h": "IU/kg/h", "rate_iu_h": "IU/h"})),
)
_WEIGHT = Field("weight_kg", "Weight", "number", unit="kg")
_BAG = Field("concentration_iu_ml", "Concentration", "number", unit="IU/mL")
_AT = Field(
    "at_ms",
    "From",
    "time",
    hint="In 5 minutes, if left empty: until then a second person can check it.",
    optional=True,
)
_WHY = Field("text", "Why", "lines", optional=True, max=longest(OrderBody, "text"))
_ORDER = Form(
    "Propose",
    (
        Field(
            "kind",
            "What changes",
            "choice",
            (
                Choice("rate", "New rate", shows=("amount", "unit", "at_ms")),
                Choice("hold", "Hold the infusion", shows=("at_ms", "until_ms")),
                Choice("bolus", "Bolus", shows=("dose_iu", "minutes", "at_ms")),
                Choice("stop", "Stop the therapy", shows=("at_ms",)),
                Choice("weight", "Weight", shows=("weight_kg", "keep")),
                Choice("bag", "Concentration of the bag", shows=("concentration_iu_ml",)),
            ),
        ),
        *_RATE,
        Field("dose_iu", "Dose", "number", unit="IU"),
        Field("minutes", "Given over", "number", unit="min", value="10"),
        _WEIGHT,
        Field(
            "keep",
            "The rate",
            "choice",
            _choices(
                {
                    "kg": "keeps its IU/kg/h, so it follows the weight",
                    "h": "keeps its IU/h",
                }
            ),
        ),
        _BAG,
        _AT,
        Field("until_ms", "Until", "time"),
        _WHY,
    ),
)
_FIRST_ORDER = Form(
    "Propose",
    (
        Field(
            "kind",
            "What changes",
            "choice",
            (Choice("rate", "First order: begin with a rate"),),
        ),
        *_RATE,
        _WEIGHT,
        _BAG,
        _AT,
        _WHY,
    ),
)

_ROLES = {
    "nurse": "nurse",
    "pharmacist": "pharmacist",
    "viewer": "viewer",
    "admin": "admin: looks after people",
}
assert set(_ROLES) == set(ALL_ROLES), "each role can be given"
_PERSON = Form(
    "Add",
    (
        Field("name", "Name", max=longest(NewUser, "name")),
        Field("roles", "Role", "choice", _choices(_ROLES)),
        Field("password", "Password", "password", hint="They can change it here."),
    ),
)
_TOKEN = Form(
    "Make a token",
    (
        Field(
            "scopes",
            "It may",
            "choice",
            _choices(
                {
                    "read": "read: look",
                    "read,act": "read and act on alerts",
                    "read,result,report": "enter results and reports",
                    "metrics": "metrics only",
                }
            ),
        ),
        Field(
            "days",
            "For",
            "choice",
            _choices(
                {
                    f"{TOKEN_DAYS}": f"{TOKEN_DAYS} days",
                    "7": "7 days",
                    "90": "90 days",
                    f"{TOKEN_DAYS_MAX}": "a year",
                }
            ),
        ),
        Field("note", "Note", hint="Which program it is for.", max=longest(NewToken, "note")),
    ),
)
_PASSWORD = Form(
    "Change the password",
    (
        Field("old", "Old password", "password", max=longest(NewPassword, "old")),
        Field("new", "New password", "password", max=longest(NewPassword, "new")),
    ),
)


@cache
def forms() -> Forms:
    """All of them."""
    assert set(_TESTS) == set(get_args(LabTest)), "each test can be entered"
    return Forms(_RESULT, _REPORT, _ORDER, _FIRST_ORDER, _PERSON, _TOKEN, _PASSWORD)


async def show_forms(_office: Office, _call: Call[Nothing]) -> Forms:
    """What can be entered: each form with its fields, choices, units and limits, for a page."""
    return forms()


OPERATIONS = (Operation(method="GET", path=f"{PREFIX}/forms", handler=show_forms, answer=Forms),)
