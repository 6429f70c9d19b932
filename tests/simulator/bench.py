"""What the tests of simulator/ share: the shipped profile, one pump on physics, decoded output."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from infusion.messages import Event, Message, PumpMessage, Telemetry, decode, parse_topic
from infusion.units import nanolitres
from simulator.fleet import Fleet
from simulator.machine import Happening, Mode
from simulator.operation import Said, handle
from simulator.physics import State, step
from simulator.profile import Profile, read_profile
from simulator.programming import Bolus, Settings
from simulator.pump import Happened, Pump, Readings
from simulator.senses import sense
from simulator.setup import named_scenario, setup_of
from simulator.story.scenario import Scenario, read_scenario
from simulator.stream import Outgoing, Output

CONFIG = Path(__file__).resolve().parents[2] / "config"
START_MS = 1_790_000_000_000
MINUTE_MS = 60_000


def shipped_profile() -> Profile:
    """The ambulatory pump."""
    path = CONFIG / "pumps" / "ambulatory.toml"
    return read_profile(path.read_bytes(), path.name)


def exact_profile() -> Profile:
    """The same pump without strokes or any error of flow, so that volumes can be told beforehand.

    Its line and limit are round numbers: 0.49 mL are held at 500 mmHg.
    """
    return replace(
        shipped_profile(),
        bias_sd=0.0,
        bias_max=0.0,
        ripple_sd=0.0,
        ripple_max=0.0,
        stroke_rest_share=1.0,
        compliance_ml_mmhg=0.001,
        occlusion_limit_mmhg=500.0,
        occlusion_spread_mmhg=0.0,
    )


def shipped_scenario(name: str) -> Scenario:
    """A scenario of config/scenarios, with its carer."""
    return named_scenario(name)


def scenario(text: str) -> Scenario:
    """A scenario from text."""
    return read_scenario(text.encode(), "test.toml")


def fleet(story: Scenario, **changes: object) -> Fleet:
    """A fleet with the defaults of these tests, and all that its scenario names."""
    setup = setup_of(story, "ambulatory")
    arguments: dict[str, object] = {
        "pumps": story.header.pumps,
        "start_ms": START_MS,
        "seed": 7,
        "profiles": setup.profiles,
        "library": setup.library,
        "guideline": setup.guideline,
    } | changes
    profile = arguments.pop("profile", setup.profile)
    assert isinstance(profile, Profile)
    return Fleet(story, profile, **arguments)  # type: ignore[arg-type]


# How finely a whole scenario runs in tests, by its length in hours: what takes long does not hang
# on a second, and a fleet does what is due at the grid points of any grid.
PACES = ((1.5, 1.0, 10.0), (4.0, 5.0, 10.0), (48.0, 10.0, 60.0), (float("inf"), 60.0, 300.0))


def pace(story: Scenario) -> dict[str, float]:
    """The grid and the telemetry of a test that runs a whole scenario, as arguments of a fleet."""
    hours = story.header.duration.ms / (60 * MINUTE_MS)
    step_s, interval_s = next((step, each) for limit, step, each in PACES if hours <= limit)
    return {"step_s": step_s, "interval_s": interval_s}


def whole(story: Scenario, **changes: object) -> tuple[Fleet, list[Output]]:
    """A fleet that has run a whole scenario, and what it said."""
    run = fleet(story, **changes)
    return run, run.advance(START_MS + story.header.duration.ms)


QUIET = scenario('duration = "01:00"\npumps = 4\nquiet = true')


def minutes(count: float) -> int:
    """A time of the story."""
    return START_MS + round(count * MINUTE_MS)


def decoded(outputs: Iterable[Output], pump: str | None = None) -> list[Message]:
    """The messages among some outputs, of one pump or of all sessions."""
    return [
        decode(parse_topic(output.topic), output.payload)
        for output in outputs
        if isinstance(output, Outgoing) and pump in (None, output.session)
    ]


def events(outputs: Iterable[Output], pump: str | None = None) -> list[Event]:
    """The events among some outputs."""
    return [message for message in decoded(outputs, pump) if isinstance(message, Event)]


def telemetry(outputs: Iterable[Output], pump: str | None = None) -> list[Telemetry]:
    """The telemetry among some outputs."""
    return [message for message in decoded(outputs, pump) if isinstance(message, Telemetry)]


class OnePump:
    """One machine on physics of size one, moved second by second."""

    def __init__(
        self,
        profile: Profile,
        rate_ml_h: float = 12.0,
        *,
        vtbi_ml: float = 0.0,
        bag_ml: float = 250,
    ) -> None:
        self.profile = profile
        zeros = np.zeros(1)
        self.state = State(profile, bias=zeros, ripple=zeros.copy(), keys=np.zeros(1, np.uint64))
        self.state.fill(0, bag_ml)
        settings = Settings(
            rate_ml_h=rate_ml_h,
            concentration_iu_ml=100.0,
            weight_kg=80.0,
            therapy="T-01",
            vtbi_ml=vtbi_ml,
        )
        self.pump = Pump(
            name="P-01",
            profile=profile,
            settings=settings,
            mode=Mode.BOOTING,
            vtbi_at_nl=nanolitres(vtbi_ml) if vtbi_ml else None,
        )
        self.said: Said = []
        self.now_ms = START_MS

    @property
    def readings(self) -> Readings:
        state = self.state
        reservoir = state.reservoir_ml(0)
        return Readings(
            counted_ml=float(state.counted_ml[0]),
            reservoir_ml=reservoir,
            pressure_mmhg=state.sensed_mmhg(0),
            flow_ml_h=state.flow_ml_h(0),
            drive_ml_h=float(state.drive_ml_h[0]),
            battery=1.0,
            battery_left_min=float("inf"),
            on_mains=True,
            is_occluded=bool(state.over_s[0] >= state.filter_s(0)),
            is_line_open=state.sensed_mmhg(0) < 0.5 * state.limit_mmhg(0),
            is_empty=reservoir <= 0,
            is_low=reservoir <= self.profile.reservoir_low_ml,
        )

    def is_in(self, mode: Mode) -> bool:
        """Whether the pump is in a mode now; a call, so that no checker remembers the answer."""
        return self.pump.mode is mode

    def does(self, what: Happening, **details: object) -> None:
        """Something happens to the pump now."""
        happened = Happened(what, **details)  # type: ignore[arg-type]
        self.said += handle(self.pump, happened, self.readings, self.now_ms)
        self._sync()

    def programs(self, *, restarts_vtbi: bool = False, **changes: float) -> None:
        """Somebody changes settings."""
        settings = replace(self.pump.settings, **changes)
        self.does(Happening.PROGRAM, settings=settings, restarts_vtbi=restarts_vtbi)

    def gives(self, volume_ml: float, duration_s: float) -> None:
        """Somebody gives a bolus."""
        self.does(Happening.BOLUS, bolus=Bolus(volume_ml, duration_s))

    def runs(self, seconds: int) -> None:
        """Time passes."""
        for _ in range(seconds):
            step(self.state, 1.0)
            self.now_ms += 1000
            self.said += sense(self.pump, self.readings, self.now_ms)
            self._sync()

    def _sync(self) -> None:
        self.state.drive_ml_h[0] = self.pump.drive_ml_h
        self.state.stop_at_ml[0] = self.pump.stop_at_ml

    @property
    def events(self) -> list[Event]:
        return [message for message in self.said if isinstance(message, Event)]

    def told(self) -> list[str]:
        """The events, each on a line, as a golden has it."""
        return [line(event) for event in self.events]


def line(event: Event) -> str:
    """One event in short: its name, and what IPEC wants to be right."""
    name = event.event.removeprefix("MDC_EVT_").removeprefix("PUMP_")
    parts = [name if event.phase is None else f"{name} {event.phase}", event.delivery]
    if event.reason is not None:
        parts.append(event.reason)
    if event.source != "primary":
        parts.append(event.source)
    parts.append(f"rate {event.rate_ml_h:g} flow {event.flow_ml_h:g}")
    parts.append(f"segment {event.segment_ml:g} total {event.volume_ml:g}")
    return " | ".join(parts)


def segments_nl(messages: Iterable[PumpMessage]) -> int:
    """The sum of all segments that have ended."""
    return sum(
        nanolitres(message.segment_ml)
        for message in messages
        if isinstance(message, Event) and message.event.endswith(("_DELIV_STOP", "_DELIV_COMP"))
    )
