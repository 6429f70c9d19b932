"""A ward that follows a script: a real core, fed by pumps on paper, behind the page's port.

The test holds the clock: nothing happens but by `advance`, `hear` and what people do at the page.
Between two of them the monitor's clock runs on with the wall's, so that ages and beats look alive.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from infusion.clinical import LabResult, Report
from infusion.errors import MessageError
from infusion.messages import Act, AlertChange, Audit, Message, PumpMessage
from infusion.monitor import Monitor
from infusion.prescription import Prescription
from monitor.references import References, read_references
from monitor.runner import Totals
from monitor.samples import Sample, Sampler
from monitor.web.ward import Link, LogQuery, Row, Watcher
from tests.infusion.bench import SITE, T0, Paper, beat, begin, spoken

# Who acts where a test does not say who.
ANYONE = "nurse-1"


def shipped() -> References:
    """The policy that the code has by itself, with the care plan and the guide that ship."""
    files = read_references("alerts")
    return References(care=files.care, guide=files.guide)


@dataclass
class ScriptedWard:
    """The `Ward` port on paper pumps. `link` may be set to what a test wants to be seen."""

    instance: str = "scripted"
    speed: float = 1.0
    references: References = field(default_factory=shipped)
    monitor: Monitor = field(default_factory=Monitor)
    totals: Totals = field(default_factory=Totals)
    is_ready: bool = True
    connected: bool = True
    lag_ms: int = 20
    behind_ms: int = 0
    papers: dict[str, Paper] = field(default_factory=dict)
    at_ms: int = T0
    log: list[Row] = field(default_factory=list)
    kept: dict[str, list[Sample]] = field(default_factory=dict)
    watchers: list[Watcher] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._heard: dict[str, int] = {}
        self._since_s = time.monotonic()
        self._sampler = Sampler(self.monitor)
        self._acts = 0

    # --- the script ------------------------------------------------------------------------------

    def begin(self, *pumps: str, **more: Any) -> None:
        """Pumps that have an order and infuse from now on; therapy T-07 for pump P-07."""
        for pump in pumps:
            paper = begin(pump=pump, therapy=f"T-{pump.removeprefix('P-')}", **more)
            self.papers[pump] = paper
        self.advance(0)

    def advance(self, seconds: int) -> None:
        """Let all pumps pump on for so long, and the monitor hear them."""
        self.at_ms += seconds * 1_000
        self._since_s = time.monotonic()
        self.hear()

    def hear(self) -> None:
        """Hear what the pumps have said until now, in order, and what time brings."""
        news: list[tuple[int, Message]] = []
        until = spoken(self.at_ms)
        for pump, paper in self.papers.items():
            if paper.now_ms < self.at_ms:
                paper.run(until)
            news += paper.stream[self._heard.get(pump, 0) :]
            self._heard[pump] = len(paper.stream)
        news.sort(key=lambda each: each[0])
        said: list[AlertChange | Audit] = []
        keys: set[str] = set()
        for at_ms, message in news:
            said += beat(self.monitor, at_ms)
            said += self.monitor.receive(message, SITE, at_ms)
            self.totals.messages += 1
            if isinstance(message, PumpMessage):
                keys.add(f"{SITE}/{message.pump}")
        said += beat(self.monitor, self.at_ms)
        for key, sample in self._sampler.take():
            self.kept.setdefault(key, []).append(sample)
        self._tell(said, keys)

    def do(self, pump: str, what: Any, by: str = ANYONE, rule: str = "", **fields: Any) -> Audit:
        """Somebody else does something about an open or unseen alert of a pump."""
        board = self.monitor.open_alerts(f"{SITE}/{pump}")
        alert = next(
            each for each in (*board.alerts, *board.unseen) if not rule or each.rule == rule
        )
        self._acts += 1
        return self._perform(
            SITE,
            Act(
                act=f"scripted-{self._acts}",
                pump=pump,
                alert=alert.id,
                version=alert.version,
                what=what,
                by=by,
                role="nurse",
                time_ms=self.at_ms,
                **fields,
            ),
        )

    def _perform(self, site: str, act: Act) -> Audit:
        said: list[AlertChange | Audit] = [*self.monitor.receive(act, site, self.at_ms)]
        audits = [*self.monitor.audits]
        self.monitor.audits.clear()
        self._tell([*said, *audits], {f"{site}/{act.pump}"})
        if not audits:
            raise MessageError("again", f"the act {act.act!r} was stored already; see the history")
        return audits[-1]

    def _tell(self, said: Sequence[AlertChange | Audit], keys: set[str]) -> None:
        rows = [Row(number, each) for number, each in enumerate(said, start=len(self.log) + 1)]
        self.log += rows
        self.totals.batches += 1
        self.totals.changes += len(said)
        for each in said:
            place = each.alert if isinstance(each, AlertChange) else each
            keys.add(f"{place.site}/{place.pump}")
        for watcher in tuple(self.watchers):
            watcher(frozenset(keys), rows)

    # --- the port --------------------------------------------------------------------------------

    @property
    def link(self) -> Link:
        """How it stands to the broker that there is not."""
        return Link(
            address="paper:1883",
            connected=self.connected,
            lag_ms=self.lag_ms,
            committed_ms=self.at_ms,
            behind_ms=self.behind_ms,
        )

    def now_ms(self) -> int:
        """The monitor's clock: the script's, and what went by since its last step."""
        return self.at_ms + round((time.monotonic() - self._since_s) * 1_000 * self.speed)

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Call after each step of the script."""
        self.watchers.append(watcher)
        return lambda: self.watchers.remove(watcher)

    async def act(self, site: str, act: Act) -> Audit:
        """What a person does about an alert."""
        return self._perform(site, act)

    async def tell(self, site: str, message: LabResult | Report | Prescription) -> None:
        """A result, a report or an order. Raises MessageError."""
        self._tell(self.monitor.receive(message, site, self.at_ms), set(self.monitor.pumps))

    async def rows(self, query: LogQuery) -> list[Row]:
        """Rows of the log."""
        found = [
            row
            for row in self.log
            if (query.before is None or row.number < query.before)
            and (query.after is None or row.number > query.after)
            and (query.pump is None or query.pump == _pump(row))
            and (
                query.kind is None or (query.kind == "change") == isinstance(row.said, AlertChange)
            )
            and (query.since_ms is None or _at_ms(row) >= query.since_ms)
        ]
        return (found if query.after is not None else found[::-1])[: query.limit]

    async def samples(self, pump: str, from_ms: int, to_ms: int, points: int) -> list[Sample]:
        """Samples of one pump, one of each span."""
        spans: dict[int, Sample] = {}
        for sample in self.kept.get(pump, []):
            if from_ms <= sample.time_ms <= to_ms:
                spans[(sample.time_ms - from_ms) * points // max(1, to_ms - from_ms + 1)] = sample
        return list(spans.values())


def _pump(row: Row) -> str:
    place = row.said.alert if isinstance(row.said, AlertChange) else row.said
    return f"{place.site}/{place.pump}"


def _at_ms(row: Row) -> int:
    return row.said.alert.changed_ms if isinstance(row.said, AlertChange) else row.said.at_ms


# --- scenes ------------------------------------------------------------------------------------


def names(count: int) -> list[str]:
    """P-01, P-02, …, with as many digits as the last one needs."""
    width = max(2, len(str(count)))
    return [f"P-{number:0{width}}" for number in range(1, count + 1)]


def night(ward: ScriptedWard) -> None:
    """A ward at three in the morning: a dozen pumps, something of everything."""
    ward.begin(*names(14))
    ward.advance(1_800)
    papers = ward.papers
    papers["P-12"].stop(alarms=("air-in-line",))
    ward.advance(120)
    papers["P-12"].start(alarms=())
    papers["P-09"].set(alarms=("battery-low",), battery=0.18, power="battery")
    papers["P-11"].mute()
    ward.advance(420)
    papers["P-05"].program(21.6)
    papers["P-08"].set(alarms=("reservoir-low",), reservoir_ml=9.0)
    papers["P-13"].set(alarms=("near-end",))
    ward.advance(400)
    papers["P-03"].stop("occlusion", alarms=("downstream-occlusion",), pressure_mmhg=620.0)
    papers["P-07"].stop(alarms=("reservoir-empty",), reservoir_ml=0.0)
    ward.advance(200)
    ward.do("P-07", "take", by="Mira", text="bag is on its way")
    ward.do("P-08", "acknowledge", by="Jonas")
    ward.do("P-09", "take", by="Jonas")
    ward.do("P-09", "note", by="Jonas", text="Family looks for the charger.")
    papers["P-02"].set(alarms=("door-open",), delivery="not-delivering", status="not-infusing")
    ward.advance(20)


def fleet(ward: ScriptedWard, count: int = 500) -> None:
    """Many pumps that all run well."""
    ward.begin(*names(count))
    ward.advance(60)


def storm(ward: ScriptedWard, share: int = 4) -> None:
    """Every fourth pump of the ward has something at once, the worst of it HIGH."""
    alarms = ("downstream-occlusion", "reservoir-low", "near-end", "battery-low", "air-in-line")
    for number, paper in enumerate(list(ward.papers.values())[::share]):
        alarm = alarms[number % len(alarms)]
        if alarm in ("downstream-occlusion", "air-in-line"):
            paper.stop(alarms=(alarm,))
        else:
            paper.set(alarms=(alarm,))
    ward.advance(10)
