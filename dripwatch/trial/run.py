"""One block of patients in virtual time: fleet, wire, monitor, baselines, and what came of it.

What the fleet says is looked at once on its way into the wire (signs of planted hazards, events and
results for the truth), then carried, decoded as the monitor's own intake does it, and given to the
monitor and the baselines at the time at which it arrived. Truth is read from the fleet itself.
"""

import time
from collections.abc import Callable

from msgspec import Struct

from dripwatch.trial.alerts import Ledger
from dripwatch.trial.assess import assess, misgiven_iu
from dripwatch.trial.conditions import Conditions, conditions
from dripwatch.trial.draw import DAY_MS, Block, Case, TrialSettings, draw_block, span_ms
from dripwatch.trial.judge import Sought, SystemCase, judge
from dripwatch.trial.listeners import MONITOR, SITE, Baselines, Ward
from dripwatch.trial.score import CaseResult
from dripwatch.trial.signs import CLINICAL_SIGNS, Watch, look
from dripwatch.trial.truth import SAMPLE_MS, Track, TruthLog
from dripwatch.trial.wire import Arrival, LossyWire, read_wire
from host.process import read_named
from infusion.errors import MessageError
from infusion.messages import Kind, PumpMessage, decode, parse_topic
from infusion.units import MS_PER_MINUTE, MS_PER_SECOND
from simulator.fleet import Fleet
from simulator.setup import Setup, setup_of
from simulator.story.ward_file import read_ward
from simulator.stream import Connect, Disconnect, Outgoing, Output
from simulator.unit import Unit

# Any instant will do; this one is a Monday in September 2026, 07:00 in Central Europe.
START_MS = 1_790_571_600_000
# Signs are looked for from so long before an onset on, to know what the pump said when it was well.
BEFORE_MS = 10 * MS_PER_MINUTE
# A wire that loses so much by its settings is itself worth an alert: by chance it loses the
# twentieth of an hour's messages that the rule asks for.
LOSSY = 0.035
# The fleet runs ahead of those who listen by so much, and then they catch up: whoever works for
# long at a stretch finds its code and its data still in the processor's caches. Nobody answers the
# fleet, so nothing else depends on it.
AHEAD_MS = 15 * MS_PER_MINUTE
# Told of every message that was understood, and every change: for the timeline of one case.
Listener = Callable[[str, object, int], None]


class BlockRun(Struct):
    """What a block came to: its cases, how many messages were said and what became of them, and
    the processor's time from drawing to judging.
    """

    cases: list[CaseResult]
    counts: dict[str, int]
    cpu_s: float = 0.0


