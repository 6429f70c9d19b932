"""What the clinic tells a monitor of a therapy: laboratory results, and reports of people.

Both are published by the EHR, or by whoever sits with the patient, never by a pump. No names and
no birth dates: a therapy's id is all that a message says of a person.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from infusion.prescription import Name, TimeMs

Text = Annotated[str, Meta(max_length=256)]

# What a laboratory measures, and in which unit it reports. The units are those of heparin.md's
# sources; LOINC has several codes for some of them, so none is named here.
LAB_UNITS = {
    "anti-xa": "IU/mL",
    "aptt": "s",
    "platelets": "10*9/L",
    "haemoglobin": "g/dL",
    "inr": "1",
}
LabTest = Literal["anti-xa", "aptt", "platelets", "haemoglobin", "inr"]


class LabResult(Struct, frozen=True, kw_only=True):
    """One result of one specimen. Of two with the same specimen and test the later one holds.

    `value` is None when there is none: then `problem` says why (clotted, haemolysed, lost).
    `bound` says that the true value lies beyond what the laboratory reports: `<` below `value`,
    `>` above it. `drawn_ms` is when the blood was taken, `resulted_ms` when the result came.
    """

    therapy: Name
    specimen: Name
    test: LabTest
    value: Annotated[float, Meta(ge=0, le=100_000)] | None
    unit: Annotated[str, Meta(min_length=1, max_length=16)]
    bound: Literal["", "<", ">"] = ""
    problem: Text = ""
    drawn_ms: TimeMs
    resulted_ms: TimeMs


class Report(Struct, frozen=True, kw_only=True):
    """What a patient, a nurse or another person says happened."""

    therapy: Name
    report: Name
    what: Annotated[str, Meta(min_length=1, max_length=64)]
    by: Annotated[str, Meta(min_length=1, max_length=64)]
    time_ms: TimeMs
    detail: Text = ""
