"""The dose that truly reached each patient: every volume with what the bag held at that time.

The few tenths of a millilitre that a line holds are taken to change with the bag: how a new bag's
heparin moves down the line is not modelled.
"""

import numpy as np

from simulator.physics import Floats, State


class DoseMeter:
    """Adds up IU for n patients, from the volumes of the physics; arrays have shape (n,)."""

    def __init__(self, state: State, concentration_iu_ml: Floats) -> None:
        """Nothing has reached anybody yet; `concentration_iu_ml` is what the first bags hold."""
        self._state = state
        self._concentration = concentration_iu_ml
        self._since_ml = state.patient_ml.copy()
        self._before_iu = np.zeros(len(concentration_iu_ml))

    def change_bag(self, index: int, concentration_iu_ml: float) -> None:
        """From now on another concentration flows to one patient."""
        self._before_iu[index] = self.dose_iu(index)
        self._since_ml[index] = self._state.patient_ml[index]
        self._concentration[index] = concentration_iu_ml

    def dose_iu(self, index: int) -> float:
        """What has reached one patient so far."""
        volume_ml = self._state.patient_ml[index] - self._since_ml[index]
        return float(self._before_iu[index] + volume_ml * self._concentration[index])

    def doses_iu(self) -> Floats:
        """What has reached each patient so far."""
        volume_ml = self._state.patient_ml - self._since_ml
        return self._before_iu + volume_ml * self._concentration
