"""A pump on paper: makes the message stream of one pump by hand, for tests of the core.

It is deliberately not the simulator: flow, programmed rate, counter and alarms are set by the test,
so a stream can say anything, also what no sound pump would say.
"""

from dataclasses import dataclass, field
from typing import Any

from infusion.alarms import Priority
from infusion.messages import AlertChange, Event, Message, Presence, Telemetry
from infusion.monitor import COUNTERS_CLEARED, Monitor
from infusion.prescription import Prescription, RateChange, Start, Step
from infusion.record import Order
from infusion.units import MS_PER_HOUR

T0 = 1_790_000_000_000
SITE = "home"
PUMP = "P-01"
WEIGHT_KG = 80.0
CONCENTRATION = 100.0
ORDERED_IU_KG_H = 18.0
# 18 IU/kg/h × 80 kg ÷ 100 IU/mL
RATE_ML_H = 14.4

Stream = list[tuple[int, Message]]


def clock(text: str) -> int:
    """Milliseconds in "HH:MM:SS" or "HH:MM"."""
    parts = [int(part) for part in text.split(":")]
    hours, minutes, seconds = (*parts, 0)[:3]
    return ((hours * 60 + minutes) * 60 + seconds) * 1000


def spoken(ms: int) -> str:
    """The time since T0 as "HH:MM:SS"."""
    seconds = (ms - T0) // 1000
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def order(*steps: Step, version: int = 1, pump: str = PUMP, therapy: str = "T-01") -> Prescription:
    """An order for the pump on paper; without steps, the usual rate from T0 on."""
    return Prescription(
        therapy=therapy,
        version=version,
        pump=pump,
        weight_kg=WEIGHT_KG,
        concentration_iu_ml=CONCENTRATION,
        steps=steps or (Start(at_ms=T0, rate_iu_kg_h=ORDERED_IU_KG_H),),
    )


def rate_change(at: str, rate_iu_kg_h: float) -> RateChange:
    return RateChange(at_ms=T0 + clock(at), rate_iu_kg_h=rate_iu_kg_h)


def presence(state: str = "online", *, boot: int = 1, at: str = "00:00", **more: Any) -> Presence:
    fields: dict[str, Any] = {
        "pump": PUMP,
        "boot": boot,
        "state": state,
        "time_ms": T0 + clock(at),
        "firmware": "1.0",
        "profile": "paper",
        "interval_s": 10.0,
        "rate_max_ml_h": 500.0,
    }
    return Presence(**(fields | more))


@dataclass
class Paper:
    """The pump on paper. `run` sends telemetry at equal intervals; `set` changes a field at once."""

    pump: str = PUMP
    therapy: str | None = "T-01"
    interval_ms: int = 10_000
    now_ms: int = T0
    flow_ml_h: float = RATE_ML_H
    volume_nl: int = 0
    boot: int = 1
    seq: int = 0
    state: dict[str, Any] = field(default_factory=dict)
    stream: Stream = field(default_factory=list)
    muted: bool = False
    residue: float = 0.0
    # The counter shows whole strokes of this volume; 0 for a counter that moves evenly.
    step_nl: int = 0

    @property
    def shown_ml(self) -> float:
        """What the counter shows."""
        return (
            self.volume_nl - self.volume_nl % self.step_nl if self.step_nl else self.volume_nl
        ) / 1e6

    def send(self, kind: type[Telemetry] | type[Event] = Telemetry, **more: Any) -> None:
        """Send one message now."""
        values: dict[str, Any] = {
            "pump": self.pump,
            "boot": self.boot,
            "seq": self.seq,
            "time_ms": self.now_ms,
            "status": "infusing",
            "delivery": "delivering",
            "rate_ml_h": RATE_ML_H,
            "flow_ml_h": self.flow_ml_h,
            "volume_ml": self.shown_ml,
            "segment_ml": self.shown_ml,
            "concentration_iu_ml": CONCENTRATION,
            "therapy": self.therapy,
            "order_version": 1,
        }
        if kind is Telemetry:
            values |= {
                "vtbi_ml": 250.0,
                "vtbi_remaining_ml": 100.0,
                "weight_kg": WEIGHT_KG,
                "dose_rate_iu_kg_h": ORDERED_IU_KG_H,
                "reservoir_ml": 200.0,
                "pressure_mmhg": 60.0,
                "air_ul": 0.0,
                "battery": 0.9,
                "power": "mains",
            }
        known = {key: value for key, value in self.state.items() if key in kind.__struct_fields__}
        self.seq += 1
        if not self.muted:
            self.stream.append((self.now_ms, kind(**(values | known | more))))

    def run(self, until: str) -> "Paper":
        """Pump and send telemetry at each interval, up to and including an instant."""
        end_ms = T0 + clock(until)
        while self.now_ms < end_ms:
            step_ms = min(
                self.interval_ms - (self.now_ms - T0) % self.interval_ms, end_ms - self.now_ms
            )
            exact = self.flow_ml_h * step_ms / MS_PER_HOUR * 1e6 + self.residue
            self.volume_nl += int(exact)
            self.residue = exact - int(exact)
            self.now_ms += step_ms
            if (self.now_ms - T0) % self.interval_ms == 0:
                self.send()
        return self

    def set(self, flow_ml_h: float | None = None, **fields: Any) -> "Paper":
        """Change what the pump does and says, and send telemetry at once."""
        if flow_ml_h is not None:
            self.flow_ml_h = flow_ml_h
        self.state |= fields
        self.send()
        return self

    def stop(self, reason: str = "by-clinician", **fields: Any) -> "Paper":
        return self.set(
            0.0, status="not-infusing", delivery="not-delivering", reason=reason, **fields
        )

    def start(self, flow_ml_h: float = RATE_ML_H, **fields: Any) -> "Paper":
        return self.set(flow_ml_h, status="infusing", delivery="delivering", reason=None, **fields)

    def program(self, rate_ml_h: float, **fields: Any) -> "Paper":
        """Pump at another programmed rate."""
        return self.set(rate_ml_h, rate_ml_h=rate_ml_h, **fields)

    def event(self, event: str, **fields: Any) -> "Paper":
        """Send an event now."""
        self.send(Event, event=event, **fields)
        return self

    def clear_counter(self) -> "Paper":
        """The user sets the volume counter to zero; telemetry just before says what it was."""
        self.send()
        self.volume_nl, self.residue = 0, 0.0
        return self.event(COUNTERS_CLEARED)

    def reboot(self, *, off: str) -> "Paper":
        """Restart: telemetry says where the counter was, then the pump is off for a while."""
        self.send()
        self.now_ms += clock(off)
        self.boot, self.seq, self.volume_nl, self.residue = self.boot + 1, 0, 0, 0.0
        return self.say(self.presence())

    def presence(self, state: str = "online") -> Presence:
        """What the pump says of its connection now."""
        return presence(state, boot=self.boot, pump=self.pump, time_ms=self.now_ms)

    def mute(self, muted: bool = True) -> "Paper":
        """Pump on without sending; what would have been sent is lost."""
        self.muted = muted
        return self

    def say(self, message: Message) -> "Paper":
        """Put another message into the stream now."""
        self.stream.append((self.now_ms, message))
        return self


