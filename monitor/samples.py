"""What is kept of each pump's numbers for its trend: one sample a minute of the monitor's clock.

At high speed a minute is short, so there is never more than one sample a second of the wall's. A
pump that was not heard since its last sample gets none: the gap in the trend is the silence.
Sampling a large fleet would hold the loop up, so each batch samples some pumps until the round is
done.
"""

from collections.abc import Iterator

from msgspec import Struct

from infusion.account import therapy
from infusion.level import estimate
from infusion.monitor import Monitor, PumpState

EVERY_MS = 60_000
# So many pumps are sampled with one batch: a few milliseconds.
SLICE = 200


class Sample(Struct, frozen=True, array_like=True):
    """One instant of a pump. `time_ms` is on the pump's own clock.

    The doses are cumulative, in IU, over the therapy that the pump gives (`delivered_iu` starts
    anew with another). The level is in IU/mL: median, and the middle 90 % of what it may be. None
    where nothing is known: without an order, without a level.
    """

    time_ms: int
    delivered_iu: float
    expected_iu: float | None
    rate_ml_h: float
    flow_ml_h: float
    ordered_iu_h: float | None
    pressure_mmhg: float | None
    level: float | None
    level_low: float | None
    level_high: float | None
    reservoir_ml: float | None


def sample_of(monitor: Monitor, key: str, state: PumpState) -> Sample | None:
    """A pump as its newest live message left it; None while it has told nothing to sum up."""
    edge, telemetry = state.edge, state.telemetry
    whole = therapy(state.account)
    if edge is None or whole is None:
        return None
    ordered = monitor.therapies.ordered(key)
    level = estimate(state.level)
    return Sample(
        time_ms=edge.time_ms,
        delivered_iu=whole.delivered_iu,
        expected_iu=None if ordered is None else ordered.timeline.dose_until_iu(edge.time_ms),
        rate_ml_h=edge.rate_ml_h,
        flow_ml_h=edge.flow_ml_h,
        ordered_iu_h=None if ordered is None else ordered.timeline.rate_iu_h(edge.time_ms),
        pressure_mmhg=None if telemetry is None else telemetry.pressure_mmhg,
        level=None if level is None else level.median,
        level_low=None if level is None else level.low,
        level_high=None if level is None else level.high,
        reservoir_ml=None if telemetry is None else telemetry.reservoir_ml,
    )


class Sampler:
    """Which pumps are sampled with this batch."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._round: Iterator[tuple[str, PumpState]] = iter(())
        self._is_busy = False
        self._began_ms = 0
        self._before_ms = 0

    def take(self) -> list[tuple[str, Sample]]:
        """The samples that are due now, each with the `site/pump` that it is of."""
        monitor, clock_ms = self._monitor, self._monitor.clock.clock_ms
        if not self._is_busy:
            if clock_ms - self._began_ms < max(EVERY_MS, monitor.settings.stall_ms):
                return []
            self._before_ms, self._began_ms = self._began_ms, clock_ms
            self._round = iter(list(monitor.pumps.items()))
            self._is_busy = True
        found: list[tuple[str, Sample]] = []
        for _ in range(SLICE):
            entry = next(self._round, None)
            if entry is None:
                self._is_busy = False
                break
            key, state = entry
            if state.heard_clock_ms > self._before_ms:
                sample = sample_of(monitor, key, state)
                if sample is not None:
                    found.append((key, sample))
        return found
