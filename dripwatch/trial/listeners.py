"""Who hears one stream in a trial: the monitor, with a nurse, and what it is compared with."""

from collections import deque
from typing import Literal

from msgspec.structs import replace

from dripwatch.trial.alerts import Ledger
from dripwatch.trial.baselines import DeviceAlone, FixedThresholds, previous_table
from infusion.alert import Act, AlertChange
from infusion.errors import MessageError
from infusion.messages import Message
from infusion.monitor import Monitor, MonitorSettings
from infusion.policy import Policy
from infusion.units import MS_PER_MINUTE

# A nurse acknowledges what was raised so long ago. [A]
SEEN_AFTER_MS = 10 * MS_PER_MINUTE
Baselines = Literal["all", "cheap", "none"]
MONITOR, DEVICE, GIP, PREVIOUS = "monitor", "device", "gip", "previous"
SITE = "home"


class Ward:
    """The systems that hear one stream: the monitor, and what it is compared with."""

    def __init__(self, baselines: Baselines, step_ms: int) -> None:
        """Nothing heard yet; `step_ms` is how often time is told."""
        self._monitors = {MONITOR: _Watched(step_ms)}
        self._simple: list[DeviceAlone | FixedThresholds] = []
        self.ledgers: dict[str, Ledger] = {MONITOR: self._monitors[MONITOR].ledger}
        if baselines == "all":
            self._monitors[PREVIOUS] = _Watched(step_ms, previous_table())
            self.ledgers[PREVIOUS] = self._monitors[PREVIOUS].ledger
        self._gip: FixedThresholds | None = None
        if baselines != "none":
            self._gip = FixedThresholds()
            device = DeviceAlone(self._gip.ledger)
            self._simple = [device, self._gip]
            self.ledgers |= {DEVICE: device.ledger, GIP: self._gip.ledger}

    def hear(self, message: Message, site: str, now_ms: int) -> None:
        """A message arrived and was understood. Raises MessageError where it makes no sense."""
        for watched in self._monitors.values():
            changes = watched.monitor.receive(message, site, now_ms)
            if changes:
                watched.took(changes, now_ms)
        for simple in self._simple:
            simple.hear(message, now_ms)

    def refuse(self, error: MessageError, site: str | None, now_ms: int) -> None:
        """A message arrived that nobody can read."""
        for watched in self._monitors.values():
            watched.took(watched.monitor.refuse(error, site, now_ms), now_ms)

    def tick(self, now_ms: int) -> None:
        """Time passes."""
        for watched in self._monitors.values():
            changes = watched.monitor.tick(now_ms)
            if changes:
                watched.took(changes, now_ms)
            watched.acknowledge(now_ms)
        if self._gip is not None and now_ms % MS_PER_MINUTE == 0:
            self._gip.tick(now_ms)


class _Watched:
    """A monitor, what it said, and the nurse who acknowledges it."""

    def __init__(self, step_ms: int, policy: Policy | None = None) -> None:
        settings = MonitorSettings()
        # A coarse clock must not be taken for one that stood still.
        settings = replace(settings, stall_ms=max(settings.stall_ms, step_ms))
        self.monitor = Monitor(settings, policy)
        self.ledger = Ledger()
        self._due: deque[tuple[int, str]] = deque()
        self._acts = 0

    def took(self, changes: list[AlertChange], now_ms: int) -> None:
        """Keep what came out; somebody will come for what is new."""
        self.ledger.take(changes, now_ms)
        self._due += [
            (now_ms + SEEN_AFTER_MS, change.alert.id)
            for change in changes
            if change.change == "raised"
        ]

    def acknowledge(self, now_ms: int) -> None:
        """The nurse has seen what was raised a while ago, and says so."""
        while self._due and self._due[0][0] <= now_ms:
            _, id_ = self._due.popleft()
            known = self.ledger.alerts[id_]
            self._acts += 1
            act = Act(
                act=f"A{self._acts}",
                pump=known.pump,
                alert=id_,
                version=known.version,
                what="acknowledge",
                by="nurse-1",
                time_ms=now_ms,
            )
            self.took(self.monitor.receive(act, SITE, now_ms), now_ms)
