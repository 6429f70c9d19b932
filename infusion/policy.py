"""How alerts are handled, for all and for some: the policy of a site, its therapies, its patients.

A policy is layers of changes over the defaults, the later ones stronger: for everybody, for a
site, for a therapy, and overrides for one patient (named by the therapy), which say who decided
them and why, and end by themselves. `Policy.handling` puts the layers together for one pump. What
does not differ from the others' is the same object, so a hundred thousand pumps share it.

Some things no layer can do: switch the fail-safe off or let a HIGH alert wait longer than
`FAILSAFE_MIN_MAX` for it, take HIGH from a rule without saying why, silence for more than two
minutes, snooze for ever.
"""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from infusion.alarms import Priority
from infusion.errors import ConfigError
from infusion.handling import DEFAULT, FAILSAFE_MIN_MAX, Chains, Handling, Hours, chains
from infusion.rules import Rule
from infusion.rules.rule import Level
from infusion.service.rota import Rota
from infusion.tables import nearest
from infusion.units import MS_PER_MINUTE

_BY_RANK = (Priority.NOTICE, Priority.LOW, Priority.MEDIUM, Priority.HIGH)


Minutes = Annotated[float, Meta(ge=0, le=1_440)]
# Who decided something, and why; whom a level calls.
Said = Annotated[str, Meta(min_length=1, max_length=200)]
When = Literal["always", "working-hours", "off-hours"]


class RuleChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a policy changes of one rule. `levels` gives minutes by priority, all of them."""

    levels: dict[Priority, Minutes] | None = None
    off_delay_min: Minutes | None = None
    latches: bool | None = None
    enabled: bool = True
    reason: str = ""


class CallLevel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One level of escalation: minutes for each priority that it is called for."""

    name: Said
    high_min: Minutes | None = None
    medium_min: Minutes | None = None
    low_min: Minutes | None = None
    when: When = "always"


