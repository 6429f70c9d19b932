"""Carries out what a plan has due, by the tables of fault_effects.py and action_effects.py."""

from simulator import action_effects, fault_effects
from simulator.rig import Later, Rig, Unit
from simulator.story.plan import Begin, BootDone, Deed, End, Follow


def carry_out(rig: Rig, unit: Unit, deed: Deed) -> Later:
    """Do one deed other than an announcement. Returns what follows from it later, if anything."""
    if isinstance(deed, BootDone):
        rig.boot_done(unit, resume=deed.resume, fails=deed.fails)
    elif isinstance(deed, Follow):
        action_effects.follow(rig, unit, deed)
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