def begin(*steps: Step, **more: Any) -> Paper:
    """A pump that has an order, is online, and starts to infuse at T0."""
    paper = Paper(**more)
    paper.say(order(*steps, pump=paper.pump, therapy=paper.therapy or "T-01"))
    paper.say(
        presence(
            pump=paper.pump,
            time_ms=paper.now_ms,
            interval_s=paper.interval_ms / 1_000,
            volume_step_ml=paper.step_nl / 1e6,
        )
    )
    paper.send()
    return paper


def feed(
    stream: Stream, *, until: str | None = None, monitor: Monitor | None = None
) -> tuple[Monitor, list[AlertChange]]:
    """Give a stream to a monitor, each message at its time, and let time pass to the end.

    Between messages the broker's heartbeat comes through every half second.
    """
    monitor = monitor or Monitor()
    changes: list[AlertChange] = []
    for at_ms, message in stream:
        changes += beat(monitor, at_ms)
        changes += monitor.receive(message, SITE, at_ms)
    if until is not None:
        changes += beat(monitor, T0 + clock(until))
    return monitor, changes


def beat(monitor: Monitor, until_ms: int) -> list[AlertChange]:
    """Let time pass up to an instant, half a second at a time."""
    changes: list[AlertChange] = []
    at_ms = monitor.clock.received_ms or until_ms
    while at_ms + 500 < until_ms:
        at_ms += 500
        changes += monitor.tick(at_ms)
    return changes + monitor.tick(until_ms)


def told(changes: list[AlertChange], *, notices: bool = False) -> list[str]:
    """What was said of hazards, one line a change: when, what, which rule, which priority.

    Notices ask nobody to act, and are left out unless they are asked for. Nobody does anything on
    paper, so who is called follows from the priority and the time alone, and every HIGH alert that
    ends has not been seen: tests/infusion/test_acts.py has the people.
    """
    return [
        f"{spoken(change.alert.changed_ms)} {change.change.removesuffix('-unseen')}"
        f" {change.alert.rule} {change.alert.priority.value}"
        for change in changes
        if change.change not in ("called", "dropped")
        and (notices or change.alert.priority is not Priority.NOTICE)
    ]


def order_of(monitor: Monitor, key: str) -> Order:
    """The order of a therapy, by `site/therapy`."""
    order = monitor.therapies.records[key].order
    assert order is not None
    return order


def says(paper: Paper, until: str | None = None) -> list[str]:
    """What is said of a paper pump's stream."""
    return told(feed(paper.stream, until=until)[1])
