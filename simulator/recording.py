"""What a fleet said, in a file: compressed JSON lines that can be published again as they were.

The first line is a header, the last a footer with counts, and each line between them one value of
the stream with its exact payload, as text where it is UTF-8 and as base64 elsewhere. The bytes of
a file depend on the values alone: no time of day and no name of the file is in them, and what is
written is flushed by the fleet's clock.
"""

import gzip
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO, Literal, TypeVar

import msgspec
from msgspec import Struct

from infusion.errors import ConfigError
from infusion.messages import CONTRACT, Kind
from infusion.units import MS_PER_SECOND
from simulator.stream import Connect, Disconnect, Outgoing, Output

FORMAT = "dripwatch-recording"
FORMAT_VERSION = 1
# A middle way between time and space: docs of zlib call 6 the default, 1 the fastest.
COMPRESSION = 3
# A process that is killed loses at most this much wall time.
FLUSH_S = 2.0
# The longest line that is read; the longest payload of the contract is an eighth of it.
LINE_BYTES_MAX = 1_048_576

T = TypeVar("T")


class Header(Struct, frozen=True, kw_only=True):
    """Where a recording comes from."""

    format: str = FORMAT
    version: int = FORMAT_VERSION
    dripwatch: str = ""
    scenario: str = ""
    profile: str = ""
    seed: int = 0
    pumps: int = 0
    start_ms: int
    speed: float = 1.0
    site: str = ""


class Footer(Struct, frozen=True, kw_only=True, tag_field="do", tag="end"):
    """The end of a whole recording: how much there is, so that a cut file is recognised."""

    end_ms: int
    messages: int
    connects: int
    disconnects: int


class _Said(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="do", tag="say"):
    time_ms: int
    session: str
    topic: str
    text: str | None = None
    base64: str | None = None
    qos: Literal[0, 1] = 1
    retain: bool = False
    kind: Kind
    contract: str = CONTRACT


class _Connected(
    Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="do", tag="connect"
):
    time_ms: int
    session: str
    will_topic: str | None = None
    will_text: str | None = None
    will_base64: str | None = None
    client: str | None = None


class _Disconnected(
    Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="do", tag="disconnect"
):
    time_ms: int
    session: str
    clean: bool
    taken_over: bool = False


_Line = _Said | _Connected | _Disconnected | Footer
_LINES: msgspec.json.Decoder[_Line] = msgspec.json.Decoder(_Line)
_HEADER = msgspec.json.Decoder(Header)
_ENCODER = msgspec.json.Encoder()


class Recorder:
    """Writes a recording as it goes; every method raises ConfigError, naming the file."""

    def __init__(self, path: str, header: Header) -> None:
        """Begin a file, in place of one that is there."""
        self._path = path
        self._messages = self._connects = self._disconnects = 0
        self._now_ms = header.start_ms
        self._flush_ms = max(1, round(FLUSH_S * MS_PER_SECOND * header.speed))
        self._flush_at_ms = header.start_ms + self._flush_ms
        self._buffer = bytearray()
        try:
            self._file: BinaryIO = Path(path).open("wb")  # noqa: SIM115 - closed in `close`
        except OSError as error:
            raise self._failed(error) from None
        self._zip = gzip.GzipFile(
            filename="", mode="wb", fileobj=self._file, mtime=0, compresslevel=COMPRESSION
        )
        self._put(header)
        self._flush()

    def write(self, outputs: Iterable[Output]) -> None:
        """Keep what a fleet said, in order."""
        for output in outputs:
            self._now_ms = output.time_ms
            if isinstance(output, Outgoing):
                self._messages += 1
            elif isinstance(output, Connect):
                self._connects += 1
            else:
                self._disconnects += 1
            if self._now_ms >= self._flush_at_ms:
                self._flush()
                missed = (self._now_ms - self._flush_at_ms) // self._flush_ms
                self._flush_at_ms += (missed + 1) * self._flush_ms
            self._put(_line(output))

    def close(self, end_ms: int | None = None) -> None:
        """Write the footer; `end_ms` is where the fleet's clock stands, if it knows better."""
        footer = Footer(
            end_ms=self._now_ms if end_ms is None else end_ms,
            messages=self._messages,
            connects=self._connects,
            disconnects=self._disconnects,
        )
        self._put(footer)
        try:
            self._zip.write(self._buffer)
            self._zip.close()
            self._file.close()
        except OSError as error:
            self.abandon()
            raise self._failed(error) from None

    def abandon(self) -> None:
        """Close the file without a footer, after an error; safe to repeat."""
        # Otherwise it would write its last bytes when it is collected, into a closed file.
        self._zip.fileobj = None  # type: ignore[assignment]  # as its own `close` does
        with suppress(OSError):
            self._file.close()

    def _put(self, line: Struct) -> None:
        self._buffer += _ENCODER.encode(line)
        self._buffer += b"\n"

    def _flush(self) -> None:
        try:
            self._zip.write(self._buffer)
            self._buffer.clear()
            self._zip.flush()
            self._file.flush()
        except OSError as error:
            self.abandon()
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> ConfigError:
        why = error.strerror or str(error)
        return ConfigError(f"recording {self._path}: {why}; name a file that can be written")


