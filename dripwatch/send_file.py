"""Orders, results, reports and acts out of files, checked as the monitor will check them.

Three forms, told apart by the file itself:

* **JSON Lines**, one message a line: `{"site": "home", "kind": "report", "therapy": "T-01", …}`,
* a **JSON list** of the same objects,
* **TOML** (a file that ends in .toml): one table a message, `[[lab]]`, `[[report]]`, and a `site`
  at the top for all that do not name their own.

What is not `site` and `kind` (or, instead of both, `topic`) is the message as it crosses the
broker. A time may be given as in the contract, in Unix milliseconds, or as a date and time with its
offset, or as `now`, `now-90min`, `now+2h`: then it is counted from when the file is read.

Everything is checked before anything is sent. A key that contract v1 does not know is refused
here, although a monitor would pass it over: in a file it is a slip of the pen.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from infusion.clinical import LabResult, Report
from infusion.errors import ConfigError, MessageError
from infusion.messages import (
    PREFIX,
    Act,
    Kind,
    Message,
    Topic,
    decode,
    encode,
    parse_topic,
)
from infusion.prescription import Prescription, compile_timeline
from infusion.settings import load_toml
from infusion.tables import nearest, read_table
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND

FILE_BYTES_MAX = 64 * 1024 * 1024
LETTERS_MAX = 100_000
# So many mistakes are told at once; a file with more has one cause.
PROBLEMS_MAX = 20
# Lists and tables in one another; the contract needs two.
DEPTH_MAX = 8

# What people and their systems say; everything else on the broker is said by pumps and monitors.
KINDS: dict[Kind, type[Prescription] | type[LabResult] | type[Report] | type[Act]] = {
    Kind.ORDER: Prescription,
    Kind.LAB: LabResult,
    Kind.REPORT: Report,
    Kind.ACT: Act,
}
_WORDS = {kind.value for kind in KINDS}
_ADDRESS = ("site", "kind", "topic")
_UNITS_MS = {
    "s": MS_PER_SECOND,
    "min": MS_PER_MINUTE,
    "h": MS_PER_HOUR,
    "d": 24 * MS_PER_HOUR,
}
_NOW = re.compile(r"now(?:\s*([+-])\s*(\d{1,6}(?:\.\d{1,6})?)\s*(s|min|h|d))?")
_TIMES = "write Unix milliseconds, 2026-11-23T18:00:00Z, now or now-90min"


class Letter(Struct, frozen=True):
    """One message that is well and can be sent; `place` is where it stands."""

    place: str
    topic: Topic
    payload: bytes


def read_letters(data: bytes, name: str, now_ms: int) -> list[Letter]:
    """The messages in the bytes of a file called `name`, in its order.

    `now_ms` is what `now` means in it. Raises ConfigError that names file, line (or entry) and key
    of each mistake, up to `PROBLEMS_MAX`.
    """
    if len(data) > FILE_BYTES_MAX:
        raise ConfigError(f"{name}: {len(data)} bytes are more than {FILE_BYTES_MAX}; split it")
    letters: list[Letter] = []
    problems: list[str] = []
    for place, entry in _entries(data, name):
        try:
            if isinstance(entry, ConfigError):
                raise entry
            letters.append(_letter(entry, place, now_ms))
        except ConfigError as error:
            problems.append(str(error))
        if len(problems) >= PROBLEMS_MAX:
            problems.append(f"{name}: … and what comes after that")
            break
        if len(letters) > LETTERS_MAX:
            raise ConfigError(f"{name}: more than {LETTERS_MAX} messages; split it")
    if problems:
        raise ConfigError("\n".join(problems))
    if not letters:
        raise ConfigError(f"{name}: there is no message in it")
    return letters


def count_text(letters: Sequence[Letter]) -> str:
    """How many messages of which kind: `1 order, 2 lab`."""
    counts = Counter(letter.topic.kind.value for letter in letters)
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())


def _entries(data: bytes, name: str) -> Iterator[tuple[str, Mapping[str, Any] | ConfigError]]:
    """Each message as it stands, with its place; what cannot be read comes as its error."""
    if name.endswith(".toml"):
        yield from _toml_entries(load_toml(data, name), name)
    elif data.lstrip().startswith(b"["):
        yield from _list_entries(data, name)
    else:
        for number, line in enumerate(data.split(b"\n"), start=1):
            if line.strip():
                place = f"{name}: line {number}"
                yield place, _json(line, place)


def _toml_entries(
    document: dict[str, Any], name: str
) -> Iterator[tuple[str, Mapping[str, Any] | ConfigError]]:
    common = {"site": document.pop("site")} if "site" in document else {}
    for kind, tables in document.items():
        if kind not in _WORDS:
            hint = nearest(kind, {*_WORDS, "site"})
            yield name, ConfigError(f"{name}: {kind!r} is unknown; {hint}")
        elif not isinstance(tables, list):
            yield name, ConfigError(f"{name}: {kind!r} is not a list of tables; write [[{kind}]]")
        else:
            for number, table in enumerate(tables, start=1):
                place = f"{name}: [[{kind}]] {number}"
                is_table = isinstance(table, dict)
                error = ConfigError(f"{place}: {table!r} is not a table; write [[{kind}]]")
                yield place, {"kind": kind, **common, **table} if is_table else error


def _list_entries(data: bytes, name: str) -> Iterator[tuple[str, Mapping[str, Any] | ConfigError]]:
    try:
        entries = msgspec.json.decode(data, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        yield name, ConfigError(f"{name}: {error}")
        return
    for number, entry in enumerate(entries, start=1):
        place = f"{name}: entry {number}"
        yield place, _json(bytes(entry), place)


def _json(text: bytes, place: str) -> Mapping[str, Any] | ConfigError:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return ConfigError(f"{place}: {error}")
    except RecursionError:
        return ConfigError(f"{place}: nested too deeply")


def _letter(entry: Mapping[str, Any], place: str, now_ms: int) -> Letter:
    kind, site, topic = _address(entry, place)
    body = {key: value for key, value in entry.items() if key not in _ADDRESS}
    body = _with_times(body, place, now_ms, DEPTH_MAX)
    message = read_table(KINDS[kind], body, place)
    topic = topic or Topic(kind, site, _name(message))
    payload = encode(message)
    try:
        # What the monitor does with it, so that it refuses nothing that was well here.
        decode(parse_topic(str(topic)), payload)
        if isinstance(message, Prescription):
            compile_timeline(message)
    except MessageError as error:
        raise ConfigError(f"{place}: {error}") from None
    return Letter(place, topic, payload)


def _address(entry: Mapping[str, Any], place: str) -> tuple[Kind, str, Topic | None]:
    """Kind and site of a message, and its topic where that is given instead of them."""
    if "topic" in entry:
        if "site" in entry or "kind" in entry:
            raise ConfigError(f"{place}: a topic says site and kind; leave those out")
        try:
            topic = parse_topic(str(entry["topic"]))
        except MessageError as error:
            raise ConfigError(f"{place}: key 'topic': {error}") from None
        return _kind(topic.kind.value, place), topic.site, topic
    for key in ("site", "kind"):
        if not isinstance(entry.get(key), str):
            example = f'"site": "home", "kind": "lab", or "topic": "{PREFIX}/home/T-01/lab"'
            raise ConfigError(f"{place}: the key {key!r} is missing or no text; write {example}")
    return _kind(entry["kind"], place), entry["site"], None


def _kind(text: str, place: str) -> Kind:
    if text not in _WORDS:
        raise ConfigError(f"{place}: {text!r} cannot be sent; {nearest(text, _WORDS)}")
    return Kind(text)


def _name(message: Message) -> str:
    """What the topic is named after: a pump for an act, a therapy for all else."""
    if isinstance(message, Act):
        return message.pump
    assert isinstance(message, Prescription | LabResult | Report)
    return message.therapy


def _with_times(body: Mapping[str, Any], place: str, now_ms: int, depth: int) -> dict[str, Any]:
    """The same with every time in Unix milliseconds; a time is what ends in `_ms`."""
    if depth == 0:
        raise ConfigError(f"{place}: nested too deeply")
    found: dict[str, Any] = {}
    for key, value in body.items():
        if key.endswith("_ms") and isinstance(value, str | datetime):
            found[key] = _time_ms(value, f"{place}: key {key!r}", now_ms)
        elif isinstance(value, Mapping):
            found[key] = _with_times(value, place, now_ms, depth - 1)
        elif isinstance(value, list):
            found[key] = [
                _with_times(each, place, now_ms, depth - 1) if isinstance(each, Mapping) else each
                for each in value
            ]
        elif isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{place}: key {key!r}: {value} is not a finite number")
        else:
            found[key] = value
    return found


def _time_ms(value: str | datetime, place: str, now_ms: int) -> int:
    if isinstance(value, str):
        match = _NOW.fullmatch(value.strip())
        if match is not None:
            sign, amount, unit = match.groups()
            away_ms = round(float(amount) * _UNITS_MS[unit]) if amount else 0
            return now_ms - away_ms if sign == "-" else now_ms + away_ms
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ConfigError(f"{place}: {value!r} is no time; {_TIMES}") from None
    if value.tzinfo is None:
        raise ConfigError(f"{place}: {value.isoformat()} has no offset; {_TIMES}")
    return round(value.timestamp() * MS_PER_SECOND)
