"""Several monitors of one instance on one machine: they are started, watched, and started again.

    workers ──► worker 1 of 3 ◄── its session at the broker, its store
            ──► worker 2 of 3 ◄── ...
            ──► worker 3 of 3 ◄── ...

No message goes through this process: each worker is a whole monitor that judges its part of the
pumps (monitor/partition.py). What a worker has not acknowledged the broker keeps for it, and what
it has acknowledged is in its store; so one that dies is started again and stands where it stood,
like a monitor that is alone, and the others do not notice.

A worker that cannot go on (its settings, broker or store) ends them all, with its exit code. One
that just dies is started again for ever, ever more slowly: the others work meanwhile.
"""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process

import msgspec
import structlog

from host.process import EXIT_LINK, EXIT_OK, EXIT_STORE, EXIT_USAGE
from infusion.errors import ConfigError, DripwatchError, LinkError, StoreError
from link.tools import JITTER, Backoff
from monitor.partition import Partition, parts
from monitor.process import MonitorProcess
from monitor.worker import Task

log = structlog.get_logger()

AGAIN_MIN_S = 0.2
# A start costs half a second of a core. Longer waits would only make alerts late.
AGAIN_MAX_S = 2.0
# One that lives so long has shown that it works.
STABLE_S = 5.0
# How long a worker may take to end well, its last snapshot included.
STOP_S = 30.0

_FINAL: dict[int, type[DripwatchError]] = {
    EXIT_USAGE: ConfigError,
    EXIT_LINK: LinkError,
    EXIT_STORE: StoreError,
}


class Workers:
    """The workers of one instance. `run` works until `stop`."""

    def __init__(self, process: MonitorProcess) -> None:
        self._process = process
        self._stopping = asyncio.Event()
        # How often a worker was started again, by its number.
        self.restarts: dict[int, int] = {}

    async def run(self) -> None:
        """Keep all workers alive. Raises what ended the first one that cannot go on."""
        keeping = [
            asyncio.create_task(self._keep(part), name=f"worker {part.number}")
            for part in parts(self._process.workers)
        ]
        try:
            await asyncio.wait(keeping, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            self._stopping.set()
            ended = await asyncio.gather(*keeping, return_exceptions=True)
        for outcome in ended:
            if isinstance(outcome, BaseException):
                raise outcome

    def stop(self) -> None:
        """Ask `run` to end; each worker stores its state as a whole."""
        self._stopping.set()

    async def _keep(self, part: Partition) -> None:
        backoff = Backoff(AGAIN_MIN_S, AGAIN_MAX_S, JITTER)
        loop = asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            code = await self._one_life(part)
            if error := _FINAL.get(code):
                raise error(f"worker {part.number} of {part.of} cannot go on; see what it said")
            if self._stopping.is_set():
                return
            if loop.time() - began_s >= STABLE_S:
                backoff.reset()
            again_s = backoff.next_s()
            log.error(
                "a worker died, and is started again",
                worker=part.number,
                ending=_ending(code),
                again_s=round(again_s, 1),
            )
            self.restarts[part.number] = self.restarts.get(part.number, 0) + 1
            await self._sleep(again_s)

    async def _one_life(self, part: Partition) -> int:
        """Start a worker and wait for its end, which `stop` brings about; its exit code."""
        if self._stopping.is_set():
            return EXIT_OK
        # A session of its own: what a terminal sends to all goes to this process alone.
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "monitor.worker", stdin=PIPE, start_new_session=True
        )
        log.info("worker started", worker=part.number, of=part.of, pid=worker.pid)
        assert worker.stdin is not None
        worker.stdin.write(msgspec.json.encode(Task(part, self._process)) + b"\n")
        ending = asyncio.create_task(worker.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((ending, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not ending.done():
                await self._end(worker, part)
            return await ending
        finally:
            stopping.cancel()
            worker.stdin.close()
            if not ending.done():
                # Cancelled: nobody waits for it any more.
                worker.kill()

    @staticmethod
    async def _end(worker: Process, part: Partition) -> None:
        worker.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                await worker.wait()
        except TimeoutError:
            log.error("a worker did not end, and is killed; it will resume", worker=part.number)
            worker.kill()

    async def _sleep(self, seconds: float) -> None:
        """Wait, but not when all shall end."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return


def _ending(code: int) -> str:
    """How a process ended, in words."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