def header_of(
    *, scenario: str, profile: str, seed: int, pumps: int, start_ms: int, speed: float, site: str
) -> Header:
    """The header of a recording that this version makes."""
    return Header(
        dripwatch=version("dripwatch"),
        scenario=scenario,
        profile=profile,
        seed=seed,
        pumps=pumps,
        start_ms=start_ms,
        speed=speed,
        site=site,
    )


class Recording:
    """A file that was recorded: `header`, then by iteration every value, once.

    After the last value `footer` holds the counts, or is None where the file was cut off: then
    all that could be read has been given, and `cut_line` is the line that is missing.
    """

    def __init__(self, path: str) -> None:
        """Read the header. Raises ConfigError, naming the file, for anything else."""
        self.path = path
        self.footer: Footer | None = None
        self.cut_line: int | None = None
        self._number = 0
        self._counts = {Outgoing: 0, Connect: 0, Disconnect: 0}
        self._file: gzip.GzipFile | None = None
        try:
            self._file = gzip.open(path, "rb")  # noqa: SIM115 - closed at the end, or by `close`
            first = self._read_line()
        except OSError as error:
            self.close()
            why = error.strerror or "it is not compressed by gzip"
            raise ConfigError(f"recording {path}: {why}; give a file of --record") from None
        if first is None:
            raise self._bad("the file was cut off before its header")
        self.header = self._decoded(_HEADER, first)
        if self.header.format != FORMAT:
            raise self._bad(f"{self.header.format!r} is no recording of Dripwatch")
        if self.header.version != FORMAT_VERSION:
            raise self._bad(
                f"version {self.header.version} is unknown; {FORMAT_VERSION} can be read"
            )

    def close(self) -> None:
        """Close the file; safe to call twice."""
        if self._file is not None:
            self._file.close()

    def __iter__(self) -> Iterator[Output]:
        """Raises ConfigError, naming file and line, for a line that makes no sense."""
        while (text := self._read_line()) is not None:
            line = self._decoded(_LINES, text)
            if isinstance(line, Footer):
                self._check(line)
                self.footer = line
                break
            output = self._output(line)
            self._counts[type(output)] += 1
            yield output
        if self.footer is None:
            self.cut_line = self._number
        self.close()

    def _read_line(self) -> bytes | None:
        """The next whole line; None where the file ends or was cut off. Raises OSError at first."""
        assert self._file is not None, "it is read only when it is open"
        self._number += 1
        try:
            text = self._file.readline(LINE_BYTES_MAX + 1)
        except EOFError:
            return None
        except zlib.error as error:
            raise self._bad(f"the file is damaged: {error}") from None
        except gzip.BadGzipFile as error:
            if self._number == 1:
                raise
            raise self._bad(f"the file is damaged: {error}") from None
        if len(text) > LINE_BYTES_MAX:
            raise self._bad(f"the line is longer than {LINE_BYTES_MAX} bytes")
        return text if text.endswith(b"\n") else None

    def _decoded(self, decoder: msgspec.json.Decoder[T], text: bytes) -> T:
        try:
            return decoder.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._bad(str(error)) from None

    def _output(self, line: _Said | _Connected | _Disconnected) -> Output:
        if isinstance(line, _Said):
            return Outgoing(
                line.session,
                line.topic,
                self._bytes(line.text, line.base64),
                line.qos,
                line.retain,
                line.time_ms,
                line.kind,
                line.contract,
            )
        if isinstance(line, _Connected):
            will = self._bytes(line.will_text, line.will_base64)
            return Connect(line.session, line.time_ms, line.will_topic, will, line.client)
        return Disconnect(line.session, line.time_ms, line.clean, line.taken_over)

    def _bytes(self, text: str | None, base64: str | None) -> bytes:
        if base64 is None:
            return (text or "").encode()
        try:
            return b64decode(base64, validate=True)
        except ValueError as error:
            raise self._bad(f"a payload is no base64: {error}") from None

    def _check(self, footer: Footer) -> None:
        counts = (footer.messages, footer.connects, footer.disconnects)
        if counts != tuple(self._counts.values()):
            raise self._bad(f"the footer counts {counts}, but {tuple(self._counts.values())} came")

    def _bad(self, why: str) -> ConfigError:
        self.close()
        return ConfigError(f"recording {self.path}: line {self._number}: {why}")


def read_recording(path: str) -> Recording:
    """Open a recording. Raises ConfigError that names file and line, and what is wrong."""
    return Recording(path)


def _line(output: Output) -> _Line:
    if isinstance(output, Outgoing):
        text, base64 = _texts(output.payload)
        return _Said(
            time_ms=output.time_ms,
            session=output.session,
            topic=output.topic,
            text=text,
            base64=base64,
            qos=output.qos,
            retain=output.retain,
            kind=output.kind,
            contract=output.contract,
        )
    if isinstance(output, Connect):
        text, base64 = _texts(output.will_payload) if output.will_payload else (None, None)
        return _Connected(
            time_ms=output.time_ms,
            session=output.session,
            will_topic=output.will_topic,
            will_text=text,
            will_base64=base64,
            client=output.client,
        )
    return _Disconnected(
        time_ms=output.time_ms,
        session=output.session,
        clean=output.clean,
        taken_over=output.taken_over,
    )


def _texts(payload: bytes) -> tuple[str | None, str | None]:
    try:
        return payload.decode(), None
    except UnicodeDecodeError:
        return None, b64encode(payload).decode()