class Failsafe(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last level, which is always there and at every hour."""

    name: Said = "everybody"
    high_min: Annotated[float, Meta(gt=0, le=FAILSAFE_MIN_MAX)] = FAILSAFE_MIN_MAX
    medium_min: Minutes | None = 120.0
    low_min: Minutes | None = None


class Escalation(Struct, frozen=True, kw_only=True):
    """Who is called: levels in order, and then the fail-safe."""

    levels: tuple[CallLevel, ...] = (
        CallLevel(name="nurse on duty", high_min=0, medium_min=0, low_min=0),
        CallLevel(name="nurse on call", high_min=5, medium_min=30),
        CallLevel(name="pharmacist", high_min=10, medium_min=60),
    )
    failsafe: Failsafe = Failsafe()


class Layer(Struct, frozen=True, kw_only=True):
    """What one table of the policy changes; what it does not name stays as it was.

    `thresholds`, `people` and `flapping` hold single values by their fields.
    """

    thresholds: Mapping[str, Any] = field(default_factory=dict)
    rules: Mapping[str, RuleChange] = field(default_factory=dict)
    people: Mapping[str, Any] = field(default_factory=dict)
    flapping: Mapping[str, Any] = field(default_factory=dict)
    latching: frozenset[Priority] | None = None
    escalation: Escalation | None = None
    hours: Hours | None = None


NOTHING = Layer()


class Override(Struct, frozen=True, kw_only=True):
    """A change for one patient, until an instant, by somebody, for a reason."""

    therapy: str
    until_ms: int
    until: str
    by: str
    reason: str
    layer: Layer
    site: str | None = None


class Policy(Struct, frozen=True, kw_only=True):
    """All layers. `zone` names the time zone in which working hours and dates are given, `rota` the
    file that says who is on call; `with_rota` puts it in."""

    everybody: Layer = NOTHING
    sites: Mapping[str, Layer] = field(default_factory=dict)
    therapies: Mapping[str, Layer] = field(default_factory=dict)
    overrides: tuple[Override, ...] = ()
    zone: str = "UTC"
    rota: str = ""
    # Handlings without a therapy of its own, made once: by site, and "" for all others.
    made: Mapping[str, Handling] = field(default_factory=lambda: {"": DEFAULT})

    def handling(self, site: str, therapy: str | None, at_ms: int) -> Handling:
        """What holds for one pump now; `until_ms` says when to ask again, None: never.

        Cheap to keep: a therapy that the policy does not name gets what all the others get.
        """
        shared = self.made.get(site) or self.made[""]
        mine = [
            each
            for each in self.overrides
            if each.therapy == therapy and each.site in (None, site) and each.until_ms > at_ms
        ]
        layer = self.therapies.get(therapy) if therapy is not None else None
        if layer is None and not mine:
            return shared
        layers = [*([layer] if layer is not None else []), *(each.layer for each in mine)]
        until_ms = min((each.until_ms for each in mine), default=None)
        return replace(laid(shared, layers), until_ms=until_ms)


def policy_of(
    everybody: Layer = NOTHING,
    sites: Mapping[str, Layer] | None = None,
    therapies: Mapping[str, Layer] | None = None,
    overrides: Iterable[Override] = (),
    zone: str = "UTC",
    rota: str = "",
) -> Policy:
    """A policy of layers. Raises ConfigError where layers together make no sense."""
    sites, therapies, overrides = sites or {}, therapies or {}, tuple(overrides)
    base = laid(DEFAULT, [everybody])
    made = {"": base} | {site: laid(base, [layer]) for site, layer in sites.items()}
    policy = Policy(
        everybody=everybody,
        sites=sites,
        therapies=therapies,
        overrides=overrides,
        zone=zone,
        rota=rota,
        made=made,
    )
    for shared in made.values():
        for layer in (*therapies.values(), *(each.layer for each in overrides)):
            laid(shared, [layer])
    return policy


def with_rota(policy: Policy, rota: Rota) -> Policy:
    """The policy with the rota that it names.

    Raises ConfigError for a role that is no level, because then nobody is ever called as that.
    """
    levels = {
        step.name
        for handling in policy.made.values()
        for steps in handling.chains.values()
        for step in steps
    }
    for role in rota.roles():
        if role not in levels:
            raise ConfigError(
                f"the role {role!r} is no level of escalation; {nearest(role, levels)}"
            )
    made = {site: replace(handling, rota=rota) for site, handling in policy.made.items()}
    return replace(policy, made=made)


def laid(handling: Handling, layers: Iterable[Layer]) -> Handling:
    """A handling with layers over it. Raises ConfigError for a value that makes no sense."""
    for layer in layers:
        rules = handling.rules
        if layer.rules:
            rules = dict(rules)
            for key, change in layer.rules.items():
                rule = DEFAULT.rules[key] if key not in rules else rules[key]
                changed = changed_rule(rule, change)
                if changed is None:
                    rules.pop(key, None)
                else:
                    rules[key] = changed
        handling = replace(
            handling,
            rules=rules,
            thresholds=replace(handling.thresholds, **layer.thresholds),
            people=replace(handling.people, **layer.people),
            flapping=replace(handling.flapping, **layer.flapping),
            latching=handling.latching if layer.latching is None else layer.latching,
            chains=handling.chains if layer.escalation is None else _chains(layer.escalation),
            hours=handling.hours if layer.hours is None else layer.hours,
        )
    return handling


def changed_rule(rule: Rule, change: RuleChange) -> Rule | None:
    """A rule as a policy changes it; None when it is switched off.

    Raises ConfigError where the change takes HIGH from the rule without a reason, or its levels do
    not rise.
    """
    found = rule if change.levels is None else replace(rule, levels=_levels(change.levels))
    could = rule.levels[-1].priority is Priority.HIGH
    can = change.enabled and found.levels[-1].priority is Priority.HIGH
    if could and not can and not change.reason:
        what = "is switched off" if not change.enabled else "can be HIGH no more"
        raise ConfigError(f"the rule can be HIGH and {what}; give a reason")
    if not change.enabled:
        return None
    if change.off_delay_min is not None:
        found = replace(found, off_delay_ms=round(change.off_delay_min * MS_PER_MINUTE))
    if change.latches is not None:
        found = replace(found, latches=change.latches)
    return found


def _levels(minutes: Mapping[Priority, float]) -> tuple[Level, ...]:
    if not minutes:
        raise ConfigError("key 'levels': needs at least one priority with its minutes")
    given = [(each, minutes[each]) for each in _BY_RANK if each in minutes]
    for (lower, early), (higher, late) in pairwise(given):
        if late <= early:
            raise ConfigError(
                f"key 'levels': {higher} comes after {late:g} min, which is not later than"
                f" {lower} after {early:g} min"
            )
    return tuple(Level(round(late * MS_PER_MINUTE), each) for each, late in given)


def _chains(escalation: Escalation) -> Chains:
    """Who is called, by priority. Raises ConfigError where a later level is not called later."""
    failsafe = escalation.failsafe
    last_row = CallLevel(
        name=failsafe.name,
        high_min=failsafe.high_min,
        medium_min=failsafe.medium_min,
        low_min=failsafe.low_min,
    )
    rows = [*escalation.levels, last_row]
    for name in ("high_min", "medium_min", "low_min"):
        last: tuple[str, float] | None = None
        for row in rows:
            minutes = getattr(row, name)
            if minutes is None:
                continue
            if last is not None and minutes <= last[1]:
                raise ConfigError(
                    f"{row.name!r}: {name} {minutes:g} is not later than that of the level"
                    f" before it, {last[0]!r} ({last[1]:g})"
                )
            last = (row.name, minutes)
    return chains(*((r.name, r.when, r.high_min, r.medium_min, r.low_min) for r in rows))
