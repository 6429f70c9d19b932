"""How a process begins and ends: settings, logs, event loop, signals, exit codes."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import structlog

from host.resources import config_path
from infusion.errors import ConfigError, DripwatchError, LinkError, StoreError
from infusion.settings import PREFIX, Resolved, load_toml, resolve

T = TypeVar("T", bound=msgspec.Struct)

LogLevel = Literal["debug", "info", "warning", "error"]

# Exit codes are API: README.md lists them.
EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_LINK = 3
EXIT_STORE = 4
EXIT_INTERRUPTED = 130
_EXIT_CODES: tuple[tuple[type[DripwatchError], int], ...] = (
    (ConfigError, EXIT_USAGE),
    (LinkError, EXIT_LINK),
    (StoreError, EXIT_STORE),
)
# The sections of the other kinds of process, whose variables may be set in the same environment.
SECTIONS = ("MONITOR", "REPLAY", "SIMULATOR", "UP", "WEB")


def load_settings(
    kind: type[T],
    *,
    default_file: str,
    file: Path | None,
    flags: Mapping[str, object],
) -> Resolved[T]:
    """The settings of this process: flag > environment > file > default.

    `file` is what the operator named; without it, `default_file` of config/ is read. Variables of
    the sections that `kind` does not have belong to other processes and are passed over. Raises
    ConfigError.
    """
    path = file if file is not None else config_path(default_file)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; give a TOML file") from None
    name = str(path) if file is not None else f"config/{default_file}"
    own = {field.name.upper() for field in msgspec.structs.fields(kind)}
    foreign = tuple(f"{PREFIX}_{section}_" for section in SECTIONS if section not in own)
    environment = {
        variable: value
        for variable, value in os.environ.items()
        if not variable.startswith(foreign)
    }
    return resolve(
        kind, file=load_toml(data, name), file_name=name, environment=environment, flags=flags
    )


def read_named(name: str, folder: str) -> tuple[bytes, str]:
    """A TOML file by its path, or by its name in a folder of config/: its bytes, and its name.

    The folder "" is config/ itself. Raises ConfigError that lists the names there are.
    """
    path, shown = Path(name), name
    if not name.endswith(".toml"):
        known = sorted(file.stem for file in config_path(folder).glob("*.toml"))
        if name not in known:
            nearest = get_close_matches(name, known, n=1)
            hint = f"; the nearest is {nearest[0]}" if nearest else ""
            place = f"config/{folder}".rstrip("/")
            raise ConfigError(
                f"{name!r} is not in {place}{hint}; known: {', '.join(known)};"
                " a file of your own ends in .toml"
            )
        inside = f"{folder}/{name}.toml".lstrip("/")
        path, shown = config_path(inside), f"config/{inside}"
    try:
        return path.read_bytes(), shown
    except OSError as error:
        raise ConfigError(f"{name}: {error.strerror}; give a file, or a name in config/") from None


def read_text(path: str) -> str:
    """The text of a small file, such as a password. Raises OSError and UnicodeDecodeError."""
    return Path(path).read_text(encoding="utf-8")


def write_text(path: str, text: str) -> None:
    """Write a file, or with `-` standard output. Raises ConfigError."""
    if path == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; name a file that can be written") from None


def configure_logs(level: LogLevel) -> None:
    """Logs go to stderr: lines with colours on a terminal, JSON elsewhere."""
    to_terminal = sys.stderr.isatty()
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if to_terminal:
        renderer = structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's event loop where it exists; asyncio's own does the same, slower."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def run(main: Coroutine[Any, Any, int]) -> int:
    """Run a process's main coroutine to its end; its exit code.

    A DripwatchError becomes one line on stderr for the operator, and its own exit code.
    """
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(main)
    except DripwatchError as error:
        return report(error)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def report(error: DripwatchError) -> int:
    """Tell the operator of an error, and the exit code that belongs to it."""
    sys.stderr.write(f"dripwatch: {error}\n")
    return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), EXIT_FAILED)


async def until_signal(work: Awaitable[None], stop: Callable[[], None]) -> None:
    """Await `work`; SIGINT or SIGTERM calls `stop`, which must make it end.

    A second signal does what it would without this: it ends the process at once.
    """
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def on_signal() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)
        stop()

    for number in numbers:
        loop.add_signal_handler(number, on_signal)
    try:
        await work
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
