"""Which handling holds for each pump now: a policy, asked as seldom as it can be.

A policy ends at an instant that people wrote down, so it goes by their time: by that of the order,
which stands still when a pump's clock is set, and so keeps to the messages also when they come in a
burst. A clock that was always wrong cannot stretch or cut it: it is over at the latest a day after
its instant by the time of receipt, and never before it. And for one pump it never runs back: what
has ended stays so.

What is kept here follows from the policy and the state, so it is made again after a restart.
"""

from msgspec import Struct

from infusion.allowed import FOREVER_MS
from infusion.handling import Handling
from infusion.policy import Policy
from infusion.state import PumpState
from infusion.units import MS_PER_HOUR

# Messages may come so late and still be judged by what held when they were made: what pumps keep
# for a lost connection is some hours. [A]
LATE_POLICY_MS = 24 * MS_PER_HOUR


class _Known(Struct, gc=False):
    """What holds for a pump with this therapy, as of an instant of people's time."""

    therapy: str | None
    handling: Handling
    as_of_ms: int


class Handlings:
    """The handlings of one partition's pumps, by `site/pump`."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._of_pump: dict[str, _Known] = {}

    def last(self, name: str) -> Handling:
        """What held for a pump when it was last looked at; for a new one what holds for all."""
        known = self._of_pump.get(name)
        return known.handling if known is not None else self.policy.made[""]

    def now(
        self, name: str, state: PumpState, therapy: str | None, at_ms: int, received_ms: int
    ) -> Handling:
        """What holds for a pump with a therapy at an instant of its own clock.

        `received_ms` is the newest time of receipt.
        """
        known = self._of_pump.get(name)
        is_known = known is not None and known.therapy == therapy
        if known is not None and is_known and known.handling.until_ms is None:
            return known.handling
        order_ms = at_ms - state.clock_shift_ms
        as_of_ms = max(min(order_ms, received_ms), received_ms - LATE_POLICY_MS)
        if known is not None:
            as_of_ms = max(as_of_ms, known.as_of_ms)
            until_ms = known.handling.until_ms
            if is_known and until_ms is not None and as_of_ms < until_ms:
                known.as_of_ms = as_of_ms
                return known.handling
        found = self.policy.handling(state.site, therapy, as_of_ms)
        self._of_pump[name] = _Known(therapy, found, as_of_ms)
        return found

    def ends_ms(self, name: str, at_ms: int) -> int:
        """When what holds for a pump ends, on its own clock; it was just asked for at `at_ms`."""
        known = self._of_pump[name]
        until_ms = known.handling.until_ms
        return FOREVER_MS if until_ms is None else at_ms + until_ms - known.as_of_ms
