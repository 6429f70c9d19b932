"""What comes out of a fleet: messages and connections, as values in order of time."""

from collections import deque
from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from infusion.messages import CONTRACT, Kind


# gc=False is safe: no field can refer back to the value.
class Outgoing(Struct, frozen=True, gc=False):
    """One message that leaves the session of a pump, or of another peer, at `time_ms`.

    The payload has the time at which it happened; that is earlier where it had to wait.
    `contract` is the version that its user property names (MQTT 5).
    """

    session: str
    topic: str
    payload: bytes
    qos: Literal[0, 1]
    retain: bool
    time_ms: int
    kind: Kind
    contract: str = CONTRACT


class Connect(Struct, frozen=True, gc=False):
    """A session connects, with its will (QoS 1, retained) where it has one.

    `client` names the session whose MQTT client id it uses, where that is not its own.
    """

    session: str
    time_ms: int
    will_topic: str | None = None
    will_payload: bytes = b""
    client: str | None = None


class Disconnect(Struct, frozen=True, gc=False):
    """A session ends: cleanly, or without a goodbye, so that its will goes out.

    With `taken_over` the broker ends it, because the next to connect has the same client id.
    """

    session: str
    time_ms: int
    clean: bool
    taken_over: bool = False


Output = Outgoing | Connect | Disconnect


class Backlog:
    """Messages that wait, in order; when it is full the oldest is dropped and counted."""

    __slots__ = ("_waiting", "dropped", "limit")

    def __init__(self, limit: int) -> None:
        """Room for `limit` messages."""
        assert limit >= 1, "a backlog has room for a message"
        self.limit = limit
        self.dropped = 0
        # Most pumps never need it, and an empty deque has room for 64 all the same.
        self._waiting: deque[Outgoing] | None = None

    def __len__(self) -> int:
        return len(self._waiting) if self._waiting is not None else 0

    def __iter__(self) -> Iterator[Outgoing]:
        return iter(self._waiting or ())

    def append(self, message: Outgoing) -> None:
        """Put a message at the end."""
        waiting = self._room()
        if len(waiting) == self.limit:
            waiting.popleft()
            self.dropped += 1
        waiting.append(message)

    def put_back(self, message: Outgoing) -> None:
        """Put a message at the front again; dropped when there is no room, as the oldest."""
        waiting = self._room()
        if len(waiting) == self.limit:
            self.dropped += 1
        else:
            waiting.appendleft(message)

    def first(self) -> Outgoing:
        """Take the oldest message; there must be one."""
        return self._room().popleft()

    def clear(self) -> list[Outgoing]:
        """Take all of them."""
        messages = list(self)
        self._waiting = None
        return messages

    def _room(self) -> deque[Outgoing]:
        if self._waiting is None:
            self._waiting = deque()
        return self._waiting
