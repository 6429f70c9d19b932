"""The policy of alerts and what it names: read whole at the start, and refused by file and key."""

from pathlib import Path

import pytest
from inline_snapshot import snapshot

from infusion.errors import ConfigError
from infusion.handling import DEFAULT
from infusion.monitor import Monitor, MonitorSettings
from infusion.policy import Policy
from infusion.policy_words import describe
from monitor.ports import Entry
from monitor.references import read_references
from monitor.runner import step
from tests.monitor.streams import ward


def rules_raised(policy: Policy) -> set[str]:
    """The rules that are said of the ward under a policy."""
    monitor = Monitor(MonitorSettings(stall_ms=60_000), policy)
    step(monitor, [Entry(at_ms, topic, payload, "1") for at_ms, topic, payload in ward()])
    return {key for state in monitor.pumps.values() for key in state.board.counts}


def test_the_shipped_policy_is_found_by_its_name() -> None:
    """config/alerts.toml, in UTC, and the nomogram that its thresholds name."""
    references = read_references("alerts")
    assert references.alerts == "config/alerts.toml"
    assert references.policy.handling("home", "T-1", 0).hours == DEFAULT.hours
    assert list(references.nomograms) == ["michigan_vte"]


def test_a_policy_of_a_file_reaches_the_engine(tmp_path: Path) -> None:
    """A rule that is switched off, and thresholds of one therapy, change what is raised."""
    file = tmp_path / "own.toml"
    file.write_text(
        'zone = "Europe/Berlin"\n'
        "[rules.counter-frozen]\nenabled = false\n"
        "[therapy.T-02.thresholds]\n"
        'nomogram = "raschke"\nrate_tolerance = 1.0\n'
        "[therapy.T-02.rules.rate-not-as-ordered]\n"
        'enabled = false\nreason = "a pump on a bench"\n'
    )
    references = read_references(str(file))
    assert set(references.nomograms) == {"michigan_vte", "raschke"}
    assert len(references.policy.handling("home", None, 0).hours.offsets) > 70
    before, after = rules_raised(Policy()), rules_raised(references.policy)
    # With nothing said of its rate, what the rate did to the level is told as over-delivery.
    assert before - after == {"counter-frozen", "rate-not-as-ordered"}


def test_a_rota_reaches_every_handling(tmp_path: Path) -> None:
    """Its roles are levels of the policy; a therapy with thresholds of its own has it too."""
    file = tmp_path / "own.toml"
    file.write_text(
        'zone = "Europe/Berlin"\nrota = "example"\n'
        "[therapy.T-02.thresholds]\nrate_tolerance = 1.0\n"
    )
    policy = read_references(str(file)).policy
    for therapy in (None, "T-02"):
        rota = policy.handling("home", therapy, 0).rota
        assert rota is not None
        assert rota.roles() == ["nurse on call", "pharmacist"]
    sentence = "The rota example says who is on call as nurse on call and pharmacist."
    assert sentence in describe(policy)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            'zone = "Europe/Berln"',
            snapshot(
                "own.toml: key 'zone': 'Europe/Berln' is no time zone; did you mean 'Europe/Berlin'?"
            ),
        ),
        (
            '[thresholds]\nnomogram = "michigan"',
            snapshot(
                "own.toml: [thresholds]: key 'nomogram': 'michigan' is not in config/nomograms; the nearest is michigan_vte; known: conway_cardiac, conway_stroke, conway_vte, durham_va, ject_44_66, ject_67_92, lothian, michigan_vte, pmc8891818_cardiac, pmc8891818_cns, pmc8891818_vte, raschke, raschke_ratio; a file of your own ends in .toml"
            ),
        ),
        (
            (
                '[[override]]\ntherapy = "T-1"\nuntil = 2099-01-01\nby = "n"\nreason = "r"\n'
                '[override.thresholds]\nnomogram = "none.toml"'
            ),
            snapshot(
                "own.toml: [override.thresholds] 1: key 'nomogram': none.toml: No such file or directory; give a file, or a name in config/"
            ),
        ),
        (
            "[thresholds]\nrate_toleranc = 0.1",
            snapshot(
                "own.toml: [thresholds]: the key 'rate_toleranc' is unknown; did you mean 'rate_tolerance'?"
            ),
        ),
        (
            "[rules.free-flow-seen]\nenabled = false",
            snapshot(
                "own.toml: [rules.free-flow-seen]: the rule can be HIGH and is switched off; give a reason"
            ),
        ),
        (
            'rota = "nights"',
            snapshot(
                "own.toml: key 'rota': 'nights' is not in config/rotas; known: example; a file of your own ends in .toml"
            ),
        ),
        (
            'rota = "example"\n[[call]]\nname = "nurse on call"\nhigh_min = 0',
            snapshot(
                "own.toml: key 'rota': the role 'pharmacist' is no level of escalation; known are everybody, nurse on call"
            ),
        ),
        ("rota = 1", snapshot("own.toml: key 'rota': 1 is not text; give a name like 'example'")),
        ("= 1", snapshot("own.toml: line 1, column 1: Invalid statement")),
    ],
)
def test_what_cannot_be_followed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, error: str
) -> None:
    """File, table and key, what is wrong, and what would be right."""
    monkeypatch.chdir(tmp_path)
    Path("own.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_references("own.toml")
    assert str(caught.value) == error
