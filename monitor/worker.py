"""One of several monitors of an instance: `python -m monitor.worker`, from monitor/workers.py.

It reads what it shall do as one line of JSON on stdin, works, and ends like any monitor: on
SIGTERM, and when stdin ends, because then the process that started it is gone.
"""

import asyncio
import sys

import msgspec
import structlog
from msgspec import Struct

from host.process import EXIT_OK, configure_logs, report, run, until_signal
from infusion.errors import DripwatchError
from monitor.partition import Partition
from monitor.process import MonitorProcess, service_settings
from monitor.service import MonitorService


class Task(Struct, frozen=True):
    """What a worker shall do."""

    partition: Partition
    process: MonitorProcess


async def _serve(service: MonitorService) -> int:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    leaving = asyncio.create_task(_until_alone(reader, service), name="parent")
    try:
        await until_signal(service.run(), service.stop)
    finally:
        leaving.cancel()
    return EXIT_OK


async def _until_alone(reader: asyncio.StreamReader, service: MonitorService) -> None:
    await reader.read()
    service.stop()


def main() -> int:
    """The command; its exit code."""
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)
    configure_logs(task.process.log_level)
    structlog.contextvars.bind_contextvars(worker=task.partition.number)
    try:
        service = MonitorService(service_settings(task.process, task.partition))
    except DripwatchError as error:
        return report(error)
    return run(_serve(service))


if __name__ == "__main__":
    sys.exit(main())