class BlockRunner:
    """Runs one block; `only` are the pumps that the monitor hears, all when it is None."""

    def __init__(
        self,
        settings: TrialSettings,
        block: Block,
        baselines: Baselines,
        *,
        only: frozenset[str] | None = None,
        listener: Listener | None = None,
        ahead_ms: int = AHEAD_MS,
    ) -> None:
        """Everything is made and nothing has run. Raises ConfigError."""
        setup = setup_of(block.scenario, _profile(block))
        self._settings, self._block = settings, block
        self._step_ms = round(settings.step_s * MS_PER_SECOND)
        self._ahead_ms = ahead_ms
        self.fleet = _fleet(settings, block, setup)
        samples = settings.days * DAY_MS // SAMPLE_MS + 2
        self._truth = TruthLog(self.fleet, samples)
        sessions = {unit.pump.name: unit.index for unit in self.fleet.rig.units}
        self._wire = LossyWire(read_wire(settings.wire), block.seed, sessions)
        self.ward = Ward(baselines, self._step_ms)
        self._only, self._listener = only, listener
        self.ward.ledgers[MONITOR].listener = listener
        # Which session holds a client id, and with which will.
        self._holders: dict[str, Connect] = {}
        self._watches = _watches(block, self.fleet.rig.units)
        self._pending = sorted(self._flat(), key=lambda watch: watch.from_ms, reverse=True)
        self._watched: dict[str, list[Watch]] = {}
        self._attend()

    def run(self) -> BlockRun:
        """Run the whole story and judge it."""
        end_ms = START_MS + self._settings.days * DAY_MS
        fleet, wire = self.fleet, self._wire
        # What arrived in each step, and its time.
        arrived: list[tuple[int, list[Arrival]]] = []
        for now_ms in range(START_MS, end_ms + 1, self._step_ms):
            said = fleet.advance(now_ms)
            self._open_watches(now_ms)
            self._look(said, now_ms)
            arrived.append((now_ms, wire.carry(said, now_ms)))
            if (now_ms - START_MS) % SAMPLE_MS == 0:
                self._truth.sample()
            if (now_ms - START_MS) % self._ahead_ms == 0:
                self._catch_up(arrived)
                arrived.clear()
        self._catch_up(arrived)
        return BlockRun(self._judged(end_ms), wire.counts)

    def _catch_up(self, steps: list[tuple[int, list[Arrival]]]) -> None:
        """Let those who listen hear what arrived in some steps, and their time pass."""
        hear, tick = self._hear, self.ward.tick
        for now_ms, arrivals in steps:
            for at_ms, _, output in arrivals:
                if type(output) is Outgoing:
                    hear(output.topic, output.payload, output.contract, at_ms)
                else:
                    self._take(output, at_ms)
            tick(now_ms)

    def track(self, index: int) -> Track:
        """The truth of one pump, after the run."""
        return self._truth.track(index)

    # --- what is said, before the wire -----------------------------------------------------------

    def _flat(self) -> list[Watch]:
        return [watch for watches in self._watches.values() for watch in watches]

    def _open_watches(self, now_ms: int) -> None:
        while self._pending and self._pending[-1].from_ms - BEFORE_MS <= now_ms:
            watch = self._pending.pop()
            if watch.hazard.sign not in CLINICAL_SIGNS:
                self._watched.setdefault(watch.unit.pump.name, []).append(watch)

    def _look(self, said: list[Output], now_ms: int) -> None:
        """Everything but ordinary telemetry is noted; of watched pumps telemetry is read too."""
        watched, telemetry = self._watched, Kind.TELEMETRY
        for output in said:
            if type(output) is not Outgoing:
                continue
            if output.kind is not telemetry:
                self._truth.note(output, now_ms)
                if self._listener is not None:
                    self._listener("said", output, now_ms)
            if watched:
                pump = output.session.partition(".")[0]
                if pump in watched and output.kind in (telemetry, Kind.EVENT):
                    self._see(pump, output, now_ms)

    def _see(self, pump: str, output: Outgoing, now_ms: int) -> None:
        message: PumpMessage | None = None
        try:
            decoded = decode(parse_topic(output.topic), output.payload, contract=output.contract)
        except MessageError:
            decoded = None
        if isinstance(decoded, PumpMessage):
            message = decoded
        watches = self._watched[pump]
        for watch in watches:
            look(watch, message, now_ms)
        if any(watch.is_done for watch in watches):
            self._watched[pump] = [watch for watch in watches if not watch.is_done]
            if not self._watched[pump]:
                del self._watched[pump]

    # --- what arrives ----------------------------------------------------------------------------

    def _take(self, output: Output, at_ms: int) -> None:
        """What a broker makes of a connection, or of its end."""
        if isinstance(output, Connect):
            client = output.client or output.session
            # Whoever has the same client id is thrown out, and its will goes out (MQTT 5, §3.1.4).
            if (before := self._holders.get(client)) is not None:
                self._say_will(before, at_ms)
            self._holders[client] = output
        elif isinstance(output, Disconnect):
            self._end(output, at_ms)

    def _end(self, ending: Disconnect, at_ms: int) -> None:
        """A session ends, unless another has its place already."""
        for client, connect in self._holders.items():
            if connect.session == ending.session:
                del self._holders[client]
                if not ending.clean:
                    self._say_will(connect, at_ms)
                return

    def _say_will(self, connect: Connect, at_ms: int) -> None:
        if connect.will_topic is not None:
            self._hear(connect.will_topic, connect.will_payload, None, at_ms)

    def _hear(self, topic_text: str, payload: bytes, contract: str | None, at_ms: int) -> None:
        site: str | None = None
        try:
            topic = parse_topic(topic_text)
            site = topic.site
            if self._only is not None and not self._concerns(topic.name):
                # Time passes with every message, whoever sent it.
                self.ward.tick(at_ms)
                return
            message = decode(topic, payload, contract=contract)
            self.ward.hear(message, site, at_ms)
        except MessageError as error:
            self.ward.refuse(error, site, at_ms)

    def _concerns(self, name: str) -> bool:
        """Whether a topic is one of the pumps that are heard, or of a therapy on one of them."""
        assert self._only is not None, "asked only where not all are heard"
        return name in self._only or f"P{name[1:]}" in self._only

    # --- people ----------------------------------------------------------------------------------

    def _attend(self) -> None:
        """Nobody answers alarms of a pump while a planted hazard says that nobody is there."""
        away: dict[str, list[tuple[int, int]]] = {}
        for case in self._block.cases:
            for plant in case.plants:
                if plant.planted.is_unattended:
                    begin_ms, end_ms = span_ms(plant.planted)
                    away.setdefault(case.pump, []).append((START_MS + begin_ms, START_MS + end_ms))
        answers = self.fleet.rig.on_alarm

        def answer(unit: Unit, alarm: str, now_ms: int) -> None:
            self._truth.alarm(unit, alarm, now_ms)
            spans = away.get(unit.pump.name, ())
            if answers is not None and not any(begin <= now_ms <= end for begin, end in spans):
                answers(unit, alarm, now_ms)

        self.fleet.rig.on_alarm = answer

    # --- judging ---------------------------------------------------------------------------------

    def _judged(self, end_ms: int) -> list[CaseResult]:
        intruded = _intrusions(self._block)
        results: list[CaseResult] = []
        for case in self._block.cases:
            if self._only is not None and case.pump not in self._only:
                continue
            track = self._truth.track(case.index)
            truth = conditions(track)
            if self._wire.settings.loss >= LOSSY:
                truth["lossy-wire"] = [(START_MS, end_ms)]
            if case.pump in intruded:
                truth["intruded"] = intruded[case.pump]
            sought = tuple(
                assess(plant, watch, track, truth, end_ms)
                for plant, watch in zip(case.plants, self._watches[case.pump], strict=True)
            )
            results.append(
                CaseResult(
                    number=case.number,
                    pump=case.pump,
                    days=self._settings.days,
                    sought=sought,
                    systems={
                        name: self._judge(case, ledger, track, truth, sought)
                        for name, ledger in self.ward.ledgers.items()
                    },
                )
            )
        return results

    def _judge(
        self,
        case: Case,
        ledger: Ledger,
        track: Track,
        truth: Conditions,
        sought: tuple[Sought, ...],
    ) -> SystemCase:
        partners = {plant.planted.partner for plant in case.plants} - {""}
        elsewhere = [alert for partner in sorted(partners) for alert in ledger.of(partner)]
        return judge(
            sought,
            ledger.of(case.pump),
            truth,
            lambda begin_ms, end_ms: misgiven_iu(track, begin_ms, end_ms),
            [alert for alert in elsewhere if alert.rule == "identity-mismatch"],
        )


