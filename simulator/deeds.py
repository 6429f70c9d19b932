"""Carries out what a plan has due, by the tables of fault_effects.py and action_effects.py."""

from simulator import action_effects, fault_book, fault_effects
from simulator.rig import Later, Rig
from simulator.story.plan import Begin, BootDone, Deed, End, Follow
from simulator.story.wire_faults import WireFault
from simulator.unit import Unit


def carry_out(rig: Rig, unit: Unit, deed: Deed) -> Later:
    """Do one deed other than an announcement. Returns what follows from it later, if anything."""
    rig.voices.take(unit)
    if isinstance(deed, BootDone):
        rig.boot_done(unit, resume=deed.resume, fails=deed.fails)
    elif isinstance(deed, Follow):
        action_effects.follow(rig, unit, deed)
    elif isinstance(deed, Begin | End) and isinstance(deed.entry, WireFault):
        # It is wire.py's to do, and over when that has counted what it touched.
        if isinstance(deed, Begin):
            fault_book.begin(rig, unit, fault_effects.WORDS[type(deed.entry)])
    elif isinstance(deed, Begin):
        kind = type(deed.entry)
        if kind in action_effects.PERFORM:
            return action_effects.PERFORM[kind](rig, unit, deed.entry)
        word = fault_effects.WORDS[kind]
        fault_book.begin(rig, unit, word)
        later = fault_effects.BEGIN[kind](rig, unit, deed.entry)
        if kind not in fault_effects.END:
            # It is over as soon as it has happened.
            fault_book.end(rig, unit, word)
        return later
    elif isinstance(deed, End):
        kind = type(deed.entry)
        fault_effects.END[kind](rig, unit, deed.entry)
        fault_book.end(rig, unit, fault_effects.WORDS[kind])
    return None
