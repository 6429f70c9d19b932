"""One process of a load: `python -m simulator.load.worker generate|receive DESCRIPTOR…`.

The parent starts it; the first line on standard input says what it is to do.
"""

import asyncio
import os
import signal
import sys

import msgspec

from host.process import new_event_loop
from infusion.errors import ConfigError
from simulator.load.generator import Generator
from simulator.load.pipe import LogWriter
from simulator.load.plan import Ears, Part, raise_file_limit
from simulator.load.process import Orders, say
from simulator.load.receiver import Receiver
from simulator.load.reports import Failed


async def _generate(line: bytes, descriptors: list[int]) -> None:
    part = msgspec.json.decode(line, type=Part)
    orders = Orders()
    listening = asyncio.create_task(orders.listen())
    log = await LogWriter.open(descriptors[0]) if descriptors else None
    try:
        await Generator(part, orders, log).run()
    finally:
        listening.cancel()


async def _receive(line: bytes, descriptors: list[int]) -> None:
    ears = msgspec.json.decode(line, type=Ears)
    orders = Orders()
    listening = asyncio.create_task(orders.listen())
    try:
        await Receiver(ears, orders).run(descriptors)
    finally:
        listening.cancel()


def main(role: str, *descriptors: str) -> int:
    """Do what the first line on standard input says."""
    # Ctrl-C on the terminal is the parent's affair; it tells us to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise_file_limit()
    line = _first_line()
    work = _generate if role == "generate" else _receive
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(work(line, [int(each) for each in descriptors]))
    except ConfigError as error:
        say(Failed(kind="config", text=str(error)))
        return 1
    return 0


def _first_line() -> bytes:
    """The first line, byte by byte: a buffered read would take the next one too."""
    found = bytearray()
    while not found.endswith(b"\n"):
        byte = os.read(sys.stdin.fileno(), 1)
        if not byte:
            break
        found += byte
    return bytes(found)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
