"""`/metrics` for Prometheus: totals that are read when somebody asks, and nothing counted twice.

One table holds every metric; docs/metrics.md is the same table, and a test keeps it so. Seconds are
seconds of the wall's clock, also where the monitor's runs faster. No metric names a pump: there may
be a hundred thousand of them.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from msgspec import Struct
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from infusion.alarms import Priority
from infusion.units import MS_PER_SECOND
from monitor.web.counts import WardCounts
from monitor.web.guard import check, person_of
from monitor.web.hub import Hub
from monitor.web.ward import Ward

# One value, or one for each value of the label.
Values = float | Mapping[str, float]


class Sources(Struct):
    """What the metrics are read from."""

    ward: Ward
    hub: Hub
    version: str
    counts: WardCounts


class Measure(Struct, frozen=True):
    """One metric: its name without the prefix (of a counter without `_total`), and how to read it.

    `label` names what tells the values of several apart.
    """

    name: str
    kind: Literal["counter", "gauge"]
    words: str
    read: Callable[[Sources], Values]
    label: str = ""

    @property
    def full_name(self) -> str:
        """The name as it is scraped."""
        return f"dripwatch_{self.name}" + ("_total" if self.kind == "counter" else "")


def _seconds(sources: Sources, ms: float) -> float:
    """Seconds of the wall's clock in a time of the monitor's."""
    return ms / sources.ward.speed / MS_PER_SECOND


def _acts(sources: Sources) -> Values:
    totals = sources.ward.totals
    return {
        "done": totals.acts_done,
        "late": totals.acts_late,
        "refused": totals.acts_refused,
    }


def _open(sources: Sources) -> Values:
    open_ = sources.counts.total.open
    return {priority.value: count for priority, count in zip(Priority, open_, strict=True)}


def _by_rule(which: Literal["raised", "damped", "dropped"]) -> Callable[[Sources], Values]:
    """How often it happened to alerts, by their rule."""
    return lambda sources: {
        key: getattr(count, which) for key, count in sorted(sources.counts.total.rules.items())
    }


def _commit_age(sources: Sources) -> Values:
    ward = sources.ward
    committed_ms = ward.link.committed_ms
    return max(0.0, _seconds(sources, ward.now_ms() - committed_ms)) if committed_ms else 0.0


MEASURES: tuple[Measure, ...] = (
    Measure(
        "info",
        "gauge",
        "Always 1; the label tells the version.",
        lambda s: {s.version: 1},
        "version",
    ),
    Measure(
        "ready",
        "gauge",
        "1 once the state is resumed and messages are taken.",
        lambda s: float(s.ward.is_ready),
    ),
    Measure(
        "messages",
        "counter",
        "Messages that were taken and stored, refused ones too.",
        lambda s: s.ward.totals.messages,
    ),
    Measure(
        "messages_refused",
        "counter",
        "Messages that contract v1 does not allow, or that make no sense.",
        lambda s: s.ward.monitor.refused,
        "kind",
    ),
    Measure(
        "messages_repeated",
        "counter",
        "Messages that came again after a restart and were known word for word.",
        lambda s: s.ward.totals.again,
    ),
    Measure(
        "messages_known",
        "counter",
        "Messages of pumps that came once more, and count once.",
        lambda s: s.counts.total.duplicates,
    ),
    Measure(
        "messages_late",
        "counter",
        "Messages of pumps that came after a later one, and were filled in.",
        lambda s: s.counts.total.late,
    ),
    Measure(
        "messages_too_late",
        "counter",
        "Messages that were older than what is kept of their pump; its counter told their volume.",
        lambda s: s.counts.total.too_late,
    ),
    Measure(
        "gaps_closed",
        "counter",
        "Gaps between messages, closed because their pump had more than 16; no volume is lost.",
        lambda s: s.counts.total.closed,
    ),
    Measure(
        "batches",
        "counter",
        "Batches: each is one step of the core and one durable commit.",
        lambda s: s.ward.totals.batches,
    ),
    Measure(
        "snapshots",
        "counter",
        "Snapshots of the state that were stored.",
        lambda s: s.ward.totals.snapshots,
    ),
    Measure(
        "alert_changes",
        "counter",
        "Changes of alerts that were said.",
        lambda s: s.ward.totals.changes,
    ),
    Measure("acts", "counter", "What people did, by what became of it.", _acts, "outcome"),
    Measure("alerts_open", "gauge", "Open alerts.", _open, "priority"),
    Measure("alerts_raised", "counter", "Alerts that were said.", _by_rule("raised"), "rule"),
    Measure(
        "alerts_damped",
        "counter",
        "Times that an alert came back while it was held open because it flaps.",
        _by_rule("damped"),
        "rule",
    ),
    Measure(
        "alerts_dropped",
        "counter",
        "Alerts not said because 16 of their pump were open, and unseen ones beyond 8 of a pump.",
        _by_rule("dropped"),
        "rule",
    ),
    Measure(
        "alerts_unseen",
        "gauge",
        "HIGH alerts that were over before anybody saw them.",
        lambda s: s.counts.total.unseen,
    ),
    Measure(
        "pumps", "gauge", "Pumps that were ever heard of.", lambda s: len(s.ward.monitor.pumps)
    ),
    Measure(
        "pumps_silent",
        "gauge",
        "Pumps that are not heard though they should be.",
        lambda s: len(s.counts.silent),
    ),
    Measure(
        "broker_connected",
        "gauge",
        "1 while the broker is connected.",
        lambda s: float(s.ward.link.connected),
    ),
    Measure(
        "lag_seconds",
        "gauge",
        "How old the oldest message of the last batch was when it was stored.",
        lambda s: _seconds(s, s.ward.link.lag_ms),
    ),
    Measure(
        "behind_seconds",
        "gauge",
        "How far behind its broker the monitor is, by its own heartbeat.",
        lambda s: _seconds(s, s.ward.link.behind_ms),
    ),
    Measure(
        "inbox_messages",
        "gauge",
        "Messages that have arrived and wait to be taken.",
        lambda s: s.ward.link.inbox,
    ),
    Measure(
        "inbox_dropped",
        "counter",
        "Messages of QoS 0 that found the inbox full.",
        lambda s: s.ward.link.dropped,
    ),
    Measure(
        "outbox_messages",
        "gauge",
        "Messages of the monitor that wait for the broker.",
        lambda s: s.ward.link.outbox,
    ),
    Measure(
        "commit_age_seconds",
        "gauge",
        "Time since the last durable commit; 0 before the first.",
        _commit_age,
    ),
    Measure(
        "stalled_seconds",
        "counter",
        "Time in which no message came through, not counted against any pump.",
        lambda s: _seconds(s, s.ward.monitor.clock.stalled_ms),
    ),
    Measure("page_viewers", "gauge", "Streams that are open.", lambda s: s.hub.viewers),
    Measure("page_streams", "counter", "Streams that were opened.", lambda s: s.hub.totals.viewers),
    Measure(
        "page_streams_resumed",
        "counter",
        "Streams that were opened where another had ended, without a snapshot.",
        lambda s: s.hub.totals.resumed,
    ),
    Measure(
        "page_streams_refused",
        "counter",
        "Streams that were refused because too many were open.",
        lambda s: s.hub.totals.refused,
    ),
    Measure(
        "page_streams_dropped",
        "counter",
        "Streams that were ended because nothing was taken from them.",
        lambda s: s.hub.totals.dropped,
    ),
    Measure(
        "page_patches",
        "counter",
        "Patches, each made once for all viewers.",
        lambda s: s.hub.totals.patches,
    ),
    Measure("page_rows", "counter", "Rows of pumps that were made.", lambda s: s.hub.totals.rows),
    Measure(
        "page_sent_bytes",
        "counter",
        "Bytes of events that were sent to viewers.",
        lambda s: s.hub.totals.bytes_sent,
    ),
)


class WardCollector(Collector):
    """Reads every metric of `MEASURES` when it is scraped."""

    def __init__(self, ward: Ward, hub: Hub, version: str, counts: WardCounts) -> None:
        self._ward = ward
        self._hub = hub
        self._version = version
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """All metrics as they stand."""
        sources = Sources(self._ward, self._hub, self._version, self._counts)
        for measure in MEASURES:
            family = CounterMetricFamily if measure.kind == "counter" else GaugeMetricFamily
            labels = [measure.label] if measure.label else []
            metric = family(f"dripwatch_{measure.name}", measure.words, labels=labels)
            values = measure.read(sources)
            if isinstance(values, Mapping):
                for name, value in values.items():
                    metric.add_metric([name], value)
            else:
                metric.add_metric([], values)
            yield metric


def routes(
    ward: Ward, hub: Hub, version: str, counts: WardCounts, *, is_open: bool
) -> list[BaseRoute]:
    """`/metrics`; with `is_open` it needs no token."""
    registry = CollectorRegistry()
    registry.register(WardCollector(ward, hub, version, counts))
    ProcessCollector(registry=registry)

    async def metrics(request: Request) -> Response:
        if not is_open:
            check(person_of(request), "metrics")
        await counts.look()
        encode, kind = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"Content-Type": kind})

    return [Route("/metrics", metrics)]
