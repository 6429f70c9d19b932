"""The table HAZARDS: everything that the trial can plant, by key."""

from dripwatch.trial.hazard import Hazard
from dripwatch.trial.rows_dose import DOSE
from dripwatch.trial.rows_machine import MACHINE
from infusion.errors import ConfigError
from infusion.tables import nearest

HAZARDS: dict[str, Hazard] = {hazard.key: hazard for hazard in (*DOSE, *MACHINE)}


def chosen(keys: tuple[str, ...], days: int) -> tuple[Hazard, ...]:
    """The rows of these keys, or all that fit into a story of so many days.

    Raises ConfigError for a key that is not there, or that needs more days.
    """
    for key in keys:
        if key not in HAZARDS:
            raise ConfigError(f"--hazard: {key!r} is unknown; {nearest(key, HAZARDS)}")
        if HAZARDS[key].days_min > days:
            least = HAZARDS[key].days_min
            raise ConfigError(f"--hazard {key}: takes longer than that; give --days {least}")
    rows = tuple(HAZARDS[key] for key in keys) or tuple(HAZARDS.values())
    return tuple(hazard for hazard in rows if hazard.days_min <= days)
