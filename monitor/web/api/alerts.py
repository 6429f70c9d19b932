"""Open alerts, worst first, and one alert with all that was said of it."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, Struct

from infusion.alarms import Priority
from infusion.alert import Alert
from infusion.alerts import open_alerts, unseen_alerts
from infusion.messages import AlertChange
from infusion.monitor import Monitor
from monitor.web.api.office import HistoryRow, Office, cursor, history_row, read_cursor
from monitor.web.operations import (
    PREFIX,
    Call,
    CursorText,
    Limit,
    Nothing,
    Operation,
    Search,
    Site,
)
from monitor.web.problems import problem
from monitor.web.ward import LogQuery

# How far back the log is looked through for what was said of one alert.
ROWS_MAX = 1_000
HISTORY_MAX = 200


class AlertQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Which alerts are asked for."""

    site: Site = ""
    priority: Annotated[Priority | None, Meta(description="only this priority")] = None
    rule: Annotated[str, Meta(max_length=64, description="only this rule")] = ""
    q: Search = ""
    taken: Annotated[
        bool | None, Meta(description="only those that somebody has taken, or nobody")
    ] = None
    unseen: Annotated[
        bool, Meta(description="those that are over and that nobody has seen, instead of open ones")
    ] = False
    limit: Limit = 100
    cursor: CursorText = ""


class AlertPage(Struct, frozen=True, omit_defaults=True):
    """Some alerts, and the cursor of the next ones; without it there are no more."""

    items: list[Alert]
    next: str = ""


class AlertView(Struct, frozen=True):
    """An alert as it stands or stood last, and what was said of it lately, newest first."""

    alert: Alert
    history: list[HistoryRow]


async def list_alerts(office: Office, call: Call[AlertQuery]) -> AlertPage:
    """Open alerts of all pumps, worst and oldest first.

    A cursor walks through the alerts that fitted when its first page was asked for, in the order
    that they had then, whatever the other parameters say. Each is given as it stands now; what is
    over by now is left out, and what came since is not on these pages.
    """
    query, monitor = call.given, office.ward.monitor
    place = read_cursor("alerts", query.cursor)
    if place is None:
        found = sorted(_fitting(monitor, query), key=worst_first)
        if len(found) <= query.limit:
            return AlertPage(found)
        walk = office.walks.begin([alert.id for alert in found])
        begin = query.limit
        return AlertPage(found[:begin], cursor("alerts", begin, walk))
    ids = office.walks.ids(place.walk)
    begin = place.after if isinstance(place.after, int) else 0
    end = begin + query.limit
    items = [alert for each in ids[begin:end] if (alert := find_alert(monitor, each)) is not None]
    return AlertPage(items, cursor("alerts", end, place.walk) if end < len(ids) else "")


async def show_alert(office: Office, call: Call[Nothing]) -> AlertView:
    """One alert, open or over, with what was said of it and done about it.

    Of one that is over the newest rows of its pump are looked through; older ones are in the
    history.
    """
    path = call.path
    name = "/".join(path[place] for place in ("site", "pump", "rule", "onset_ms"))
    key, _ = office.pump(path["site"], path["pump"])
    rows = [
        row
        for row in await office.ward.rows(LogQuery(pump=key, limit=ROWS_MAX))
        if _alert_of(history_row(row)) == name
    ]
    alert = find_alert(office.ward.monitor, name)
    if alert is None:
        changes = (row.said.alert for row in rows if isinstance(row.said, AlertChange))
        alert = next(changes, None)
    if alert is None:
        raise problem("unknown-alert", f"no alert {name} is open or in the newest history of {key}")
    return AlertView(alert, [history_row(row) for row in rows[:HISTORY_MAX]])


def find_alert(monitor: Monitor, name: str) -> Alert | None:
    """An open or unseen alert by its id."""
    site, pump, rule = name.split("/")[:3]
    state = monitor.pumps.get(f"{site}/{pump}")
    if state is None:
        return None
    track = state.board.tracks.get(rule)
    if track is not None and track.alert is not None and track.alert.id == name:
        return track.alert
    return next((each for each in state.board.unseen if each.id == name), None)


def worst_first(alert: Alert) -> tuple[int, int, str]:
    """The order of a list of alerts: worst, then oldest."""
    return -alert.priority.rank, alert.raised_ms, alert.id


def open_of(monitor: Monitor, site: str = "", *, unseen: bool = False) -> Iterator[Alert]:
    """Every open alert, or every one that is over and unseen, of one site or of all."""
    for state in monitor.pumps.values():
        if site and state.site != site:
            continue
        if unseen:
            yield from unseen_alerts(state.board)
        elif state.board.tracks:
            yield from open_alerts(state.board)


def _fitting(monitor: Monitor, query: AlertQuery) -> Iterator[Alert]:
    for alert in open_of(monitor, query.site, unseen=query.unseen):
        if query.priority is not None and alert.priority is not query.priority:
            continue
        if query.rule and alert.rule != query.rule:
            continue
        if query.taken is not None and (alert.facts.taken is not None) != query.taken:
            continue
        if not query.q or _has(alert, query.q.casefold()):
            yield alert


def _has(alert: Alert, text: str) -> bool:
    taken = alert.facts.taken.by if alert.facts.taken is not None else ""
    words = (alert.id, alert.therapy or "", alert.title, alert.what, taken)
    return any(text in word.casefold() for word in words)


def _alert_of(row: HistoryRow) -> str:
    if row.change is not None:
        return row.change.alert.id
    assert row.audit is not None, "a row is a change or an audit"
    return row.audit.act.alert


OPERATIONS = (
    Operation(
        method="GET",
        path=f"{PREFIX}/alerts",
        handler=list_alerts,
        query=AlertQuery,
        answer=AlertPage,
        problems=("refused", "cursor-over"),
    ),
    Operation(
        method="GET",
        path=f"{PREFIX}/alerts/{{site}}/{{pump}}/{{rule}}/{{onset_ms}}",
        handler=show_alert,
        answer=AlertView,
        problems=("unknown-pump", "unknown-alert", "store-failed"),
    ),
)
