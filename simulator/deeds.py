"""Carries out what a plan has due, by the tables of fault_effects.py and action_effects.py."""

from simulator import action_effects, fault_effects
from simulator.rig import Later, Rig, Unit
from simulator.story.plan import Begin, BootDone, Deed, End, Follow
from simulator.story.wire_faults import WireFault


def carry_out(rig: Rig, unit: Unit, deed: Deed) -> Later:
    """Do one deed other than an announcement. Returns what follows from it later, if anything."""
    if isinstance(deed, BootDone):
        rig.boot_done(unit, resume=deed.resume)
    elif isinstance(deed, Follow):
        action_effects.follow(rig, unit, deed)
    elif isinstance(deed, Begin | End) and isinstance(deed.entry, WireFault):
        _note(unit, deed)
    elif isinstance(deed, Begin):
        kind = type(deed.entry)
        if kind in action_effects.PERFORM:
            return action_effects.PERFORM[kind](rig, unit, deed.entry)
        if kind in fault_effects.END:
            unit.faults.append(fault_effects.WORDS[kind])
        return fault_effects.BEGIN[kind](rig, unit, deed.entry)
    elif isinstance(deed, End):
        kind = type(deed.entry)
        if fault_effects.WORDS[kind] in unit.faults:
            unit.faults.remove(fault_effects.WORDS[kind])
        fault_effects.END[kind](rig, unit, deed.entry)
    return None


def _note(unit: Unit, deed: Begin | End) -> None:
    """A fault of the wire is wire.py's to do; only its word is told with the truth of the pump."""
    word = fault_effects.WORDS[type(deed.entry)]
    if isinstance(deed, Begin):
        unit.faults.append(word)
    else:
        unit.faults.remove(word)
