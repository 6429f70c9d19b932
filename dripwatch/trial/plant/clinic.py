"""What befalls a patient, a specimen or the laboratory. Every size and time is ours [A]."""

from dripwatch.trial.hazard import Bed, Planted, at
from infusion.units import MS_PER_HOUR
from simulator.story import patient_events as event
from simulator.story.entries import Entry
from simulator.story.reading import Offset

# The first level is due six hours after the start (Raschke, Michigan [V]), and the specimen that is
# spoiled is the next one that is drawn.
FIRST_LEVEL_MS = 6 * MS_PER_HOUR


def _befalls(bed: Bed, entry: Entry, onset_ms: int | None = None) -> Planted:
    return Planted(
        onset_ms=bed.at_ms if onset_ms is None else onset_ms,
        until_ms=bed.until_ms,
        events=(entry,),
    )


def bleeding(bed: Bed) -> Planted:
    """A bleeding, which the patient notices after a while."""
    size = bed.uniform(3.0, 10.0)
    return _befalls(bed, at(event.Bleeding, bed, bed.at_ms, g_dl_day=size, hours=12.0))


def hit(bed: Bed) -> Planted:
    """Platelets begin to fall."""
    return _befalls(bed, at(event.Hit, bed, bed.at_ms, fall=bed.uniform(0.55, 0.8)))


def lumen_specimen(bed: Bed) -> Planted:
    """The first level is drawn from the lumen that the heparin runs through."""
    spoiled = at(event.SpoilSpecimen, bed, bed.at_ms, how="lumen")
    return _befalls(bed, spoiled, FIRST_LEVEL_MS)


def lost_specimen(bed: Bed) -> Planted:
    """The first level is drawn, and lost on its way."""
    return _befalls(bed, at(event.SpoilSpecimen, bed, bed.at_ms, how="lost"), FIRST_LEVEL_MS)


def laboratory_closed(bed: Bed) -> Planted:
    """The laboratory sends nothing for half a day."""
    closed = at(event.LaboratoryClosed, bed, bed.at_ms, until=Offset(bed.until_ms))
    return _befalls(bed, closed, FIRST_LEVEL_MS)


def clearance_falls(bed: Bed) -> Planted:
    """The patient gets rid of less: the same dose means more and more."""
    share, hours = bed.uniform(0.35, 0.6), bed.uniform(3.0, 8.0)
    return _befalls(bed, at(event.ClearanceFalls, bed, bed.at_ms, share=share, hours=hours))
