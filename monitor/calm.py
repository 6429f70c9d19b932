"""Keeps Python's collector of cycles from going through the whole fleet again and again.

While a fleet grows, the collector looks at everything that has become old each time that it has
grown by a quarter: a second for a hundred thousand pumps, in which no alert is raised. The state of
pumps has no cycles (infusion/state.py), so what has grown is set aside (`gc.freeze`), where it is
freed like anything else once nobody refers to it. That is done a few dozen times in the life of a
process at most, because what is in a cycle at that instant stays for ever.
"""

import gc

# Set aside whenever there are so many pumps more, or such a share.
PUMPS = 1_000
SHARE = 0.2


class Calm:
    """Told how many pumps there are, again and again."""

    def __init__(self) -> None:
        self._next = PUMPS
        self.times = 0

    def look(self, pumps: int) -> None:
        """Set aside what there is, where the fleet has grown."""
        if pumps < self._next:
            return
        gc.freeze()
        self.times += 1
        self._next = pumps + max(PUMPS, round(pumps * SHARE))