def run_block(settings: TrialSettings, number: int, pumps: int, baselines: Baselines) -> BlockRun:
    """Draw, run and judge the first `pumps` cases of a block. Raises ConfigError."""
    begin_s = time.process_time()
    ward = read_ward(*read_named(settings.cohort, "cohorts"))
    run = BlockRunner(settings, draw_block(settings, ward, number, pumps), baselines).run()
    run.cpu_s = time.process_time() - begin_s
    return run


def _fleet(settings: TrialSettings, block: Block, setup: Setup) -> Fleet:
    return Fleet(
        setup.scenario,
        setup.profile,
        profiles=setup.profiles,
        pumps=len(block.cases),
        start_ms=START_MS,
        seed=block.seed,
        interval_s=settings.interval_s,
        step_s=settings.step_s,
        site=SITE,
        guideline=setup.guideline,
        library=setup.library,
    )


def _profile(block: Block) -> str:
    assert block.scenario.ward is not None, "the story was drawn from a ward"
    return min(block.scenario.ward.profiles)


def _watches(block: Block, units: list[Unit]) -> dict[str, list[Watch]]:
    return {
        case.pump: [
            Watch(
                hazard=plant.hazard,
                unit=units[case.index],
                from_ms=START_MS + span_ms(plant.planted)[0],
                onset_ms=START_MS + plant.planted.onset_ms,
            )
            for plant in case.plants
        ]
        for case in block.cases
    }


def _intrusions(block: Block) -> dict[str, list[tuple[int, int]]]:
    """When another pump's messages came on a pump's topics."""
    found: dict[str, list[tuple[int, int]]] = {}
    for case in block.cases:
        for plant in case.plants:
            if plant.planted.partner:
                begin_ms, end_ms = span_ms(plant.planted)
                span = (START_MS + begin_ms, START_MS + end_ms)
                found.setdefault(plant.planted.partner, []).append(span)
    return found
