"""A unit test of reading scenarios and profiles: what is right, and the words for what is wrong."""

from pathlib import Path

import pytest

from infusion.errors import ConfigError
from simulator.profile import read_profile
from simulator.story import actions, faults
from simulator.story.reading import Offset, parse_offset
from tests.simulator.bench import CONFIG, fleet, pace, scenario, shipped_scenario

SHIPPED = sorted(path.stem for path in (CONFIG / "scenarios").glob("*.toml"))

FAULT = '[[fault]]\nat = "00:04"\npump = "P-01"\n'


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_scenario_runs(name: str) -> None:
    story = shipped_scenario(name)
    assert story.header.title
    run = fleet(story, **pace(story))
    run.advance(run.start_ms + story.header.duration.ms)
    assert run.refused == 0


def test_the_demo_says_what_the_readme_promises() -> None:
    story = shipped_scenario("demo")
    assert [(e.pump, e.rule) for e in story.expectations] == [
        ("P-03", "downstream-occlusion"),
        ("P-07", "rate-not-as-ordered"),
        ("P-11", "no-telemetry"),
        ("P-16", "reservoir-empty"),
    ]
    assert story.header.pumps == 20
    assert story.header.quiet


def test_entries_are_read_with_their_keys() -> None:
    story = scenario(
        FAULT + 'do = "occlusion"\nuntil = "01:02:03"\nresistance_factor = 20\n'
        '[[action]]\nat = "00:10"\npump = ["P-01", "P-02"]\ndo = "restart"\n'
    )
    assert story.faults == (
        faults.Occlusion(
            at=Offset(240_000), pump="P-01", until=Offset(3_723_000), resistance_factor=20.0
        ),
    )
    assert story.actions == (actions.Start(at=Offset(600_000), pump=("P-01", "P-02")),)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("title = 3", "test.toml: key 'title': Expected `str`, got `int`"),
        ("titles = 'x'", "test.toml: the key 'titles' is unknown; did you mean 'title'?"),
        ("pumps = 0", "test.toml: key 'pumps': Expected `int` >= 1"),
        ("fault = 3", "test.toml: fault is not a list of tables; write [[fault]] above it"),
        (
            "[[faults]]\nx = 1",
            "test.toml: the key 'faults' is unknown; did you mean 'fault'?",
        ),
        (FAULT, "test.toml: [[fault]] 1: the key 'do' is missing; known are occlusion, silence"),
        (
            FAULT + 'do = "oclusion"',
            "test.toml: [[fault]] 1: key 'do': 'oclusion' is unknown; did you mean 'occlusion'?",
        ),
        (
            FAULT + 'do = "occlusion"\nuntill = "00:05"',
            (
                "test.toml: [[fault]] 1 (do = 'occlusion'): the key 'untill' is unknown; "
                "did you mean 'until'?"
            ),
        ),
        (
            FAULT + 'do = "silence"',
            "test.toml: [[fault]] 1 (do = 'silence'): the key 'until' is missing; add it",
        ),
        (
            FAULT + 'do = "silence"\nuntil = "00:03"',
            "test.toml: [[fault]] 1 (do = 'silence'): key 'until': 00:03 is not after 00:04",
        ),
        (
            FAULT.replace("00:04", "4 min") + 'do = "reboot"',
            (
                "test.toml: [[fault]] 1 (do = 'reboot'): key 'at': '4 min' is not a time; "
                'write "HH:MM" or "HH:MM:SS" from the start'
            ),
        ),
        (
            FAULT.replace("P-01", "pump 1") + 'do = "reboot"',
            "test.toml: [[fault]] 1 (do = 'reboot'): key 'pump': 'pump 1' is no pump; write P-01",
        ),
        (
            FAULT + 'do = "battery"\nlevel = 40',
            "test.toml: [[fault]] 1 (do = 'battery'): key 'level': Expected `float` <= 1.0",
        ),
        (
            '[[action]]\nat = "00:01"\npump = "P-01"\ndo = "program-rate"',
            (
                "test.toml: [[action]] 1 (do = 'program-rate'): give exactly one of 'rate_ml_h', "
                "'factor', 'dose_iu_kg_h', 'dose_iu_h'"
            ),
        ),
        (
            (
                '[[order]]\nat = "00:01"\npump = "P-01"\ndo = "rate"\ndose_iu_h = 1000\n'
                'applied_after = "soon"'
            ),
            (
                "test.toml: [[order]] 1 (do = 'rate'): key 'applied_after': 'soon' is not a time; "
                'write "HH:MM" or "HH:MM:SS" from the start, or \'never\''
            ),
        ),
        (
            '[[order]]\nat = "00:01"\npump = "P-01"\ndo = "rate"',
            (
                "test.toml: [[order]] 1 (do = 'rate'): give exactly one of 'dose_iu_kg_h' and "
                "'dose_iu_h'"
            ),
        ),
        (
            '[[expect]]\npump = "P-01"\nrule = "x"\nraised = ["00:05", "00:04"]',
            "test.toml: [[expect]] 1: key 'raised': 00:04 is before 00:05; the earlier goes first",
        ),
        (
            (
                '[[expect]]\npump = "P-01"\nrule = "x"\nraised = ["00:05", "00:06"]\n'
                'cleared_by = "00:01"'
            ),
            "test.toml: [[expect]] 1: key 'cleared_by': 00:01 is before the alert can be raised",
        ),
        (
            '[[patient]]\npump = "P-01"\ndose_iu_h = 1000\ndose_iu_kg_h = 15',
            "test.toml: [[patient]] 1: give only one of 'dose_iu_kg_h' and 'dose_iu_h'",
        ),
        ("title = ", "test.toml: "),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as error:
        scenario(text)
    assert str(error.value).startswith(complaint)


