"""The trend of one pump: delivered against ordered, pressure, level, results, marks of alerts."""

from typing import Annotated

from msgspec import Meta, Struct

from infusion.alarms import Priority
from infusion.alert import Change
from infusion.clinical import LabResult
from infusion.messages import AlertChange
from infusion.prescription import TimeMs
from infusion.units import MS_PER_DAY
from monitor.samples import Sample
from monitor.web.api.office import Office, look_back
from monitor.web.operations import PREFIX, Call, Operation
from monitor.web.problems import problem
from monitor.web.ward import LogQuery, Row

POINTS_MAX = 2_000
MARKS_MAX = 500
SPAN_MS = MS_PER_DAY
SPAN_MS_MAX = 31 * MS_PER_DAY
# What the hazard did; what people and time did to its alert is in the history.
MARKED: frozenset[Change] = frozenset(
    {
        "raised",
        "escalated",
        "deescalated",
        "latched",
        "returned",
        "cleared",
        "cleared-unseen",
    }
)


class TrendQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Which stretch of time, on the pump's clock, and in how many points at most."""

    from_ms: Annotated[TimeMs | None, Meta(description="a day before `to_ms` if left out")] = None
    to_ms: Annotated[TimeMs | None, Meta(description="now if left out")] = None
    points: Annotated[
        int, Meta(ge=1, le=POINTS_MAX, description="of more samples, one of each equal span")
    ] = 500


class TrendSample(Struct, frozen=True, omit_defaults=True):
    """One instant. Doses in IU are cumulative over the therapy; levels in IU/mL, between `low` and
    `high` by 90 %. What is not known is left out."""

    time_ms: int
    delivered_iu: float
    rate_ml_h: float
    flow_ml_h: float
    expected_iu: float | None = None
    ordered_iu_h: float | None = None
    pressure_mmhg: float | None = None
    level: float | None = None
    level_low: float | None = None
    level_high: float | None = None
    reservoir_ml: float | None = None


class TrendMark(Struct, frozen=True):
    """What an alert's hazard did, and when."""

    time_ms: int
    change: Change
    alert: str
    rule: str
    priority: Priority
    title: str


class Trend(Struct, frozen=True):
    """A stretch of one pump's time, oldest first. Where the pump was not heard there is no sample.

    `results` are those whose blood was drawn in it; `drawn_ms` and all else is on the pump's clock.
    `is_whole` says that no mark is left out.
    """

    from_ms: int
    to_ms: int
    samples: list[TrendSample]
    results: list[LabResult]
    marks: list[TrendMark]
    is_whole: bool


async def show_trend(office: Office, call: Call[TrendQuery]) -> Trend:
    """Samples of one pump over time, with laboratory results and marks of alerts.

    There is a sample a minute where the pump was heard; gaps are gaps. All times are on the pump's
    clock.
    """
    query = call.given
    key, state = office.pump(call.path["site"], call.path["pump"])
    monitor = office.ward.monitor
    to_ms = query.to_ms if query.to_ms is not None else monitor.pump_ms(state)
    from_ms = query.from_ms if query.from_ms is not None else to_ms - SPAN_MS
    if not 0 <= to_ms - from_ms <= SPAN_MS_MAX:
        days = SPAN_MS_MAX // MS_PER_DAY
        detail = f"from_ms must not lie after to_ms, nor more than {days} days before it"
        raise problem("refused", detail, field="from_ms")
    samples = await office.ward.samples(key, from_ms, to_ms, query.points)
    marks, is_whole = await _marks(office, key, from_ms, to_ms)
    record = monitor.therapies.record_of(key, state)
    shift_ms = state.clock_shift_ms
    results = record.results if record is not None else []
    return Trend(
        from_ms=from_ms,
        to_ms=to_ms,
        samples=[_sample(each) for each in samples],
        results=[
            _moved(each, shift_ms)
            for each in results
            if from_ms <= each.drawn_ms + shift_ms <= to_ms
        ],
        marks=marks,
        is_whole=is_whole,
    )


async def _marks(
    office: Office, key: str, from_ms: int, to_ms: int
) -> tuple[list[TrendMark], bool]:
    """The newest marks of a stretch, oldest first, and whether they are all."""

    def pick(row: Row) -> TrendMark | None:
        if not isinstance(row.said, AlertChange) or row.said.change not in MARKED:
            return None
        mark = _mark(row.said)
        return mark if mark.time_ms <= to_ms else None

    query = LogQuery(pump=key, kind="change", since_ms=from_ms)
    found, are_all = await look_back(office.ward, query, pick, MARKS_MAX)
    return found[::-1], are_all


def _mark(change: AlertChange) -> TrendMark:
    alert = change.alert
    return TrendMark(
        alert.changed_ms, change.change, alert.id, alert.rule, alert.priority, alert.title
    )


def _sample(sample: Sample) -> TrendSample:
    return TrendSample(**{name: getattr(sample, name) for name in Sample.__struct_fields__})


def _moved(result: LabResult, by_ms: int) -> LabResult:
    """A result on the pump's clock, which may have been set."""
    if not by_ms:
        return result
    fields = {name: getattr(result, name) for name in result.__struct_fields__}
    fields["drawn_ms"] += by_ms
    fields["resulted_ms"] += by_ms
    return LabResult(**fields)


OPERATIONS = (
    Operation(
        method="GET",
        path=f"{PREFIX}/pumps/{{site}}/{{pump}}/trend",
        handler=show_trend,
        query=TrendQuery,
        answer=Trend,
        problems=("unknown-pump", "refused", "store-failed"),
    ),
)
