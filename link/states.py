"""The theory of the MQTT 5 client session, its states as tables, and what it says to its owner.

The theory
----------
A *session* outlives its *connections*. What must survive a lost connection is small: the messages
of ours that the broker has not acknowledged, in order. Everything else (the packet ids we owe an
acknowledgement for, the broker's limits, half a packet) belongs to one connection and is thrown
away with it. So there are four states, and losing the wire leads from each of them to IDLE:

- IDLE: there is no connection. Messages are queued.
- CONNECTING: CONNECT is on its way. Only a CONNACK or a DISCONNECT may come.
- GREETING: the broker said yes. What the owner publishes now goes out before all that waited, so
  that a pump's "online" is the first thing the ward hears; nothing is read meanwhile. It ends
  when the owner calls `open`.
- OPEN: everything flows.

Rules, in the order in which they matter:

1. A QoS 1 message of ours stays until its PUBACK. If the wire is lost first it goes back to the
   head of the queue. If the broker still has our session it is sent again with DUP and its old
   packet id; if the broker has lost the session it is a new message, without DUP.
2. At most `window` of them are in flight: the smaller of the broker's receive maximum and ours.
3. Nothing that arrives is acknowledged by itself. Acknowledgements leave in order of arrival
   [MQTT-4.6.0-2]; rumqttd closes the connection on one that is out of order.
4. A packet that is malformed, or that the state does not allow, ends the connection with a
   DISCONNECT that names the reason. We subscribe with QoS 1 at most and allow no topic aliases,
   so a QoS 2 message or an alias is such a packet too.
5. When nothing was sent or nothing was received for the keep-alive time, a PINGREQ goes out; when
   then nothing at all arrives within half of it, the connection is dead.
6. A refusal that the same CONNECT would meet again is final; all else is worth another attempt.

Time comes in as `now`, in seconds of any monotonic clock. The owner moves bytes, calls `tick` at
`deadline`, and does what the events say.
"""

import enum

import mqtt5
import msgspec

from link.interface import Message
from link.packets import Outgoing

CONNECTION_CLOSED = "CONNECTION_CLOSED"


class State(enum.Enum):
    """Where the session is; see the theory on top."""

    IDLE = "idle"
    CONNECTING = "connecting"
    GREETING = "greeting"
    OPEN = "open"


class Happening(enum.Enum):
    """What moves a session from state to state."""

    CONNECT = "connect"
    ACCEPTED = "accepted"
    GREETED = "greeted"
    ENDED = "ended"


TRANSITIONS: dict[State, dict[Happening, State]] = {
    State.IDLE: {Happening.CONNECT: State.CONNECTING},
    State.CONNECTING: {Happening.ACCEPTED: State.GREETING, Happening.ENDED: State.IDLE},
    State.GREETING: {Happening.GREETED: State.OPEN, Happening.ENDED: State.IDLE},
    State.OPEN: {Happening.ENDED: State.IDLE},
}

RECEIVABLE: dict[State, frozenset[type]] = {
    State.IDLE: frozenset(),
    State.CONNECTING: frozenset({mqtt5.ConnAckPacket, mqtt5.DisconnectPacket}),
    State.GREETING: frozenset(),  # what has come already is read after the greeting
    State.OPEN: frozenset(
        {
            mqtt5.PublishPacket,
            mqtt5.PubAckPacket,
            mqtt5.SubAckPacket,
            mqtt5.PingRespPacket,
            mqtt5.DisconnectPacket,
        }
    ),
}


class Accepted(msgspec.Struct, frozen=True):
    """The broker accepted us. The owner greets, then calls `open`."""

    session_present: bool


class Settled(msgspec.Struct, frozen=True):
    """A message of ours is done: `reason` is None, or names why it failed."""

    outgoing: Outgoing
    reason: str | None


class Subscribed(msgspec.Struct, frozen=True):
    """The broker has taken the subscriptions: what is published from now on arrives."""


class Ended(msgspec.Struct, frozen=True):
    """The connection is over. The owner writes what `take` still gives, then closes the wire."""

    reason: str
    text: str = ""
    final: bool = False


Event = Message | Settled | Accepted | Subscribed | Ended
