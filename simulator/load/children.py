"""The processes of a load, as the parent has them: started, told, heard, and ended."""

import asyncio
import os
import sys
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from infusion.errors import ConfigError, DripwatchError
from simulator.load.reports import Failed, Report, read_line

LINE_BYTES_MAX = 4_194_304
END_S = 5.0


class LoadError(DripwatchError):
    """A process of the load has died, and with it what it measured."""


_ERRORS: dict[str, type[DripwatchError]] = {"config": ConfigError, "failed": LoadError}


class Child:
    """One generator or the receiver."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        """Use `start`."""
        self.name = name
        self._process = process

    @classmethod
    async def start(cls, role: str, name: str, descriptors: Sequence[int]) -> "Child":
        """Start a process that has these open files besides its own."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "simulator.load.worker", role, *map(str, descriptors)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=tuple(descriptors),
            start_new_session=True,
            limit=LINE_BYTES_MAX,
        )
        return cls(name, process)

    def give(self, what: Struct) -> None:
        """Say what it is to do."""
        self.tell(msgspec.json.encode(what).decode())

    def tell(self, line: str) -> None:
        """Say a line, unless it is gone."""
        stdin = self._process.stdin
        if stdin is not None and not stdin.is_closing():
            stdin.write(line.encode() + b"\n")

    async def hear(self) -> Report | None:
        """Its next report; None when it has ended well. Raises LoadError when it has not."""
        stdout = self._process.stdout
        assert stdout is not None
        line = await stdout.readline()
        if not line:
            code = await self._process.wait()
            if code:
                raise LoadError(f"{self.name} has died with exit code {code}; see above")
            return None
        report = read_line(line)
        if isinstance(report, Failed):
            raise _ERRORS[report.kind](report.text)
        return report

    async def end(self) -> None:
        """See that it is gone."""
        stdin = self._process.stdin
        if stdin is not None and not stdin.is_closing():
            stdin.close()
        try:
            async with asyncio.timeout(END_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


def pipes(count: int) -> tuple[list[int], list[int]]:
    """So many pipes: the reading ends, and the writing ends."""
    pairs = [os.pipe() for _ in range(count)]
    return [read for read, _ in pairs], [write for _, write in pairs]
