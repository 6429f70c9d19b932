"""The physics of a whole fleet, one array element a pump, readable as equations with units.

- `state`: every quantity of n pumps, and what a machine, a person or a fault may change;
- `flow`: motor, mechanism and start-up: from the motor's position to displaced volume;
- `line`: compliance, resistance, head pressure, siphon, leak and the pressure alarm;
- `air`: bubbles on their way to the detector;
- `power`: battery and temperature;
- `step`: one step of everything, in place.

**Volumes.** At every step, to rounding,

    pumped = held + patient + lost,

where `pumped` has left the reservoir through the pump, `held` is in the line's compliance above
its rest, `patient` has passed into the vein (it falls where blood runs back into the line), and
`lost` has leaked or was driven back into the reservoir. `counted` is a fifth number: what the
pump itself believes, by its motor or by its flow sensor.
"""

from simulator.physics.flow import uniforms
from simulator.physics.line import MMHG_PER_CM, alarm_time_s
from simulator.physics.state import Flags, Floats, Keys, State
from simulator.physics.step import step

__all__ = ["MMHG_PER_CM", "Flags", "Floats", "Keys", "State", "alarm_time_s", "step", "uniforms"]
