"""The episode: the table, what a deed waits for, and that the document shows the table."""

import re
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from infusion.clinical import LabTest
from infusion.service import episode
from infusion.service.episode import (
    BASELINE,
    ELIGIBILITY,
    MAY,
    TABLE,
    Catheter,
    Deed,
    Done,
    Episode,
    Indication,
    Known,
    Phase,
    Refusal,
    Role,
    do,
    missing,
)
from infusion.units import MS_PER_HOUR
from tests.infusion.bench import T0
from tests.infusion.clinic_bench import lab

SOUND: dict[LabTest, float] = {
    "pt": 12.0,
    "inr": 1.0,
    "aptt": 30.0,
    "platelets": 250.0,
    "haemoglobin": 13.0,
}
EVERYTHING = Known(
    eligibility=dict.fromkeys(ELIGIBILITY, True),
    results=tuple(
        lab(test, value, drawn="00:00", resulted="00:30") for test, value in SOUND.items()
    ),
    catheter=Catheter(kind="PICC", placed_ms=T0, lumens=("red", "white"), heparin_lumen="red"),
    prescription_reviewed=True,
    taught_back=True,
    checked_by=frozenset({"ada", "ben"}),
)
LATER = T0 + MS_PER_HOUR


def in_phase(phase: Phase) -> Episode:
    return Episode(therapy="T-01", indication=Indication.DVT, referred_ms=T0, phase=phase)


def done(deed: Deed, role: Role | None = None) -> Done:
    chosen = role or min(MAY[deed])
    return Done(deed=deed, at_ms=LATER, by="ada", role=chosen)


def diagram() -> str:
    """The table as a mermaid state diagram; deeds that lead the same way share an arrow."""
    lines = ["stateDiagram-v2", "    [*] --> referred"]
    for before, after in product(Phase, Phase):
        deeds = [deed.value for deed in Deed if TABLE.get((before, deed)) is after]
        if deeds:
            lines.append(f"    {before.value} --> {after.value}: {', '.join(deeds)}")
    lines += [f"    {end} --> [*]" for end in (Phase.CLOSED, Phase.DECLINED)]
    return "\n".join(lines)


def test_document_shows_the_table() -> None:
    text = (Path(__file__).parents[3] / "docs" / "service.md").read_text()
    assert diagram() in re.findall(r"```mermaid\n(.*?)\n?```", text, re.DOTALL)


def test_prose_shows_the_table() -> None:
    """The head of the file has the same rows."""
    shown = {}
    for line in (episode.__doc__ or "").splitlines():
        if " > " in line:
            phase, row = line.split(maxsplit=1)
            for cell in row.split(", "):
                deed, after = cell.split(" > ")
                shown[Phase(phase), Deed(deed)] = Phase(after)
    assert shown == TABLE


@pytest.mark.parametrize(("phase", "deed"), list(product(Phase, Deed)))
def test_each_cell(phase: Phase, deed: Deed) -> None:
    """What the table names is done and written down; the rest is refused with what is possible."""
    found = do(in_phase(phase), done(deed), EVERYTHING)
    if (phase, deed) in TABLE:
        assert isinstance(found, Episode)
        assert found.phase is TABLE[phase, deed]
        assert found.log == (done(deed),)
    else:
        assert isinstance(found, Refusal)
        possible = [each for each in Deed if (phase, each) in TABLE]
        assert all(each.value in found.reasons[0] for each in possible)
        assert possible or "it is over" in found.reasons[0]


@pytest.mark.parametrize(("deed", "role"), list(product(Deed, Role)))
def test_who_may(deed: Deed, role: Role) -> None:
    phase = next(before for before, each in TABLE if each is deed)
    found = do(in_phase(phase), done(deed, role), EVERYTHING)
    assert isinstance(found, Episode) == (role in MAY[deed])
    if isinstance(found, Refusal):
        assert found.reasons[0].startswith(f"a {role} cannot {deed}; ask one of: ")


def test_nobody_at_home_starts_or_changes_a_dose() -> None:
    for deed in (Deed.START, Deed.RESUME, Deed.CHANGE):
        assert not MAY[deed] & {Role.PATIENT, Role.CAREGIVER}


