"""What can go wrong between a pump and the broker: one Struct for each word in a [[fault]].

The word's keys are the Struct's fields; what each does to the messages is in simulator/wire.py.

MQTT keeps the order of a session's messages and delivers QoS 1 at least once (MQTT 5, §4.3.2 and
§4.6 [V2]). So `wire-duplicate` can happen on any network; what drops or reorders is meant as a
fault of a gateway between pump and broker that acknowledges before it has stored, or that works
with several hands. The defaults are ours [A], unless a field says otherwise.
"""

from typing import Annotated, Literal

from msgspec import Meta

from simulator.story.entries import Entry, Seconds
from simulator.story.reading import Offset

Share = Annotated[float, Meta(gt=0, le=1)]
SomeSeconds = Annotated[float, Meta(ge=0, le=86_400)]
RateS = Annotated[float, Meta(gt=0, le=100_000)]


class WireFault(Entry, frozen=True, kw_only=True):
    """A fault between pump and broker, from `at` to `until`; the pump itself knows nothing."""

    until: Offset


class MessageFault(WireFault, frozen=True, kw_only=True):
    """A fault of single messages: chance touches this share of these kinds; presence never."""

    share: Share = 1.0
    of: tuple[Literal["telemetry", "event"], ...] = ("telemetry", "event")


class Drop(MessageFault, frozen=True, kw_only=True):
    """Messages are lost without a trace."""


class Delay(MessageFault, frozen=True, kw_only=True):
    """Messages come later, by `delay_s` and up to `spread_s` more, and still in order."""

    delay_s: SomeSeconds
    spread_s: SomeSeconds = 0.0


class Duplicate(MessageFault, frozen=True, kw_only=True):
    """Messages come `times` more often than they were said, the copies `after_s` later."""

    times: Annotated[int, Meta(ge=1, le=100)] = 1
    after_s: SomeSeconds = 0.0


class Reorder(MessageFault, frozen=True, kw_only=True):
    """Messages are held back, up to `within_s`, while later ones pass them."""

    within_s: Seconds


class WrongTopic(MessageFault, frozen=True, kw_only=True):
    """Messages come on the topic of another pump, or of another kind; the payload stays."""

    as_pump: str | None = None
    as_kind: Literal["telemetry", "event", "presence", "order"] | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where the topic would stay the same."""
        if self.as_pump is None and self.as_kind is None:
            raise ValueError("give 'as_pump', 'as_kind' or both")


class Malformed(MessageFault, frozen=True, kw_only=True):
    """Payloads are damaged: cut off, a text for a number, a number beyond sense, a field gone."""

    how: Literal["truncated", "wrong-type", "huge-number", "missing-field", "any"] = "any"


class WrongContract(MessageFault, frozen=True, kw_only=True):
    """Messages claim another version of the contract than the one they keep."""

    contract: Annotated[str, Meta(min_length=1, max_length=16)] = "2"


class HalfOpen(WireFault, frozen=True, kw_only=True):
    """The other end of the connection is gone, and nobody knows until the keep-alive notices.

    Messages go nowhere from `at`. After `notice_s` the will goes out and the pump knows that it
    is off-line, so that it keeps its messages; what was said before that is sent again later only
    with `kept`. At `until` the network is back: the pump connects, or, where nobody had noticed,
    goes on. The default is 1.5 times a keep-alive of 30 s, after which a broker must close (MQTT
    5, §3.1.2.10 [V2]).
    """

    notice_s: SomeSeconds = 45.0
    kept: bool = True
    backfill_rate_s: RateS | None = None


class Flapping(WireFault, frozen=True, kw_only=True):
    """The Wi-Fi goes for about `down_s` and comes back for about `up_s`, again and again.

    Both times are drawn anew, up to `spread` of themselves shorter or longer.
    """

    down_s: Seconds = 20.0
    up_s: Seconds = 60.0
    spread: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    backfill_rate_s: RateS | None = None


class Storm(WireFault, frozen=True, kw_only=True):
    """The network is away until `until`; then all come back within `spread_s`, with all they kept.

    The back-fill comes at once, or at `backfill_rate_s` messages a second for each pump.
    """

    spread_s: SomeSeconds = 0.0
    backfill_rate_s: RateS | None = None


class Replayed(WireFault, frozen=True, kw_only=True):
    """What was said from `since` to `upto` is said again from `at` on, at most until `until`.

    A gateway that was restored from a backup does it in the pump's own session; with
    `by = "stranger"` somebody else does it, who has listened, in a session of his own.
    """

    since: Offset
    upto: Offset
    rate_s: RateS = 10.0
    by: Literal["pump", "stranger"] = "pump"

    def __post_init__(self) -> None:
        """Raises ValueError where the past is not past."""
        if not self.since < self.upto or self.at < self.upto:
            raise ValueError("'since' must come before 'upto', and that not after 'at'")


class Clone(WireFault, frozen=True, kw_only=True):
    """Another pump has the same name and client id, and its own `boot`, counters and `rate_ml_h`.

    Whoever connects takes the session over from the other, every `swap_s`; both keep what they
    could not say meanwhile. Without `rate_ml_h` the clone runs at the rate of the true pump.
    """

    boot: Annotated[int, Meta(ge=0, le=2**20 - 1)] = 1
    rate_ml_h: Annotated[float, Meta(ge=0, le=10_000)] | None = None
    interval_s: Seconds = 10.0
    swap_s: Seconds = 60.0


# What the word after `do` may be, and which keys go with it.
WIRE_FAULTS: dict[str, type[WireFault]] = {
    "wire-drop": Drop,
    "wire-delay": Delay,
    "wire-duplicate": Duplicate,
    "wire-reorder": Reorder,
    "wrong-topic": WrongTopic,
    "malformed": Malformed,
    "wrong-contract": WrongContract,
    "half-open": HalfOpen,
    "flapping": Flapping,
    "storm": Storm,
    "replayed": Replayed,
    "clone": Clone,
}
