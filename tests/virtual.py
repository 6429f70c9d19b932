"""A fleet and the monitor's core joined by a perfect wire, in virtual time.

What a pump says arrives at once and in order, wills included; the partition clock follows the time
of receipt, which goes a second a step.
"""

from infusion.messages import AlertChange, Message, PumpMessage, decode, parse_topic
from infusion.monitor import Monitor
from simulator.fleet import Fleet
from simulator.stream import Connect, Outgoing

TICK_MS = 1_000


class Trial:
    """One run: `said` has every message of a pump, `changes` every change of an alert."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.monitor = Monitor()
        self.said: list[PumpMessage] = []
        self.changes: list[AlertChange] = []
        self._wills: dict[str, Connect] = {}

    def run(self, until_ms: int) -> "Trial":
        """Run up to an instant of the pumps' time, and let the pumps say goodbye."""
        for at_ms in range(self.fleet.now_ms, until_ms + 1, TICK_MS):
            for output in self.fleet.advance(at_ms):
                if isinstance(output, Outgoing):
                    self._hear(output.topic, output.payload, output.time_ms)
                elif isinstance(output, Connect):
                    self._wills[output.session] = output
                elif not output.clean:
                    will = self._wills[output.session]
                    assert will.will_topic is not None
                    self._hear(will.will_topic, will.will_payload, output.time_ms)
            self.changes += self.monitor.tick(at_ms)
        return self

    def close(self) -> "Trial":
        """Let the pumps tell where they stand, and say goodbye."""
        for output in self.fleet.close():
            if isinstance(output, Outgoing):
                self._hear(output.topic, output.payload, output.time_ms)
        return self

    def _hear(self, topic_text: str, payload: bytes, at_ms: int) -> None:
        topic = parse_topic(topic_text)
        message: Message = decode(topic, payload)
        if isinstance(message, PumpMessage):
            self.said.append(message)
        self.changes += self.monitor.receive(message, topic.site, at_ms)
