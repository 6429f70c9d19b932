"""The 4Ts by the table, events out of reports, the guide, who is on call."""

from datetime import datetime
from itertools import product
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infusion.alarms import DEVICE_ALARMS
from infusion.clinical import Report
from infusion.errors import ConfigError
from infusion.four_ts import score
from infusion.service.complications import adverse_events, topic_of
from infusion.service.guide import COMPLAINTS, read_guide
from infusion.service.rota import Rota, Shift, on_call, read_rota
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE
from monitor.zones import offsets
from tests.infusion.bench import T0
from tests.infusion.clinic_bench import report

CONFIG = Path(__file__).parents[3] / "config"
GUIDE_FILE = CONFIG / "guides" / "home-pump.toml"
ROTA_FILE = CONFIG / "rotas" / "example.toml"
CHICAGO = offsets("America/Chicago")


# --- 4Ts (heparin.md §4.2, ASH 2018) --------------------------------------------------------------


@pytest.mark.parametrize(
    ("fall", "nadir", "points"),
    [
        (0.51, 20, 2),
        (0.51, 19.9, 1),
        (0.50, 80, 1),
        (0.30, 100, 1),
        (0.29, 100, 0),
        (0.60, 10, 1),
        (0.60, 9.9, 0),
    ],
)
def test_points_of_the_fall(fall: float, nadir: float, points: int) -> None:
    assert score(fall=fall, nadir_g_l=nadir, day=0).fall == points


@pytest.mark.parametrize(
    ("day", "ago", "points"),
    [
        (4, None, 0),
        (5, None, 2),
        (10, None, 2),
        (11, None, 1),
        (1, 30, 2),
        (1, 31, 1),
        (0, 100, 1),
        (1, 101, 0),
        (2, 10, 0),
    ],
)
def test_points_of_the_timing(day: int, ago: float | None, points: int) -> None:
    assert score(fall=0, nadir_g_l=99, day=day, exposed_days_ago=ago).timing == points


def test_likelihood_and_what_is_open() -> None:
    """0 to 3 low, 4 and 5 intermediate, 6 to 8 high: the cuts are from memory [M]."""
    found = {}
    for clot, cause in product(("none", "suspected", "new"), ("definite", "possible", "none")):
        ts = score(fall=0.6, nadir_g_l=50, day=7, clot=clot, cause=cause)  # type: ignore[arg-type]
        assert ts.open_points == 0
        found[ts.points] = ts.likelihood
    assert found == {
        4: "intermediate",
        5: "intermediate",
        6: "high",
        7: "high",
        8: "high",
    }
    unknown = score(fall=0.4, nadir_g_l=99, day=12)
    assert (unknown.points, unknown.open_points, unknown.likelihood) == (2, 2, "low")


# --- events ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "topic"),
    [
        ("nosebleed", "bleeding"),
        ("bruises", "bruising"),
        ("fever", "sepsis"),
        ("site-redness", "site"),
        ("no blood return", "catheter"),
        ("chest pain", "clot"),
        ("swollen leg, thrombosis", "clot"),
        ("rash", "allergy"),
        ("confused", "stroke"),
        ("fell", "fall"),
        ("nausea", "other"),
        ("tingling", "other"),
        ("admitted to hospital", "hospital"),
        ("visit", None),
        ("supplies-low", None),
        ("bag-changed", None),
    ],
)
def test_topics(what: str, topic: str | None) -> None:
    assert topic_of(what) == topic
    assert topic is None or topic in COMPLAINTS


def test_an_event_is_told_again_gets_worse_and_ends_by_a_word() -> None:
    events = adverse_events(
        [
            report("nausea", "01:00"),
            report("site pain", "02:00"),
            report("site-redness", "03:00", by="nurse-1"),
            report("fever", "04:00"),
            report("site pain over", "05:00"),
            report("site swollen", "06:00"),
            report("no bleeding", "07:00"),
        ]
    )
    assert [(e.topic, e.severity, e.is_open, len(e.reports)) for e in events] == [
        ("other", "needs-a-call", True, 1),
        ("site", "needs-a-call", False, 3),
        ("sepsis", "needs-a-call", True, 1),
        ("site", "needs-a-call", True, 1),
    ]
    assert events[1].by == ("patient", "nurse-1")
    assert events[1].over_ms == T0 + 5 * MS_PER_HOUR


def test_what_gets_worse_is_as_urgent_as_the_worst() -> None:
    (event,) = adverse_events([report("pain", "01:00"), report("pain, necrosis", "02:00")][:1])
    assert event.severity == "needs-a-call"
    (bleeding,) = adverse_events([report("bleeding", "01:00"), report("bleeding over", "01:30")])
    assert (bleeding.severity, bleeding.is_open) == ("sign-of-danger", False)


words = st.sampled_from(["fever", "fever over", "bleeding", "no bleeding", "visit", "pain", "leak"])