def test_two_patients_on_one_pump_are_refused() -> None:
    story = scenario('[[patient]]\npump = "P-01"\n[[patient]]\npump = "P-001"\n')
    with pytest.raises(ConfigError, match=r"P-001 is described twice"):
        fleet(story)


def test_an_order_that_makes_no_sense_is_refused() -> None:
    many = "".join(
        f'[[order]]\nat = "00:{minute:02d}"\npump = "P-09"\ndo = "stop"\n' for minute in (5, 6)
    )
    with pytest.raises(ConfigError, match=r"there is no P-09 in a fleet of 3"):
        fleet(scenario("pumps = 3\n" + many))


@pytest.mark.parametrize(
    ("text", "ms"), [("00:00", 0), ("00:04", 240_000), ("26:00:01", 93_601_000)]
)
def test_times_are_read_and_shown_alike(text: str, ms: int) -> None:
    assert parse_offset(text).ms == ms
    assert str(Offset(ms)) == text


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("bias_max = 0.05", "bias_max = 0.07"), "bias_max must be at most accuracy"),
        (("ripple_max = 0.03", "ripple_max = 0.06"), "bias_max + ripple_max must be below 0.1"),
        (("kvo_ml_h", "kvo_ml"), "the key 'kvo_ml' is unknown; did you mean 'kvo_ml_h'?"),
        (("boot_s = 15.0", ""), "the key 'boot_s' is missing; add it"),
        (("battery_low_min = 15.0", "battery_low_min = 4.0"), "battery_depleted_min must be below"),
        (("reservoir_low_ml = 5.0", "reservoir_low_ml = 900.0"), "reservoir_low_ml must be below"),
        (('gauge = "counted"', 'gauge = "measured"'), "reservoir_step_ml must be above 0 where"),
        (
            ("venous_pressure_mmhg = 10.0", "venous_pressure_mmhg = 299.0"),
            "",
        ),
        (("occlusion_limit_mmhg = 1345.0", "occlusion_limit_mmhg = 5.0"), "key 'occlusion_limit"),
    ],
)
def test_a_bad_profile_is_refused(change: tuple[str, str], complaint: str) -> None:
    text = (CONFIG / "pumps" / "ambulatory.toml").read_text().replace(*change)
    if not complaint:
        read_profile(text.encode(), "pump.toml")
        return
    with pytest.raises(ConfigError) as error:
        read_profile(text.encode(), "pump.toml")
    assert str(error.value).startswith(f"pump.toml: {complaint}")


def test_the_shipped_profile_says_where_each_value_is_from() -> None:
    """Every value has a mark on its line, or on the lines around it, up to the next value."""
    text = Path(CONFIG / "pumps" / "ambulatory.toml").read_text()
    for section in text.split("# ---")[1:]:
        assert "[" in section.split("\n", 1)[1], section
