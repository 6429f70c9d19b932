"""Who is called about an alert that nobody has taken, and when.

A policy lists levels; each priority sees those that are called for it, with their delays, as a
chain of steps that ends with the fail-safe. The rules of it:

* The first step is called when the alert is said aloud (if its delay is 0), and so is somebody at
  any hour: a step outside its hours gives its place to the next one.
* As long as nobody takes the alert, the next step is called when the difference of the two delays
  has passed. A call is never taken back: the level only rises.
* Taking stops it. When what was taken lapses or is given back, all that were called are called
  again, and the way to the next step begins anew. So it does when the priority rises.
* Declining calls the next step at once.
* A snoozed alert calls nobody until it wakes. Acknowledging and silencing change nothing here.

So a HIGH alert that nobody takes reaches the fail-safe within the fail-safe's own delay.
"""

from msgspec.structs import replace

from infusion.alarms import Priority
from infusion.alert import Call
from infusion.board import Track
from infusion.handling import Handling, Step
from infusion.service.rota import on_call


def call_again(track: Track, handling: Handling, priority: Priority, at_ms: int) -> None:
    """Begin to call, or call again those that were called; the way to the next begins anew."""
    track.calling_ms = at_ms
    if track.called is not None:
        who = _who(handling, track.called.name, at_ms)
        track.called = replace(track.called, since_ms=at_ms, who=who)
        return
    steps = handling.chains[priority]
    if steps and steps[0].after_ms == 0:
        call_next(track, handling, priority, at_ms)


def call_next(track: Track, handling: Handling, priority: Priority, at_ms: int) -> bool:
    """Call the next step that is at work; False when all were called."""
    number = track.called.number if track.called is not None else 0
    for step in handling.chains[priority]:
        if step.number > number and _is_at_work(step, handling, at_ms):
            track.calling_ms = at_ms
            track.called = Call(
                number=step.number,
                name=step.name,
                since_ms=at_ms,
                failsafe=step.failsafe,
                who=_who(handling, step.name, at_ms),
            )
            return True
    return False


def next_call_ms(track: Track, handling: Handling) -> int | None:
    """When the next step is due; None while somebody has the alert, or when all were called."""
    if track.alert is None or track.facts.taken is not None or track.facts.snoozed is not None:
        return None
    number = track.called.number if track.called is not None else 0
    waited_ms = 0
    for step in handling.chains[track.alert.priority]:
        if step.number > number:
            return track.calling_ms + step.after_ms - waited_ms
        waited_ms = step.after_ms
    return None


def _is_at_work(step: Step, handling: Handling, at_ms: int) -> bool:
    if step.failsafe or step.when == "always":
        return True
    return handling.hours.covers(at_ms) == (step.when == "working-hours")


def _who(handling: Handling, level: str, at_ms: int) -> tuple[str, ...]:
    """Who is on call at a level by the rota; nobody by name where it does not have that level."""
    if handling.rota is None:
        return ()
    return on_call(handling.rota, level, at_ms, handling.hours.offsets)
