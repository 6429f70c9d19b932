"""What the pumps say, and when each message is meant to leave: the open model.

A real fleet (`simulator.fleet`) runs on its own clock and says what it always says, so payloads and
order are those of `dripwatch simulate`. Its clock is a grid; all that is said at a point of the
grid would leave at once. So telemetry of pumps that have nothing else to say is spread evenly over
the step that follows, and what belongs together (an alarm with its telemetry, a storm of
connections) leaves at the point itself. When that is does not depend on what the broker does.
"""

import bisect
from collections import Counter
from collections.abc import Iterator
from typing import TypeVar

from msgspec.structs import replace

from infusion.messages import Kind
from simulator.cohort import pump_name
from simulator.fleet import Fleet
from simulator.load.plan import Part
from simulator.setup import Setup, named_scenario, setup_of
from simulator.story.actions import DoorOpen
from simulator.story.entries import ALL, Entry, Patient
from simulator.story.plan import pump_number
from simulator.story.reading import Offset
from simulator.story.scenario import Header, Scenario
from simulator.stream import Connect, Outgoing, Output

# How many messages a step should bring: more would keep the event loop busy for too long.
STEP_MESSAGES = 200
STEP_MS_MAX = 100
# A step of physics costs some 0.1 ms and 0.03 µs a pump.
STEP_MS_MIN = 2
# With `alerts` somebody opens a door every quarter of a second, at one pump after another: a pump
# alarms at once, and a monitor must tell of it at once.
ALARM = "door-open"
ALARM_GAP_MS = 250
# Nothing happens, unless a scenario is named.
STEADY = Scenario(name="steady", header=Header(title="Nothing happens", pumps=1, library=""))

Slot = tuple[int, Output]
E = TypeVar("E", bound=Entry)


class Traffic:
    """The traffic of one generator's pumps."""

    def __init__(self, part: Part) -> None:
        """Raises ConfigError where the scenario cannot be read or has more pumps than there are."""
        plan = part.plan
        self.step_ms = step_ms(plan.interval_ms, part.pumps)
        setup = _setup(part)
        # The pumps whose alarms are injected.
        self.probes = probes_of(part)
        speed = plan.speed
        self._step_device_ms = self.step_ms * speed
        self.fleet = Fleet(
            setup.scenario,
            setup.profile,
            profiles=setup.profiles,
            pumps=part.pumps,
            start_ms=part.start_ms,
            seed=plan.seed + part.number,
            interval_s=plan.interval_ms * speed / 1_000,
            step_s=self._step_device_ms / 1_000,
            site=part.site,
            guideline=setup.guideline,
            library=setup.library,
        )
        self.fleet.count_boots_from(part.first_boot)

    def first(self) -> list[Output]:
        """What is said at the beginning: connections, presence, orders, the first telemetry."""
        return self.fleet.advance(self.fleet.start_ms)

    def step(self) -> list[Slot]:
        """The next step: (µs after its point on the grid, what is said), in order of time."""
        said = self.fleet.advance(self.fleet.now_ms + self._step_device_ms)
        return list(spread(said, self.step_ms * 1_000))


def step_ms(interval_ms: int, pumps: int) -> int:
    """The step of the grid: a divisor of the interval that brings some `STEP_MESSAGES`."""
    wanted = STEP_MESSAGES * interval_ms / pumps
    bound = int(min(STEP_MS_MAX, max(STEP_MS_MIN, wanted), interval_ms))
    divisors = sorted(
        {
            n
            for low in range(1, int(interval_ms**0.5) + 1)
            if interval_ms % low == 0
            for n in (low, interval_ms // low)
        }
    )
    return divisors[bisect.bisect_right(divisors, bound) - 1]


def spread(said: list[Output], step_us: int) -> Iterator[Slot]:
    """When each of these is meant to leave, in µs from the point of the grid; in order."""
    outputs = Counter(output.session for output in said)
    lone = [
        output
        for output in said
        if type(output) is Outgoing
        and output.kind is Kind.TELEMETRY
        and outputs[output.session] == 1
    ]
    alone = {output.session for output in lone}
    for output in said:
        if output.session not in alone:
            yield 0, output
    for number, each in enumerate(lone):
        yield number * step_us // len(lone), each


def scaled(scenario: Scenario, pumps: int) -> Scenario:
    """The same story told again and again: what befalls P-03 of 20 befalls P-23, P-43, … too.

    What is expected of a monitor is left out.
    """
    block = scenario.header.pumps
    return replace(
        scenario,
        patients=tuple(
            again for patient in scenario.patients for again in _patients(patient, block, pumps)
        ),
        faults=tuple(_entry(entry, block, pumps) for entry in scenario.faults),
        actions=tuple(_entry(entry, block, pumps) for entry in scenario.actions),
        orders=tuple(_entry(entry, block, pumps) for entry in scenario.orders),
        events=tuple(_entry(entry, block, pumps) for entry in scenario.events),
        expectations=(),
    )


def probes_of(part: Part) -> dict[str, int]:
    """The pumps at which a door is opened, from the last one down, and when, ms of wall time.

    The generators take turns, so that the alarms of all of them come `ALARM_GAP_MS` apart.
    """
    plan = part.plan
    if not plan.alerts:
        return {}
    gap_ms = ALARM_GAP_MS * plan.processes
    first_ms = ALARM_GAP_MS * (part.number + 1)
    times = range(first_ms, int(plan.duration_s * 1_000), gap_ms)
    return {
        pump_name(part.pumps - 1 - number, part.pumps): at_ms
        for number, at_ms in enumerate(times[: part.pumps])
    }


def _setup(part: Part) -> Setup:
    name = part.plan.scenario
    scenario = STEADY if name is None else scaled(named_scenario(name), part.pumps)
    speed = part.plan.speed
    alarms = tuple(
        DoorOpen(at=Offset(at_ms * speed), pump=pump) for pump, at_ms in probes_of(part).items()
    )
    scenario = replace(scenario, actions=(*scenario.actions, *alarms))
    return setup_of(scenario, part.plan.profile)


def _entry(entry: E, block: int, pumps: int) -> E:
    names = (entry.pump,) if isinstance(entry.pump, str) else entry.pump
    if ALL in names:
        return entry
    found = tuple(again for name in names for again in _names(name, block, pumps))
    return replace(entry, pump=found)


def _patients(patient: Patient, block: int, pumps: int) -> Iterator[Patient]:
    for copy, name in enumerate(_names(patient.pump, block, pumps)):
        therapy = patient.therapy
        if therapy is not None and copy:
            therapy = f"{therapy}-{copy + 1}"
        yield replace(patient, pump=name, therapy=therapy)


def _names(name: str, block: int, pumps: int) -> list[str]:
    """The pumps that stand where this one stands, block by block; itself even beyond the last."""
    first = pump_number(name)
    return [f"P-{number}" for number in range(first, max(pumps, first) + 1, block)]


def wills(said: list[Output]) -> dict[str, Connect]:
    """The connections among some outputs, by session; of several the last."""
    return {output.session: output for output in said if isinstance(output, Connect)}
