"""A policy in plain sentences, for whoever answers for it and for `check-config`."""

from collections.abc import Iterator

from infusion.alarms import Priority
from infusion.handling import DEFAULT, WEEKDAYS, Handling, Step
from infusion.policy import Layer, Policy, laid
from infusion.rules import Rule
from infusion.units import MS_PER_MINUTE

_TOLD = (Priority.HIGH, Priority.MEDIUM, Priority.LOW)


def describe(policy: Policy, now_ms: int | None = None) -> list[str]:
    """What the policy does, one sentence a line; with the time, which overrides have ended."""
    base = policy.made[""]
    lines = [*_handling(base), *_changes(policy.everybody, DEFAULT, "everybody")]
    for site, layer in policy.sites.items():
        lines += _changes(layer, base, f"site {site}")
        if layer.escalation is not None or layer.hours is not None:
            lines += [f"site {site}: {line}" for line in _calls(policy.made[site])]
    for therapy, layer in policy.therapies.items():
        lines += _changes(layer, base, f"therapy {therapy}")
    for each in policy.overrides:
        whose = f"therapy {each.therapy}" + (f" at {each.site}" if each.site else "")
        why = f"by {each.by}, because {each.reason.rstrip('.')}"
        if now_ms is not None and each.until_ms <= now_ms:
            lines.append(f"{whose}: an override {why} ended with {each.until}; it is ignored.")
            continue
        lines.append(f"{whose}: an override {why} holds until {each.until}.")
        lines += _changes(each.layer, base, whose)
    return lines


def _handling(handling: Handling) -> Iterator[str]:
    """What holds for everybody."""
    yield from _calls(handling)
    if handling.rota is not None:
        roles = " and ".join(handling.rota.roles())
        yield f"The rota {handling.rota.name} says who is on call as {roles}."
    people = handling.people
    yield (
        f"Who takes an alert has it for {_span(people.taken_for_min)}, or as long as they say,"
        f" at most {_span(people.taken_max_min)}; then it lapses and is called again."
    )
    yield (
        f"MEDIUM and LOW alerts can be snoozed for at most {_span(people.snooze_max_min)}, HIGH"
        f" ones never; silence ends after at most {people.audio_pause_max_s:g} s."
    )
    flapping = handling.flapping
    yield (
        f"An alert that comes {flapping.raises} times within {_span(flapping.within_min)} stays"
        f" open until it was quiet for {_span(flapping.quiet_min)}."
    )
    latching = [key for key, rule in sorted(handling.rules.items()) if rule.latches]
    if latching and handling.latching:
        at = " or ".join(each.upper() for each in _TOLD if each in handling.latching)
        yield f"At {at} these wait until somebody has acknowledged them: {', '.join(latching)}."


def _calls(handling: Handling) -> Iterator[str]:
    for priority in _TOLD:
        steps = handling.chains[priority]
        if steps:
            yield f"A {priority.upper()} alert that nobody takes calls {_chain(steps)}."
    if any(step.when != "always" for steps in handling.chains.values() for step in steps):
        hours = handling.hours
        days = ", ".join(WEEKDAYS[day] for day in hours.weekdays)
        yield (
            f"Working hours are {days} from {_clock(hours.from_minute)}"
            f" to {_clock(hours.to_minute)}."
        )


def _chain(steps: tuple[Step, ...]) -> str:
    parts = []
    for step in steps:
        minutes = step.after_ms / MS_PER_MINUTE
        when = "at once" if minutes == 0 else f"after {_span(minutes)}"
        hours = {"always": "", "working-hours": " (in working hours)"}.get(
            step.when, " (outside working hours)"
        )
        sure = ", whatever happens" if step.failsafe else ""
        parts.append(f"{step.name} {when}{hours}{sure}")
    return "; ".join(parts)


def _changes(layer: Layer, base: Handling, whose: str) -> Iterator[str]:
    """What a layer changes of what it lies upon; nothing where it says the same."""
    changed = laid(base, [layer])
    for key in layer.thresholds:
        before, after = getattr(base.thresholds, key), getattr(changed.thresholds, key)
        if before != after:
            yield f"{whose}: {key} is {_value(after)} instead of {_value(before)}."
    for kind, names in (("people", layer.people), ("flapping", layer.flapping)):
        for key in names:
            before, after = getattr(getattr(base, kind), key), getattr(getattr(changed, kind), key)
            if before != after:
                yield f"{whose}: {key} is {_value(after)} instead of {_value(before)}."
    if layer.latching is not None and layer.latching != base.latching:
        at = " or ".join(each.upper() for each in _TOLD if each in layer.latching)
        yield f"{whose}: rules that wait for acknowledgement do so at {at or 'no priority'}."
    for key, change in layer.rules.items():
        was, now = base.rules.get(key), changed.rules.get(key)
        if was == now:
            continue
        because = f", because {change.reason.rstrip('.')}" if change.reason else ""
        words = _rule(now) if now is not None else "is switched off"
        yield f"{whose}: {key} {words}{because}."


def _rule(rule: Rule) -> str:
    levels = ", ".join(
        f"{level.priority.upper()} "
        + ("at once" if not level.delay_ms else f"after {_span(level.delay_ms / MS_PER_MINUTE)}")
        for level in rule.levels
    )
    off = (
        f"clears when gone for {_span(rule.off_delay_ms / MS_PER_MINUTE)}"
        if rule.off_delay_ms
        else "clears at once"
    )
    return f"is raised {levels}; it {off}" + (" and acknowledged" if rule.latches else "")


def _span(minutes: float) -> str:
    if minutes < 1:
        return f"{minutes * 60:g} s"
    if minutes >= 60 and minutes % 60 == 0:
        return f"{minutes / 60:g} h"
    return f"{minutes:g} min"


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else repr(value)
