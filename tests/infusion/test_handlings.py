"""What the policy says of each pump, as the engine asks for it: when it begins and when it ends."""

from infusion.messages import AlertChange
from infusion.monitor import Monitor, MonitorSettings
from infusion.policy import Layer, Override, RuleChange, policy_of
from tests.infusion.bench import RATE_ML_H, SITE, T0, begin, clock, spoken

OFF = RuleChange(enabled=False, reason="on a bench")


def raised(monitor: Monitor, until: str) -> list[tuple[str, str]]:
    """A pump at ten times its rate from 00:05 on: what is raised, and when."""
    paper = begin().run("00:05").set(10 * RATE_ML_H, rate_ml_h=10 * RATE_ML_H).run(until)
    changes: list[AlertChange] = []
    for at_ms, message in paper.stream:
        changes += monitor.receive(message, SITE, at_ms)
    return [
        (spoken(each.alert.raised_ms), each.alert.rule)
        for each in changes
        if each.change == "raised" and each.alert.rule == "rate-not-as-ordered"
    ]


def monitor_with(*overrides: Override, **layers: Layer) -> Monitor:
    policy = policy_of(sites=layers, overrides=overrides)
    return Monitor(MonitorSettings(stall_ms=60_000), policy)


def override(until: str, site: str | None = None) -> Override:
    return Override(
        therapy="T-01",
        site=site,
        until_ms=T0 + clock(until),
        until=until,
        by="pharmacist-1",
        reason="tried out",
        layer=Layer(rules={"rate-not-as-ordered": OFF}),
    )


def test_without_a_policy_the_rule_speaks_at_once() -> None:
    """The default: half a minute after the rate was typed."""
    assert raised(monitor_with(), "00:10")[0][0] <= "00:06:00"


def test_an_override_ends_at_its_instant() -> None:
    """Nothing is raised before, and the pump is looked at when it ends."""
    assert raised(monitor_with(override("00:20")), "00:19:50") == []
    ((at, _),) = raised(monitor_with(override("00:20")), "00:40")
    assert "00:20:00" <= at <= "00:20:40"
    assert raised(monitor_with(override("00:20", site="elsewhere")), "00:10")


def test_a_site_has_its_own() -> None:
    """What is off at one site is on at another."""
    layer = Layer(rules={"rate-not-as-ordered": OFF})
    assert raised(monitor_with(home=layer), "00:40") == []
    assert raised(monitor_with(elsewhere=layer), "00:40")


def test_a_restart_goes_by_the_policy_at_once() -> None:
    """A pump that is taken back is held against its own numbers before it speaks again."""
    first = monitor_with(override("00:20"))
    assert raised(first, "00:10") == []
    second = monitor_with(override("00:20"))
    second.restore(first.clock, first.therapies.records)
    for state in first.pumps.values():
        second.restore_pump(state)
    assert "rate-not-as-ordered" not in second.handlings.last(f"{SITE}/P-01").rules
    assert second.therapies.ordered(f"{SITE}/P-01") is not None
