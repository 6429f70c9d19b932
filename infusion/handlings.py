"""Which handling holds for each pump now: a policy, asked as seldom as it can be.

What is kept here follows from the policy and the state, so it is made again after a restart.
"""

from infusion.handling import Handling
from infusion.policy import Policy


class Handlings:
    """The handlings of one partition's pumps, by `site/pump`."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._of_pump: dict[str, tuple[str | None, Handling]] = {}

    def last(self, name: str) -> Handling:
        """What held for a pump when it was last looked at; for a new one what holds for all."""
        known = self._of_pump.get(name)
        return known[1] if known is not None else self.policy.made[""]

    def now(self, name: str, site: str, therapy: str | None, at_ms: int) -> Handling:
        """What holds for a pump with a therapy at an instant."""
        known = self._of_pump.get(name)
        if known is not None and known[0] == therapy:
            until_ms = known[1].until_ms
            if until_ms is None or at_ms < until_ms:
                return known[1]
        found = self.policy.handling(site, therapy, at_ms)
        self._of_pump[name] = (therapy, found)
        return found
