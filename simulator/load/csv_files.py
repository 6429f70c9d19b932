"""`--csv PREFIX`: the three files that locust writes, with locust's columns.

A request is a message that was published, its response time the time to the acknowledgement; with
QoS 0, where there is none, the time to the subscriber. Times are ms.
"""

import csv
import io
from datetime import datetime
from pathlib import Path

from simulator.load.latency import Histogram, histogram_of
from simulator.load.result import (
    SECOND_PERCENTS,
    Latency,
    Result,
    Second,
    percentiles_ms,
)

PERCENT_HEADS = [f"{percent:g}%" for percent in SECOND_PERCENTS]
STATS_HEADS = [
    "Type",
    "Name",
    "Request Count",
    "Failure Count",
    "Median Response Time",
    "Average Response Time",
    "Min Response Time",
    "Max Response Time",
    "Average Content Size",
    "Requests/s",
    "Failures/s",
    *PERCENT_HEADS,
]
HISTORY_HEADS = [
    "Timestamp",
    "User Count",
    "Type",
    "Name",
    "Requests/s",
    "Failures/s",
    *PERCENT_HEADS,
    "Total Request Count",
    "Total Failure Count",
    "Total Median Response Time",
    "Total Average Response Time",
    "Total Min Response Time",
    "Total Max Response Time",
    "Total Average Content Size",
]
FAILURE_HEADS = ["Method", "Name", "Error", "Occurrences"]
NONE = "N/A"
TYPE = "MQTT"


def write_csv(prefix: str, result: Result) -> None:
    """Write `PREFIX_stats.csv`, `PREFIX_stats_history.csv` and `PREFIX_failures.csv`.

    Raises OSError where a file cannot be written.
    """
    for name, rows in (
        ("stats", stats(result)),
        ("stats_history", history(result)),
        ("failures", failures(result)),
    ):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        Path(f"{prefix}_{name}.csv").write_text(text.getvalue(), encoding="utf-8")


def stats(result: Result) -> list[list[object]]:
    """The head and a row for each kind of request, and all of them."""
    messages, connections = result.messages, result.connections
    failed = messages.refused + messages.dropped + messages.unsent + messages.unacknowledged
    main = _main(result)
    return [
        [*STATS_HEADS],
        _row(TYPE, "connect", result.connect, connections.lost, result.duration_s),
        _row(TYPE, "publish", result.acknowledge, failed, result.duration_s),
        _row(TYPE, "receive", result.end_to_end, messages.lost, result.duration_s),
        _row("", "Aggregated", main, failed + messages.lost, result.duration_s),
    ]


def history(result: Result) -> list[list[object]]:
    """The head and a row for each second."""
    began_s = datetime.fromisoformat(result.started).timestamp()
    rows: list[list[object]] = [[*HISTORY_HEADS]]
    settled = failed = 0
    main = _main(result)
    for second in result.seconds:
        values = _of_second(result, second)
        settled += second.settled
        failed += second.lost_connections
        median = values[0] if values else NONE
        rows.append(
            [
                round(began_s + second.at_s),
                second.connected,
                "",
                "Aggregated",
                second.settled,
                second.lost_connections,
                *(values or [NONE] * len(SECOND_PERCENTS)),
                settled,
                failed,
                median,
                main.mean_ms if main.mean_ms is not None else 0,
                0,
                values[-1] if values else 0,
                0,
            ]
        )
    return rows


def failures(result: Result) -> list[list[object]]:
    """The head and a row for each named reason."""
    rows: list[list[object]] = [[*FAILURE_HEADS]]
    rows += [[TYPE, "connect", reason, n] for reason, n in result.connections.reasons.items()]
    for name in ("refused", "dropped", "unsent", "unacknowledged"):
        count = getattr(result.messages, name)
        if count:
            rows.append([TYPE, "publish", name, count])
    for name in ("lost", "doubled", "reordered"):
        count = getattr(result.messages, name)
        if count:
            rows.append([TYPE, "receive", name, count])
    return rows


def _main(result: Result) -> Latency:
    return result.acknowledge if result.acknowledge.count else result.end_to_end


def _of_second(result: Result, second: Second) -> tuple[float, ...]:
    return second.acknowledge_ms if result.acknowledge.count else second.end_to_end_ms


def _row(kind: str, name: str, latency: Latency, failed: int, duration_s: float) -> list[object]:
    histogram: Histogram = histogram_of(latency.hdr)
    values = percentiles_ms(histogram) or [NONE] * len(SECOND_PERCENTS)
    return [
        kind,
        name,
        latency.count,
        failed,
        latency.p50_ms or 0,
        latency.mean_ms or 0,
        round(histogram.min_us() / 1_000, 3) if latency.count else 0,
        latency.max_ms or 0,
        0,
        round(latency.count / duration_s, 2),
        round(failed / duration_s, 2),
        *values,
    ]
