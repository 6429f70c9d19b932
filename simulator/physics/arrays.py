"""Types of arrays, and the units in which physics counts time."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Keys = NDArray[np.uint64]
Indices = NDArray[np.intp]

SECONDS_PER_HOUR = 3600.0
# Rounding must not put an alarm off by a whole step.
TIME_TOLERANCE_S = 1e-6
