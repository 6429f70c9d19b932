"""Tests of the policy: what it changes for whom, until when, what it refuses, and its words."""

import tomllib
from pathlib import Path

import msgspec
import pytest
from inline_snapshot import snapshot

from infusion.alarms import Priority
from infusion.errors import ConfigError
from infusion.handling import DEFAULT, Hours
from infusion.policy import Policy, policy_of
from infusion.policy_file import read_policy
from infusion.policy_words import describe
from infusion.rules import RULES
from infusion.thresholds import Thresholds

FILE = Path(__file__).parents[2] / "config" / "alerts.toml"
# 2026-12-01 12:00 UTC, a Tuesday.
NOW_MS = 1_796_126_400_000
HOUR_MS = 3_600_000


def read(text: str) -> Policy:
    return read_policy(text.encode(), "alerts.toml")


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return str(caught.value)


def test_the_default_file_says_what_the_code_does() -> None:
    """`config/alerts.toml` is the defaults, written out: somebody edits it without surprises."""
    policy = read_policy(FILE.read_bytes(), FILE.name)
    assert policy.handling("home", "T-01", NOW_MS) == DEFAULT
    assert Policy().handling("home", "T-01", NOW_MS) == DEFAULT
    assert policy_of().handling("home", None, NOW_MS) == DEFAULT


def test_the_default_file_shows_every_number() -> None:
    """A threshold that is not in the file would not be found by those who may change it."""
    shown = tomllib.loads(FILE.read_text())["thresholds"]
    assert set(shown) == {field.name for field in msgspec.structs.fields(Thresholds)}


LAYERED = """
[thresholds]
flow_tolerance = 0.2
[site.home.thresholds]
flow_tolerance = 0.3
day_tolerance = 0.3
[site.home.people]
taken_for_min = 20
[therapy.T-07.thresholds]
flow_tolerance = 0.4
[therapy.T-07.rules.under-delivery]
levels = { low = 5, medium = 20 }
off_delay_min = 3
latches = true
reason = "a leaking port, known"
[[override]]
therapy = "T-07"
until = 2026-12-01
by = "pharmacist-2"
reason = "the line kinks at night"
[override.thresholds]
flow_tolerance = 0.5
[override.rules.repeat-occlusion]
enabled = false
"""


def test_layers() -> None:
    """The nearer layer wins, and what it does not name stays."""
    policy = read(LAYERED)
    other = policy.handling("away", "T-01", NOW_MS)
    home = policy.handling("home", "T-01", NOW_MS)
    assert (other.thresholds.flow_tolerance, other.thresholds.day_tolerance) == (0.2, 0.1)
    assert (home.thresholds.flow_tolerance, home.thresholds.day_tolerance) == (0.3, 0.3)
    assert (other.people.taken_for_min, home.people.taken_for_min) == (30, 20)
    late = policy.handling("home", "T-07", NOW_MS + 12 * HOUR_MS)
    assert (late.thresholds.flow_tolerance, late.thresholds.day_tolerance) == (0.4, 0.3)
    rule = late.rules["under-delivery"]
    assert [(level.delay_ms, level.priority.value) for level in rule.levels] == [
        (300_000, "low"),
        (1_200_000, "medium"),
    ]
    assert (rule.off_delay_ms, rule.latches) == (180_000, True)
    assert rule.suppressed_by == RULES["under-delivery"].suppressed_by


def test_override_holds_until_the_end_of_its_day_and_says_so() -> None:
    """One millisecond before midnight it holds, at midnight it does not."""
    policy, midnight_ms = read(LAYERED), NOW_MS + 12 * HOUR_MS
    before = policy.handling("home", "T-07", midnight_ms - 1)
    assert before.thresholds.flow_tolerance == 0.5
    assert "repeat-occlusion" not in before.rules
    assert before.until_ms == midnight_ms
    after = policy.handling("home", "T-07", midnight_ms)
    assert after.thresholds.flow_tolerance == 0.4
    assert "repeat-occlusion" in after.rules
    assert after.until_ms is None


def test_override_may_be_for_one_site() -> None:
    """Two sites may use the same name for a therapy."""
    policy = read(
        '[[override]]\nsite = "home"\ntherapy = "T-1"\nuntil = 2027-01-01T08:00:00Z\n'
        'by = "x"\nreason = "y"\n[override.thresholds]\nday_tolerance = 0.5\n'
    )
    assert policy.handling("home", "T-1", NOW_MS).thresholds.day_tolerance == 0.5
    assert policy.handling("away", "T-1", NOW_MS) == DEFAULT
    assert policy.handling("home", "T-1", NOW_MS).until_ms == 1_798_790_400_000


def test_pumps_that_are_nothing_special_share_one_handling() -> None:
    """A hundred thousand therapies cost nothing: what they get is the same object."""
    policy = read(LAYERED)
    first = policy.handling("home", "T-1", NOW_MS)
    assert policy.handling("home", "T-2", NOW_MS + HOUR_MS) is first
    assert policy.handling("home", None, NOW_MS) is first