@pytest.mark.parametrize("key", ELIGIBILITY)
@pytest.mark.parametrize("answer", [False, None])
def test_each_question_must_be_answered_with_yes(key: str, answer: bool | None) -> None:
    answers = {each: True for each in ELIGIBILITY if each != key}
    if answer is not None:
        answers[key] = answer
    (reason,) = missing(Deed.ACCEPT, replace(EVERYTHING, eligibility=answers), LATER)
    assert ELIGIBILITY[key] in reason
    assert ("answered with no" in reason) == (answer is not None)


@pytest.mark.parametrize("test", BASELINE)
def test_each_baseline_result_must_be_there(test: str) -> None:
    """There, with a value, before the start, and not too old."""
    others = tuple(each for each in EVERYTHING.results if each.test != test)
    (mine,) = (each for each in EVERYTHING.results if each.test == test)
    for results, word in (
        (others, "no result before the start"),
        ((*others, replace(mine, value=None, problem="clotted")), "no result"),
        ((*others, replace(mine, drawn_ms=LATER + 1)), "no result"),
        ((*others, replace(mine, drawn_ms=LATER - 72 * MS_PER_HOUR - 1)), "draw it again"),
    ):
        (reason,) = missing(Deed.START, replace(EVERYTHING, results=results), LATER)
        assert reason.startswith(test)
        assert word in reason
    edge = (*others, replace(mine, drawn_ms=LATER - 72 * MS_PER_HOUR))
    assert missing(Deed.START, replace(EVERYTHING, results=edge), LATER) == []


def test_few_platelets_are_a_question_to_the_prescriber() -> None:
    def with_count(value: float) -> Known:
        others = tuple(each for each in EVERYTHING.results if each.test != "platelets")
        return replace(
            EVERYTHING, results=(*others, lab("platelets", value, drawn="00:00", resulted="00:30"))
        )

    assert missing(Deed.START, with_count(100.0), LATER) == []
    assert "ask the prescriber" in missing(Deed.START, with_count(99.0), LATER)[0]


@pytest.mark.parametrize(
    ("known", "word"),
    [
        (replace(EVERYTHING, prescription_reviewed=False), "pharmacist"),
        (replace(EVERYTHING, taught_back=False), "taught back"),
        (
            replace(
                EVERYTHING,
                catheter=Catheter(kind="port", placed_ms=T0, lumens=("a",), heparin_lumen="b"),
            ),
            "heparin alone",
        ),
    ],
)
def test_nothing_is_prepared_without(known: Known, word: str) -> None:
    (reason,) = missing(Deed.PREPARE, known, LATER)
    assert word in reason


def test_without_a_catheter_both_are_missing() -> None:
    assert len(missing(Deed.PREPARE, replace(EVERYTHING, catheter=None), LATER)) == 2


def test_one_person_twice_is_no_double_check() -> None:
    alone = replace(EVERYTHING, checked_by=frozenset({"ada"}))
    assert "two people" in missing(Deed.START, alone, LATER)[0]


def test_time_goes_on() -> None:
    first = do(in_phase(Phase.RUNNING), done(Deed.HOLD), EVERYTHING)
    assert isinstance(first, Episode)
    early = replace(done(Deed.RESUME), at_ms=LATER - 1)
    found = do(first, early, EVERYTHING)
    assert isinstance(found, Refusal)
    assert "correct the time" in found.reasons[0]


@given(st.lists(st.sampled_from(Deed), max_size=40))
def test_whatever_is_done_heparin_runs_only_after_a_start(deeds: list[Deed]) -> None:
    """And nobody comes from hospital, or from nowhere, onto a running pump."""
    now = in_phase(Phase.REFERRED)
    for number, deed in enumerate(deeds):
        after = do(now, replace(done(deed), at_ms=LATER + number), EVERYTHING)
        if isinstance(after, Episode):
            if after.phase is Phase.RUNNING and now.phase is not Phase.RUNNING:
                assert deed in (Deed.START, Deed.RESUME)
            now = after
    written = [each.deed for each in now.log]
    if now.phase in (Phase.RUNNING, Phase.ON_HOLD, Phase.IN_HOSPITAL, Phase.STOPPED):
        assert written[0] is Deed.ACCEPT
        assert Deed.PREPARE in written[: written.index(Deed.START)]
