"""What a fleet says, made ready to be sent: the parts of its packet, and who it is."""

from typing import Literal

from infusion.messages import CONTENT_TYPE, CONTRACT, Kind
from link.lean import Parcel
from link.lean_packets import properties_part, topic_part
from simulator.load.ledger import UNMEASURED, identity, message_number, topic_number
from simulator.stream import Connect, Outgoing

# What subscribers listen to; only that is held against what came.
LOGGED = (Kind.TELEMETRY, Kind.EVENT)


class ParcelMaker:
    """Makes parcels; the parts that many share are made once."""

    def __init__(self, mqtt: Literal["5", "3.1.1"]) -> None:
        """For one version of MQTT."""
        self._mqtt = mqtt
        self._topics: dict[str, tuple[bytes, int]] = {}
        self._properties: dict[str, bytes] = {}

    def make(self, output: Outgoing, meant_us: int) -> Parcel:
        """One message that is meant to leave at a time, µs; presence is never measured."""
        topic = self._topics.get(output.topic)
        if topic is None:
            leaf = output.topic.rpartition("/")[2]
            number = topic_number(output.topic.encode()) if leaf in LOGGED else 0
            topic = self._topics[output.topic] = (topic_part(output.topic), number)
        part, number = topic
        return Parcel(
            part,
            self._properties_of(output.contract),
            output.payload,
            output.retain,
            UNMEASURED if output.kind is Kind.PRESENCE else meant_us,
            identity(number, message_number(output.payload)) if number else 0,
        )

    def will(self, connect: Connect) -> Parcel | None:
        """The will of a connection as a message, if it has one."""
        if connect.will_topic is None:
            return None
        topic, properties = topic_part(connect.will_topic), self._properties_of(CONTRACT)
        return Parcel(topic, properties, connect.will_payload, True, UNMEASURED, 0)

    def _properties_of(self, contract: str) -> bytes:
        found = self._properties.get(contract)
        if found is None:
            found = properties_part(self._mqtt, CONTENT_TYPE, (("contract", contract),))
            self._properties[contract] = found
        return found


def empty(parcel: Parcel) -> Parcel:
    """What takes a retained message back."""
    return Parcel(parcel.topic, parcel.properties, b"", True, UNMEASURED, 0)