CALLS = """
zone = "Europe/Berlin"
[hours]
days = ["mon", "tue"]
from = "08:00"
to = "16:30"
[[call]]
name = "pharmacist"
high_min = 0
when = "working-hours"
[failsafe]
name = "all"
high_min = 7
"""


def test_working_hours_are_local_time() -> None:
    """The caller looks the zone up; the policy counts in its minutes, across a change of clocks."""
    zones = []

    def offsets(zone: str) -> list[tuple[int, int]]:
        zones.append(zone)
        return [(0, 120), (NOW_MS, 60)]

    policy = read_policy(CALLS.encode(), "alerts.toml", offsets)
    hours = policy.handling("home", None, NOW_MS).hours
    assert zones == ["Europe/Berlin"]
    # Tuesday 12:00 UTC is 13:00 local; 15:30 UTC is 16:30, when work is over.
    assert hours.covers(NOW_MS)
    assert hours.covers(NOW_MS + 3 * HOUR_MS + HOUR_MS // 2 - 1)
    assert not hours.covers(NOW_MS + 3 * HOUR_MS + HOUR_MS // 2)
    # Six hours before, local time was two hours ahead: 06:00 UTC is 08:00.
    assert hours.covers(NOW_MS - 6 * HOUR_MS)
    assert not hours.covers(NOW_MS - 6 * HOUR_MS - 1)
    assert not hours.covers(NOW_MS + 24 * HOUR_MS)
    assert Hours().offset_min(NOW_MS) == 0
    assert hours.offset_min(-1) == 120


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1", "alerts.toml: the key 'x' is unknown; known are"),
        ("[threshold]", "alerts.toml: the key 'threshold' is unknown; did you mean 'thresholds'?"),
        (
            "[thresholds]\nflow_tolerence = 0.2",
            (
                "alerts.toml: [thresholds]: the key 'flow_tolerence' is unknown;"
                " did you mean 'flow_tolerance'?"
            ),
        ),
        (
            "[site.home.thresholds]\nflow_tolerance = 2",
            "alerts.toml: [site.home.thresholds]: key 'flow_tolerance': Expected `float` <= 1.0",
        ),
        (
            "[thresholds]\nflow_tolerance = nan",
            "alerts.toml: [thresholds]: key 'flow_tolerance': nan is not a finite number",
        ),
        (
            "[rules.over-dilivery]",
            (
                "alerts.toml: [rules.over-dilivery]: there is no rule 'over-dilivery';"
                " did you mean 'over-delivery'?"
            ),
        ),
        (
            "[rules.free-flow-seen]\nenabled = false",
            (
                "alerts.toml: [rules.free-flow-seen]: the rule can be HIGH and is switched off;"
                " give a reason"
            ),
        ),
        (
            "[therapy.T-1.rules.not-delivering]\nlevels = { medium = 10 }",
            (
                "alerts.toml: [therapy.T-1.rules.not-delivering]: the rule can be HIGH and can be HIGH"
                " no more; give a reason"
            ),
        ),
        (
            "[rules.not-delivering]\nlevels = { medium = 30, high = 30 }",
            (
                "alerts.toml: [rules.not-delivering]: key 'levels': high comes after 30 min, which is"
                " not later than medium after 30 min"
            ),
        ),
        (
            "[rules.not-delivering]\nlevels = { urgent = 30 }",
            "alerts.toml: [rules.not-delivering]: Invalid enum value 'urgent'",
        ),
        (
            "[failsafe]\nhigh_min = 16",
            "alerts.toml: [failsafe]: key 'high_min': Expected `float` <= 15.0",
        ),
        (
            "[failsafe]\nenabled = false",
            "alerts.toml: [failsafe]: the key 'enabled' is unknown",
        ),
        (
            '[[call]]\nname = "late"\nhigh_min = 20',
            (
                "alerts.toml: 'everybody': high_min 15 is not later than that of the level before it,"
                " 'late' (20)"
            ),
        ),
        (
            '[[call]]\nname = "x"\nwhen = "sometimes"',
            "alerts.toml: [call] 1: key 'when': Invalid enum value 'sometimes'",
        ),
        ("[people]\naudio_pause_max_s = 300", "alerts.toml: [people]: key 'audio_pause_max_s'"),
        ('latching = ["highest"]', "alerts.toml: key 'latching': ['highest'] is not a list"),
        ('zone = "Europe/Berlin"', "alerts.toml: key 'zone': the time zone 'Europe/Berlin' is not"),
        ('[hours]\ndays = ["monday"]', "alerts.toml: [hours]: key 'days': 'monday' is no day"),
        ('[hours]\nfrom = "18:00"', "alerts.toml: [hours]: key 'to': 17:00 is not after 18:00"),
        ('[hours]\nto = "25:00"', "alerts.toml: [hours]: '25:00' is no time of day"),
        (
            '[[override]]\ntherapy = "T-1"\nuntil = 2026-12-01\nby = "me"',
            "alerts.toml: [[override]] 1: the key 'reason' is missing; add it",
        ),
        (
            '[[override]]\ntherapy = "T-1"\nby = "me"\nreason = "x"',
            "alerts.toml: [[override]] 1: the key 'until' is missing; add a date",
        ),
        (
            '[[override]]\ntherapy = "T-1"\nby = "me"\nreason = "x"\nuntil = "soon"',
            "alerts.toml: [[override]] 1: key 'until': 'soon' is not a date; write 2026-12-31",
        ),
        (
            (
                '[[override]]\ntherapy = "T-1"\nby = "me"\nreason = "x"\nuntil = 2026-12-01\n'
                "[override.failsafe]\nhigh_min = 1"
            ),
            "alerts.toml: [[override]] 1: the key 'failsafe' is unknown",
        ),
        (
            (
                '[[override]]\ntherapy = "T-1"\nby = "me"\nreason = "x"\nuntil = 2026-12-01\n'
                "[override.thresholds]\nday_tolerance = -1"
            ),
            "alerts.toml: [override.thresholds] 1: key 'day_tolerance'",
        ),
        ("site = 3", "alerts.toml: key 'site': 3 is not a table; write keys and values"),
        ("[call]", "alerts.toml: [[call]]: {} is not a list of tables; write [[call]]"),
        ("= 3", "alerts.toml: line 1, column 1"),
    ],
)
def test_what_is_wrong_is_named(text: str, expected: str) -> None:
    """File, table and key, what is wrong, and what would be right."""
    assert refused(text).startswith(expected)


