"""Which part of the pumps a monitor judges, where several processes share them.

A pump belongs to the part that a hash of its site and name falls into, so all its messages are
handled by one process, in order, whoever else comes and goes. Broker and topics cannot divide that
way: a shared subscription gives a pump's messages to whoever is free, and no filter hashes a name.
So every part has a session of its own, is sent everything, and passes over what is not its own by
the topic alone, before anything is decoded.

Orders, results, reports and heartbeats are taken by every part: an order names its pump in the
payload, may move a therapy from one pump to another, and a pump that gives a therapy ordered for
another is found by whoever judges that pump. They are few.
"""

from pathlib import Path
from zlib import crc32

from msgspec import Struct

from infusion.errors import ConfigError
from infusion.messages import MONITOR_SITE, PREFIX, Kind

PARTS_MAX = 64

# The last level of the topics that belong to one pump.
_PUMP_KINDS = frozenset(
    kind.value for kind in (Kind.TELEMETRY, Kind.EVENT, Kind.PRESENCE, Kind.ACT)
)
_MONITORS = f"{PREFIX}/{MONITOR_SITE}/"


class Partition(Struct, frozen=True):
    """Part `number`, from 1, of `of` equal ones."""

    number: int = 1
    of: int = 1

    def owns(self, key: str) -> bool:
        """Whether the pump `site/pump` belongs to this part."""
        return self.of == 1 or crc32(f"{PREFIX}/{key}".encode()) % self.of == self.number - 1

    def takes(self, topic: str) -> bool:
        """Whether a message on this topic concerns this part."""
        place, _, kind = topic.rpartition("/")
        if kind not in _PUMP_KINDS or topic.startswith(_MONITORS):
            return True
        return crc32(place.encode()) % self.of == self.number - 1

    def name(self, instance: str) -> str:
        """How the monitor of this part is called among those of one instance."""
        return instance if self.of == 1 else f"{instance}-{self.number}"

    def store(self, path: Path) -> Path:
        """The file of this part: `ward.sqlite3` becomes `ward.2-of-4.sqlite3`."""
        if self.of == 1:
            return path
        return path.with_name(f"{path.stem}.{self.number}-of-{self.of}{path.suffix}")


WHOLE = Partition()


def parts(of: int) -> list[Partition]:
    """All parts of so many."""
    return [Partition(number, of) for number in range(1, of + 1)]


def check_layout(path: Path, of: int) -> None:
    """Refuse a store that another number of processes has written, because it would be left out.

    Raises ConfigError that names the files.
    """
    mine = {each.store(path) for each in parts(of)}
    found = [path] if path.exists() else []
    found += path.parent.glob(f"{path.stem}.*-of-*{path.suffix}")
    others = sorted(each.name for each in found if each not in mine)
    if others:
        raise ConfigError(
            f"store {path}: {', '.join(others)} was written by another number of workers than"
            f" {of}, and what it holds would be left out; start as many as then, give another"
            " --store, or move the file away"
        )
