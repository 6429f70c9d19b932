"""Keeps Python's collector of cycles from going through the whole fleet again and again.

While a fleet grows, the collector looks at everything that has become old each time that it has
grown by a quarter: a second for a hundred thousand pumps, in which no alert is raised. The state of
pumps has no cycles (infusion/state.py), so what has grown is set aside (`gc.freeze`), where it is
freed like anything else once nobody refers to it. That is done a few dozen times in the life of a
process at most, because what is in a cycle at that instant stays for ever.
"""

import gc
from collections.abc import Sized

# Set aside whenever there are so many pumps more, or such a share.
PUMPS = 1_000
SHARE = 0.2


class Calm:
    """Looks at a fleet again and again; `watch` belongs into the runner's watchers."""

    def __init__(self, fleet: Sized) -> None:
        self._fleet = fleet
        self._next = PUMPS
        self.times = 0

    def watch(self, *_: object) -> None:
        """Set aside what there is, where the fleet has grown."""
        pumps = len(self._fleet)
        if pumps < self._next:
            return
        gc.freeze()
        self.times += 1
        self._next = pumps + max(PUMPS, round(pumps * SHARE))
