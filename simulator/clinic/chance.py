"""Chance of the clinic: each draw has a patient, a purpose and a number, and depends on nothing
else but the seed, so that no draw shifts another."""

import math
from typing import Literal

import numpy as np
from msgspec import Struct

from infusion.units import MS_PER_MINUTE

Purpose = Literal["draw", "specimen", "turnaround", "order", "apply", "notice"]

# Which children of a run's seed belong to the clinic; any number that no other purpose has.
_SPAWN = 0x636C696E
_PURPOSES: tuple[Purpose, ...] = ("draw", "specimen", "turnaround", "order", "apply", "notice")


class Chance(Struct, frozen=True):
    """The chance of one patient's care."""

    seed: int
    index: int

    def of(self, purpose: Purpose, number: int) -> np.random.Generator:
        """The generator of the purpose's time number `number`."""
        place = (_SPAWN, self.index, _PURPOSES.index(purpose), number)
        return np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(self.seed, spawn_key=place))
        )


def delay_ms(chance: np.random.Generator, median_min: float, log_sd: float) -> int:
    """A lognormal delay in whole minutes, at least one."""
    minutes = median_min * math.exp(log_sd * float(chance.standard_normal()))
    return max(1, math.ceil(minutes)) * MS_PER_MINUTE
