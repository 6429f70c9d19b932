"""The dose of one pump, held against its prescription over the windows that matter.

While a pump is silent its dose is unknown, and shown as unknown: between nothing more than was
counted (`low_iu`) and everything that the programmed rate would have given since, or the order
where that is more (`high_iu`).
"""

from msgspec import Struct

from infusion.account import WINDOWS_MS, Account, Interval, therapy, window
from infusion.messages import PumpMessage
from infusion.prescription import Timeline
from infusion.units import MS_PER_HOUR

THERAPY = "therapy"
# The newest message still speaks for now when it is at most this old.
KNOWN_MS = 60_000


class Dose(Struct, frozen=True):
    """Delivered against ordered, in IU, from an instant up to now.

    `low_iu` and `high_iu` bound what was delivered; they are equal while the dose is known.
    """

    from_ms: int
    to_ms: int
    delivered_iu: float
    low_iu: float
    high_iu: float
    expected_iu: float

    @property
    def is_known(self) -> bool:
        """Whether the pump has been heard recently enough to say."""
        return self.low_iu == self.high_iu

    @property
    def deviation(self) -> float | None:
        """Delivered above ordered, as a fraction of the order; None where nothing is ordered."""
        if self.expected_iu <= 0:
            return None
        return self.delivered_iu / self.expected_iu - 1


def doses(account: Account, edge: PumpMessage, timeline: Timeline, at_ms: int) -> dict[str, Dose]:
    """The dose in each window of `WINDOWS_MS` and over the whole therapy, as of an instant.

    While the newest message still speaks for now, a window ends with it; after that it ends now,
    with the bounds of what is unknown. Windows with less than two samples are left out.
    """
    found: dict[str, Dose] = {}
    for name, length_ms in WINDOWS_MS.items():
        interval = window(account, length_ms)
        if interval is not None:
            found[name] = _dose(interval, edge, timeline, interval.from_ms, at_ms)
    whole = therapy_dose(account, edge, timeline, at_ms)
    if whole is not None:
        found[THERAPY] = whole
    return found


def therapy_dose(
    account: Account, edge: PumpMessage, timeline: Timeline, at_ms: int
) -> Dose | None:
    """The dose over the whole therapy alone, as `doses` gives it; None with less than a sample."""
    whole = therapy(account)
    if whole is None or not timeline.times_ms:
        return None
    begin_ms = min(whole.from_ms, timeline.times_ms[0])
    return _dose(whole, edge, timeline, begin_ms, at_ms)


def _dose(
    interval: Interval, edge: PumpMessage, timeline: Timeline, from_ms: int, at_ms: int
) -> Dose:
    unknown_ms = at_ms - interval.to_ms
    to_ms = interval.to_ms if unknown_ms <= KNOWN_MS else at_ms
    programmed_iu_h = edge.rate_ml_h * edge.concentration_iu_ml
    missed_iu = max(
        programmed_iu_h * (to_ms - interval.to_ms) / MS_PER_HOUR,
        timeline.dose_iu(interval.to_ms, to_ms),
    )
    return Dose(
        from_ms=from_ms,
        to_ms=to_ms,
        delivered_iu=interval.delivered_iu,
        low_iu=interval.delivered_iu,
        high_iu=interval.delivered_iu + missed_iu,
        expected_iu=timeline.dose_iu(from_ms, to_ms),
    )
