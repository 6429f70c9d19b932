"""The forms as data: they ask for what is taken, in the words that are read, within its limits."""

from typing import get_args

import pytest

from infusion.clinical import LAB_UNITS, LabTest
from infusion.prescription import STEPS_MAX
from infusion.report_words import read_words
from monitor.people import ALL_ROLES, read_scopes
from monitor.web.api.forms import Form, forms, longest
from monitor.web.api.proposals import OrderBody
from monitor.web.api.therapies import ReportBody, ResultBody

ALL = {name: getattr(forms(), name) for name in forms().__struct_fields__}


def choices(form: Form, name: str) -> list[str]:
    """What a field may send."""
    return [each.value for field in form.fields if field.name == name for each in field.choices]


@pytest.mark.parametrize("name", list(ALL))
def test_a_form_is_whole(name: str) -> None:
    """Names are its own, what a choice shows is there, and only a choice has choices."""
    form = ALL[name]
    names = [field.name for field in form.fields]
    assert len(set(names)) == len(names)
    assert form.verb
    for field in form.fields:
        assert bool(field.choices) == (field.kind == "choice")
        assert field.label
        assert field.unit_of in ("", *names)
        for choice in field.choices:
            assert set(choice.shows) <= set(names)
    for field in form.fields:
        # A field of free text knows its limit, or the server would have the first word about it.
        if field.kind in ("text", "lines"):
            assert field.max > 0, field.name


def test_tests_have_the_units_of_the_contract() -> None:
    """As it writes them; what is read beside the value is the same unit."""
    (test,) = (field for field in forms().result.fields if field.name == "test")
    assert {each.value: each.code for each in test.choices} == LAB_UNITS
    assert choices(forms().result, "test") == list(get_args(LabTest))


def test_every_report_is_a_word_that_is_read() -> None:
    """None of them is a complaint that nobody has a word for."""
    unknown = read_words("zzz").kind
    for word in choices(forms().report, "what"):
        assert (read_words(word).kind == unknown) == (word == "other"), word


def test_limits_are_those_of_what_takes_it() -> None:
    """By the Structs themselves."""
    assert longest(ReportBody, "what") == 64
    assert longest(ResultBody, "specimen") == 64
    assert longest(OrderBody, "text") == 256
    assert longest(OrderBody, "steps") == 0 < STEPS_MAX
    severities = choices(forms().report, "severity")
    (detail,) = (field for field in forms().report.fields if field.name == "detail")
    whole = max(len(each) for each in severities) + len(": ") + detail.max
    assert whole <= longest(ReportBody, "detail")


def test_roles_and_scopes_can_be_given() -> None:
    assert set(choices(forms().person, "roles")) == set(ALL_ROLES)
    for scopes in choices(forms().token, "scopes"):
        read_scopes(scopes.split(","), ALL_ROLES)
