"""One load from beginning to end, as the parent sees it: connect, load, drain, add up."""

import asyncio
import itertools
import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec

from infusion.errors import LinkError
from link.lean import now_us
from simulator.load.children import Child, pipes
from simulator.load.plan import Ears, Plan, parts_of
from simulator.load.reports import FINISH, GO, STOP, Drained, Heard, Ready, Report, Tick
from simulator.load.result import (
    SCHEMA,
    Result,
    Second,
    latency_of,
    own_version,
    this_machine,
)
from simulator.load.tally import RECEIVER, Tally
from simulator.load.verdict import why_not_valid

# Between the word and the start, so that all processes have heard it.
GO_AFTER_US = 200_000
# How long after a second all processes have told of it.
TOLD_AFTER_S = 0.15
# What stays secret, or names a file of this machine.
SECRET = ("password", "ca_file", "sse_token")
# Boots are counted from the minute of the start, so that a monitor never takes a second load within
# a fortnight for the first one again; the contract has room for 2**20.
BOOT_PERIOD_MIN = 1_000_000

OnSecond = Callable[[Second], object]


class Load:
    """One load; `run` makes it, `stop` ends it early and in order."""

    def __init__(self, plan: Plan, *, on_second: OnSecond | None = None) -> None:
        """`on_second` is told of each second of the load."""
        self.plan = plan
        self._on_second = on_second
        self._stop = asyncio.Event()
        self._tally = Tally()
        self._wanted = 0
        self._began_s = 0.0
        self._duration_s = 0.0
        self._waits: dict[tuple[str, type[Report]], asyncio.Future[Report]] = {}

    def stop(self) -> None:
        """Ask `run` to come to its end; safe to call twice and from a signal handler."""
        self._stop.set()

    async def run(self) -> Result:
        """Make the load. Raises LinkError where not every session could connect, LoadError where a
        process died, ConfigError for a scenario that does not fit.
        """
        plan = self.plan
        started = datetime.now(UTC)
        start_ms = time.time_ns() // 1_000_000
        parts = parts_of(
            plan,
            start_ms=start_ms,
            first_boot=start_ms // 60_000 % BOOT_PERIOD_MIN + 1,
        )
        has_ears = plan.subscribers > 0 or plan.alerts
        reads, writes = pipes(len(parts) if has_ears else 0)
        children: list[Child] = []
        listening: list[asyncio.Task[None]] = []
        try:
            if has_ears:
                receiver = await self._start("receive", RECEIVER, reads, children, listening)
                _close(reads)
                receiver.give(Ears(plan=plan, sites=tuple(part.site for part in parts)))
                self._check_ready(await self._report(RECEIVER, Ready, listening))
            generators = []
            for part in parts:
                write = [writes[part.number]] if has_ears else []
                name = f"generator {part.number + 1}"
                child = await self._start("generate", name, write, children, listening)
                _close(write)
                child.give(part)
                generators.append(child)
            await self._work(generators, children, listening)
        finally:
            for child in children:
                child.tell(FINISH)
            await asyncio.gather(*(child.end() for child in children))
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)
        return self._result(started)

    async def _start(
        self,
        role: str,
        name: str,
        descriptors: list[int],
        children: list[Child],
        listening: list[asyncio.Task[None]],
    ) -> Child:
        child = await Child.start(role, name, descriptors)
        children.append(child)
        listening.append(asyncio.create_task(self._listen(child), name=name))
        return child

    async def _work(
        self, generators: list[Child], children: list[Child], listening: list[asyncio.Task[None]]
    ) -> None:
        """From connecting to the last message."""
        stopping = asyncio.create_task(self._pass_on_stop(generators))
        listening.append(stopping)
        ready = [await self._report(each.name, Ready, listening) for each in generators]
        self._wanted = sum(each.wanted for each in ready if isinstance(each, Ready))
        if not self._stop.is_set():
            for each in ready:
                self._check_ready(each)
        go_us = now_us() + GO_AFTER_US
        for child in children:
            child.tell(f"{GO} {go_us}")
        self._began_s = go_us / 1e6
        telling = asyncio.create_task(self._tell_each_second())
        listening.append(telling)
        for child in generators:
            drained = await self._report(child.name, Drained, listening)
            assert isinstance(drained, Drained)
            self._tally.drained(drained)
        elapsed_s = time.monotonic() - self._began_s
        self._duration_s = max(0.001, min(elapsed_s, self.plan.duration_s))
        telling.cancel()
        if len(children) > len(generators):
            heard = await self._report(RECEIVER, Heard, listening)
            assert isinstance(heard, Heard)
            self._tally.heard = heard
        self._tell(self._duration_s)

    async def _tell_each_second(self) -> None:
        """The seconds of the load, each when all have told of it; the last is told at the end."""
        await _sleep_until(self._began_s)
        self._tally.begin()
        for second in itertools.count(1):
            if second > self.plan.duration_s - TOLD_AFTER_S:
                # The tasks that listen may not end before the others.
                await asyncio.Event().wait()
            await _sleep_until(self._began_s + second + TOLD_AFTER_S)
            self._tell(float(second))

    async def _pass_on_stop(self, generators: list[Child]) -> None:
        await self._stop.wait()
        for child in generators:
            child.tell(STOP)
        # The tasks that listen may not end before the others.
        await asyncio.Event().wait()

    def _check_ready(self, report: Report) -> None:
        """Raises LinkError where not all are connected."""
        assert isinstance(report, Ready)
        if report.connected < report.wanted:
            reasons = ", ".join(f"{name} × {count}" for name, count in report.reasons.items())
            raise LinkError(
                f"{self.plan.address}: {report.connected:,} of {report.wanted:,} sessions could "
                f"connect ({reasons or 'no answer in time'})"
            )

    # -- reports ----------------------------------------------------------------------------------

    async def _listen(self, child: Child) -> None:
        while True:
            report = await child.hear()
            if report is None:
                return
            if isinstance(report, Tick):
                self._tally.tick(child.name, report)
            else:
                self._future(child.name, type(report)).set_result(report)

    def _future(self, name: str, kind: type[Report]) -> asyncio.Future[Report]:
        return self._waits.setdefault((name, kind), asyncio.get_running_loop().create_future())

    async def _report(
        self, name: str, kind: type[Report], listening: list[asyncio.Task[None]]
    ) -> Report:
        """The report of this kind from a process. Raises what ended a process before that."""
        wanted = self._future(name, kind)
        while not wanted.done():
            running = [task for task in listening if not task.done()]
            waits: list[asyncio.Future[Any]] = [wanted, *running]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for task in listening:
                if task.done() and not task.cancelled() and task.exception() is not None:
                    await task
        return wanted.result()

    def _tell(self, at_s: float) -> None:
        second = self._tally.take_second(at_s)
        if self._on_second is not None:
            self._on_second(second)

    def _result(self, started: datetime) -> Result:
        plan, tally = self.plan, self._tally
        generators = tally.generators(plan)
        alarms = tally.alarms()
        reasons = why_not_valid(generators, tally.counts.dropped)
        config = msgspec.to_builtins(plan)
        for key in SECRET:
            del config[key]
        return Result(
            schema=SCHEMA,
            dripwatch=own_version(),
            started=started.isoformat(timespec="seconds"),
            machine=this_machine(),
            config=config,
            duration_s=round(self._duration_s, 3),
            interrupted=self._stop.is_set(),
            valid=not reasons,
            not_valid_because=reasons,
            messages=tally.messages(self._duration_s),
            connections=tally.connections(self._wanted),
            generators=generators,
            connect=latency_of(tally.connect),
            acknowledge=latency_of(tally.acknowledge),
            end_to_end=latency_of(tally.end_to_end),
            lag=latency_of(tally.lag),
            alert=latency_of(tally.alert),
            stream=latency_of(tally.stream),
            alarms=alarms,
            seconds=tuple(tally.seconds),
        )


async def _sleep_until(at_s: float) -> None:
    """Until a time of the monotonic clock."""
    await asyncio.sleep(max(0.0, at_s - time.monotonic()))


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        with suppress(OSError):
            os.close(descriptor)
