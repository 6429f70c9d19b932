"""What is known of one therapy for its account: infusion, holds, hospital, bags, visits.

Times are Unix milliseconds, volumes whole nanolitres. Where any of it came from is named by the
pump and the keys of its messages (`boot-seq`), so that each day can be traced to what was said.
"""

from msgspec import Struct

from infusion.service.spans import Span, Spans
from infusion.units import dose_iu


class Segment(Struct, frozen=True, order=True):
    """Infusion at one concentration and one programmed rate on one pump, without a break.

    `first` and `last` name the messages between which it lies, `messages` is how many there were.
    `estimated` says that messages are missing in it: the volume is the counter's, and when in that
    time it ran is worked out from the rate that was programmed. Its span is never empty.
    """

    span: Span
    pump: str
    volume_nl: int
    concentration_iu_ml: float
    first: str
    last: str
    messages: int
    estimated: bool = False

    @property
    def dose_iu(self) -> float:
        """IU in its volume."""
        return dose_iu(self.volume_nl, self.concentration_iu_ml)

    def volume_in_nl(self, span: Span) -> int:
        """What of it was infused in a span, the flow being even; parts of it add up exactly."""
        return self._until_nl(span.to_ms) - self._until_nl(span.from_ms)

    def _until_nl(self, at_ms: int) -> int:
        whole_ms = self.span.to_ms - self.span.from_ms
        past_ms = min(max(at_ms - self.span.from_ms, 0), whole_ms)
        return self.volume_nl * past_ms // whole_ms


class Bag(Struct, frozen=True, order=True):
    """A bag that was hung, with what was in it then; `source` names the message."""

    at_ms: int
    volume_nl: int
    concentration_iu_ml: float
    source: str
    lot: str = ""

    @property
    def dose_iu(self) -> float:
        """IU in it when it was hung."""
        return dose_iu(self.volume_nl, self.concentration_iu_ml)


class Visit(Struct, frozen=True, order=True):
    """A nurse's visit as it was reported; `lasted_min` None where nobody said how long it was."""

    at_ms: int
    source: str
    by: str
    lasted_min: float | None = None


class Evidence(Struct, frozen=True, kw_only=True):
    """One therapy. It began at `start_ms`; without `stop_ms` it goes on, and is known to
    `until_ms`. `unknown` is the time of which no message tells anything."""

    therapy: str
    start_ms: int
    stop_ms: int | None
    until_ms: int
    segments: tuple[Segment, ...] = ()
    holds: Spans = ()
    hospital: Spans = ()
    unknown: Spans = ()
    bags: tuple[Bag, ...] = ()
    visits: tuple[Visit, ...] = ()

    @property
    def end_ms(self) -> int:
        """The first instant after it: the stop belongs to the day on which it happens."""
        return self.until_ms if self.stop_ms is None else self.stop_ms + 1
