"""The 4Ts: how likely heparin-induced thrombocytopenia is, by what is known (ASH 2018 [V]).

    points            2                           1                           0
    thrombocytopenia  fall > 50 %, nadir ≥ 20     fall 30 to 50 %,            less
                                                  or nadir 10 to 19
    timing            day 5 to 10, or day ≤ 1     later, or day ≤ 1 with      day ≤ 4
                      with heparin in the last    heparin 31 to 100 days ago
                      30 days
    thrombosis        new clot, or necrosis       progressive, or suspected   none
    other cause       none                        possible                    definite

What nobody knows scores nothing and is told apart, as what it might add. The cuts (0 to 3 low, 4
and 5 intermediate, 6 to 8 high) are from memory [M]. For testing and training only.
"""

from typing import Literal

from msgspec import Struct

Clot = Literal["none", "suspected", "new"]
Cause = Literal["none", "possible", "definite"]
Likelihood = Literal["low", "intermediate", "high"]

_NADIR_FULL_G_L, _NADIR_HALF_G_L = 20.0, 10.0
_FIRST_DAY, _LAST_DAY = 5, 10
_RAPID_DAY = 1
_RECENT_DAYS, _PAST_DAYS = 30.0, 100.0
# From this score on a test for antibodies is asked for [M: ASH 2018].
SUSPECTED = 4
_HIGH = 6


class FourTs(Struct, frozen=True):
    """The points, and how many more there might be where something is not known."""

    fall: int
    timing: int
    clot: int
    other: int
    open_points: int

    @property
    def points(self) -> int:
        """The sum of what is known, 0 to 8."""
        return self.fall + self.timing + self.clot + self.other

    @property
    def likelihood(self) -> Likelihood:
        """By the points known; with those that are open it may be more."""
        if self.points < SUSPECTED:
            return "low"
        return "intermediate" if self.points < _HIGH else "high"


def score(
    *,
    fall: float,
    nadir_g_l: float,
    day: int,
    clot: Clot = "none",
    cause: Cause | None = None,
    exposed_days_ago: float | None = None,
    fall_half: float = 0.30,
    fall_full: float = 0.50,
) -> FourTs:
    """The 4Ts of a fall of platelets by a share, to a nadir in 10⁹/L, first seen on day `day`.

    `cause` None is not known. `exposed_days_ago` is when heparin was last given before this
    therapy; None where it was not, or nobody knows.
    """
    return FourTs(
        fall=_fall_points(fall, nadir_g_l, fall_half, fall_full),
        timing=_timing_points(day, exposed_days_ago),
        clot={"none": 0, "suspected": 1, "new": 2}[clot],
        other={None: 0, "definite": 0, "possible": 1, "none": 2}[cause],
        open_points=2 if cause is None else 0,
    )


def _fall_points(fall: float, nadir_g_l: float, half: float, full: float) -> int:
    if fall < half or nadir_g_l < _NADIR_HALF_G_L:
        return 0
    return 2 if fall > full and nadir_g_l >= _NADIR_FULL_G_L else 1


def _timing_points(day: int, exposed_days_ago: float | None) -> int:
    if day <= _RAPID_DAY and exposed_days_ago is not None:
        if exposed_days_ago <= _RECENT_DAYS:
            return 2
        return 1 if exposed_days_ago <= _PAST_DAYS else 0
    if day < _FIRST_DAY:
        return 0
    return 2 if day <= _LAST_DAY else 1