def test_reason_switches_off() -> None:
    """With a reason a rule that can be HIGH may be switched off."""
    policy = read('[rules.free-flow-seen]\nenabled = false\nreason = "a syringe pump without it"')
    assert "free-flow-seen" not in policy.handling("home", None, NOW_MS).rules
    # A patient may have it back.
    policy = read(
        '[rules.free-flow-seen]\nenabled = false\nreason = "as said"\n'
        "[therapy.T-1.rules.free-flow-seen]\nenabled = true"
    )
    assert "free-flow-seen" in policy.handling("home", "T-1", NOW_MS).rules


def test_fail_safe_is_in_every_policy() -> None:
    """However the levels are written, HIGH ends with it within a quarter of an hour."""
    for text in (
        "",
        "call = []",
        '[[call]]\nname = "x"\nlow_min = 3',
        CALLS.replace("Europe/Berlin", "UTC"),
    ):
        chain = read(text).handling("home", None, NOW_MS).chains[Priority.HIGH]
        assert chain[-1].failsafe
        assert chain[-1].after_ms <= 15 * 60_000


def test_policy_in_words() -> None:
    """What `check-config` says; an override that has ended is told as ignored."""
    text = LAYERED + CALLS.replace('zone = "Europe/Berlin"', "")
    lines = describe(read(text), NOW_MS)
    assert lines == snapshot(
        [
            "A HIGH alert that nobody takes calls pharmacist at once (in working hours); all after 7 min, whatever happens.",
            "A MEDIUM alert that nobody takes calls all after 2 h, whatever happens.",
            "Working hours are mon, tue from 08:00 to 16:30.",
            "Who takes an alert has it for 30 min, or as long as they say, at most 4 h; then it lapses and is called again.",
            "MEDIUM and LOW alerts can be snoozed for at most 4 h, HIGH ones never; silence ends after at most 120 s.",
            "An alert that comes 4 times within 1 h stays open until it was quiet for 15 min.",
            "At HIGH these wait until somebody has acknowledged them: free-flow-seen, over-delivery.",
            "everybody: flow_tolerance is 0.2 instead of 0.1.",
            "site home: flow_tolerance is 0.3 instead of 0.2.",
            "site home: day_tolerance is 0.3 instead of 0.1.",
            "site home: taken_for_min is 20 instead of 30.",
            "therapy T-07: flow_tolerance is 0.4 instead of 0.2.",
            "therapy T-07: under-delivery is raised LOW after 5 min, MEDIUM after 20 min; it clears when gone for 3 min and acknowledged, because a leaking port, known.",
            "therapy T-07: an override by pharmacist-2, because the line kinks at night holds until the end of 2026-12-01.",
            "therapy T-07: flow_tolerance is 0.5 instead of 0.2.",
            "therapy T-07: repeat-occlusion is switched off.",
        ]
    )
    ended = [line for line in describe(read(text), NOW_MS + 24 * HOUR_MS) if "ignored" in line]
    assert ended == snapshot(
        [
            "therapy T-07: an override by pharmacist-2, because the line kinks at night ended with the end of 2026-12-01; it is ignored."
        ]
    )


def test_default_policy_in_words() -> None:
    """The default changes nothing, so only what always holds is said."""
    assert describe(Policy()) == describe(read_policy(FILE.read_bytes(), FILE.name))
    assert not [line for line in describe(Policy()) if "instead of" in line]
