"""A fleet and the monitor's core joined by a perfect wire, in virtual time.

What a pump says arrives at once and in order, wills included; the partition clock follows the time
of receipt, which goes a second a step. What contract v1 does not allow is refused as by the
monitor's own intake (monitor/runner.py).
"""

from msgspec.structs import replace

from infusion.errors import MessageError
from infusion.messages import AlertChange, PumpMessage, decode, parse_topic
from infusion.monitor import Monitor, MonitorSettings
from simulator.fleet import Fleet
from simulator.stream import Connect, Disconnect, Outgoing, Output

TICK_MS = 1_000


class Trial:
    """One run: `said` has every message of a pump that was understood, `changes` every change of
    an alert, `refused` what was wrong with each message that was not understood.
    """

    def __init__(self, fleet: Fleet, tick_ms: int = TICK_MS) -> None:
        """`tick_ms` is the step of the partition clock, best that of the fleet's own grid."""
        self.fleet = fleet
        settings = MonitorSettings()
        # A coarse clock must not be taken for one that stood still.
        self.monitor = Monitor(replace(settings, stall_ms=max(settings.stall_ms, tick_ms)))
        self.said: list[PumpMessage] = []
        self.changes: list[AlertChange] = []
        self.refused: list[MessageError] = []
        self._tick_ms = tick_ms
        # Which session holds a client id, and with which will.
        self._holders: dict[str, Connect] = {}

    def run(self, until_ms: int) -> "Trial":
        """Run up to an instant of the pumps' time."""
        for at_ms in range(self.fleet.now_ms, until_ms + 1, self._tick_ms):
            for output in self.fleet.advance(at_ms):
                self._take(output)
            self.changes += self.monitor.tick(at_ms)
        return self

    def close(self) -> "Trial":
        """Let the pumps tell where they stand, and say goodbye."""
        for output in self.fleet.close():
            self._take(output)
        return self

    def _take(self, output: Output) -> None:
        """What a broker makes of one value of the fleet."""
        if isinstance(output, Outgoing):
            self._hear(output.topic, output.payload, output.contract, output.time_ms)
        elif isinstance(output, Connect):
            client = output.client or output.session
            # Whoever has the same client id is thrown out, and its will goes out (MQTT 5, §3.1.4).
            if (before := self._holders.get(client)) is not None:
                self._say_will(before, output.time_ms)
            self._holders[client] = output
        else:
            self._end(output)

    def _end(self, ending: Disconnect) -> None:
        """A session ends, unless another has its place already."""
        for client, connect in self._holders.items():
            if connect.session == ending.session:
                del self._holders[client]
                if not ending.clean:
                    self._say_will(connect, ending.time_ms)
                return

    def _say_will(self, connect: Connect, at_ms: int) -> None:
        if connect.will_topic is not None:
            self._hear(connect.will_topic, connect.will_payload, None, at_ms)

    def _hear(self, topic_text: str, payload: bytes, contract: str | None, at_ms: int) -> None:
        """Give a message to the core; one that is refused is counted."""
        site: str | None = None
        try:
            topic = parse_topic(topic_text)
            site = topic.site
            message = decode(topic, payload, contract=contract)
            self.changes += self.monitor.receive(message, site, at_ms)
        except MessageError as error:
            self.refused.append(error)
            self.changes += self.monitor.refuse(error, site, at_ms)
            return
        if isinstance(message, PumpMessage):
            self.said.append(message)
