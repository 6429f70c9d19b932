"""What befalls a patient or the laboratory in a scenario: one small function for each kind.

`PERFORM` at the end of the file looks the kind up. Patients have reached the time of the event.
"""

from collections.abc import Callable
from typing import Any

from simulator.clinic.clinic import Clinic
from simulator.patients import Patients
from simulator.story import patient_events as event
from simulator.story.entries import Entry

Performer = Callable[[Patients, Clinic | None, int, Any, int], None]


def perform(
    patients: Patients, clinic: Clinic | None, index: int, entry: Entry, start_ms: int
) -> None:
    """Let an event befall patient `index`; `clinic` is None where nobody cares for the patient.

    Times of the entry count from `start_ms`.
    """
    PERFORM[type(entry)](patients, clinic, index, entry, start_ms)


def _bleeding(
    patients: Patients, _: Clinic | None, index: int, entry: event.Bleeding, _start: int
) -> None:
    patients.begin_bleeding(index, entry.g_dl_day, entry.hours)


def _hit(patients: Patients, _: Clinic | None, index: int, entry: event.Hit, _start: int) -> None:
    patients.begin_hit(index, entry.fall)


def _clearance_falls(
    patients: Patients, _: Clinic | None, index: int, entry: event.ClearanceFalls, _start: int
) -> None:
    patients.begin_clearance_fall(index, entry.share, entry.hours)


def _clearance_rises(
    patients: Patients, _: Clinic | None, index: int, entry: event.ClearanceRises, _start: int
) -> None:
    patients.begin_clearance_fall(index, -entry.share, entry.hours)


def _spoil_specimen(
    _: Patients, clinic: Clinic | None, index: int, entry: event.SpoilSpecimen, _start: int
) -> None:
    if clinic is not None:
        clinic.spoil_next(index, entry.how)


def _laboratory_closed(
    _: Patients, clinic: Clinic | None, index: int, entry: event.LaboratoryClosed, start_ms: int
) -> None:
    if clinic is not None:
        clinic.close_laboratory(index, start_ms + entry.until.ms)


PERFORM: dict[type[Entry], Performer] = {
    event.Bleeding: _bleeding,
    event.Hit: _hit,
    event.ClearanceFalls: _clearance_falls,
    event.ClearanceRises: _clearance_rises,
    event.SpoilSpecimen: _spoil_specimen,
    event.LaboratoryClosed: _laboratory_closed,
}