@given(st.lists(st.tuples(words, st.integers(0, 600)), max_size=12))
def test_each_complaint_is_in_one_event_whatever_the_order(
    said: list[tuple[str, int]],
) -> None:
    reports = [
        Report(therapy="T", report=f"R{n:02}", what=what, by="x", time_ms=T0 + at * MS_PER_MINUTE)
        for n, (what, at) in enumerate(said)
    ]
    events = adverse_events(reports)
    assert adverse_events(list(reversed(reports))) == events
    named = [name for event in events for name in event.reports]
    assert len(named) == len(set(named))
    complaints = {r.report for r in reports if r.what in ("fever", "bleeding", "pain", "leak")}
    assert complaints <= set(named)
    for topic in COMPLAINTS:
        assert sum(event.is_open for event in events if event.topic == topic) <= 1


# --- the guide ------------------------------------------------------------------------------------


def test_every_alarm_and_complaint_has_a_page_that_can_be_read() -> None:
    guide = read_guide(GUIDE_FILE.read_bytes(), GUIDE_FILE.name)
    assert set(guide.alarm) == set(DEVICE_ALARMS)
    assert set(guide.complaint) == set(COMPLAINTS)
    for key in (*guide.alarm, *guide.complaint):
        page = guide.page(key)
        assert page is not None
        assert all(step.endswith((".", "?")) and len(step.split()) <= 25 for step in page.steps)
    assert guide.page("hiccups") is None


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[alarm.callback]", "[alarm.call-back]", "[alarm.callback] is missing"),
        ("[complaint.other]", "[alarm.other]", "[alarm.other] is unknown"),
        ('call = "at-once"', 'call = "soon"', "key 'call'"),
    ],
)
def test_a_guide_with_a_hole_is_refused(old: str, new: str, words: str) -> None:
    text = GUIDE_FILE.read_text().replace(old, new, 1)
    with pytest.raises(ConfigError) as error:
        read_guide(text.encode(), "guide.toml")
    assert words in str(error.value)


# --- on call --------------------------------------------------------------------------------------


def at(text: str) -> int:
    moment = datetime.strptime(text, "%Y-%m-%d %H:%M")  # noqa: DTZ007
    return round(moment.replace(tzinfo=ZoneInfo("America/Chicago")).timestamp()) * 1_000


@pytest.mark.parametrize(
    ("when", "who"),
    [
        ("2026-06-01 08:00", "nurse-1"),  # a Monday
        ("2026-06-01 07:59", "nurse-2"),
        ("2026-06-01 20:00", "nurse-2"),
        ("2026-06-06 12:00", "nurse-3"),
        ("2026-06-07 23:00", "nurse-2"),
        ("2026-03-08 03:30", "nurse-2"),  # the night of the clocks
        ("2026-12-24 23:00", "nurse-3"),
        ("2026-12-25 05:00", "nurse-3"),  # the swapped shift began the day before
        ("2026-12-25 21:00", "nurse-2"),
    ],
)
def test_who_is_on_call(when: str, who: str) -> None:
    rota = read_rota(ROTA_FILE.read_bytes(), ROTA_FILE.name)
    assert on_call(rota, "nurse on call", at(when), CHICAGO) == (who,)
    assert on_call(rota, "pharmacist", at(when), CHICAGO) == ("pharmacist-1",)
    assert on_call(rota, "gardener", at(when), CHICAGO) == ()


@given(st.integers(0, 365 * 24 * 60), st.sampled_from(["America/Chicago", "Europe/Dublin", "UTC"]))
def test_there_is_always_somebody(minute: int, zone: str) -> None:
    rota = read_rota(ROTA_FILE.read_bytes(), ROTA_FILE.name)
    at_ms = T0 + minute * MS_PER_MINUTE
    assert all(on_call(rota, role, at_ms, offsets(zone)) for role in rota.roles())


def test_several_may_be_on_call_at_once() -> None:
    shifts = tuple(
        Shift(role="r", who=who, days=("mon",), begins="00:00", ends="00:00") for who in "ab"
    )
    assert on_call(Rota(name="x", shift=shifts), "r", at("2026-06-01 12:00"), CHICAGO) == ("a", "b")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('ends = "08:00"', 'ends = "07:00"', "nobody is on call as nurse on call from mon 07:00"),
        ('"sat", "sun"]\nbegins = "08:00"', '"sat"]\nbegins = "08:00"', "from sun 08:00"),
        ('"tue"', '"tuesday"', "'tuesday' is no day"),
        ('begins = "08:00"', 'begins = "8"', "key 'begins'"),
    ],
)
def test_a_rota_with_a_gap_is_refused(old: str, new: str, words: str) -> None:
    text = ROTA_FILE.read_text().replace(old, new, 1)
    with pytest.raises(ConfigError) as error:
        read_rota(text.encode(), "rota.toml")
    assert words in str(error.value)
