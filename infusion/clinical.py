"""What the clinic tells a monitor of a therapy: laboratory results, and reports of people.

Both are published by the EHR, or by whoever sits with the patient, never by a pump. No names and
no birth dates: a therapy's id is all that a message says of a person.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from infusion.prescription import Name, TimeMs

Text = Annotated[str, Meta(max_length=256)]

# What a laboratory measures, and in which unit it reports, by the Unified Code for Units of Measure
# that HL7 and FHIR use. LOINC has several codes for some of these, so none is named here.
LAB_UNITS = {
    "anti-xa": "[iU]/mL",
    "aptt": "s",
    "platelets": "10*9/L",
    "haemoglobin": "g/dL",
    "inr": "{INR}",
    "pt": "s",
}
LabTest = Literal["anti-xa", "aptt", "platelets", "haemoglobin", "inr", "pt"]


class LabResult(Struct, frozen=True, kw_only=True, gc=False):
    """One result of one specimen. Of two with the same specimen and test the later one holds.

    `value` is None when there is none: then `problem` says why (clotted, haemolysed, lost).
    `bound` says that the true value lies below or above `value`, the limit of what the laboratory
    reports. `drawn_ms` is when the blood was taken, `resulted_ms` when the result came. Raises
    ValueError for another unit than that of LAB_UNITS: nothing is converted here, and 140 g/L taken
    for g/dL would be worse than no result.
    """

    therapy: Name
    specimen: Name
    test: LabTest
    value: Annotated[float, Meta(ge=0, le=100_000)] | None
    unit: Annotated[str, Meta(min_length=1, max_length=16)]
    bound: Literal["", "below", "above"] = ""
    problem: Text = ""
    drawn_ms: TimeMs
    resulted_ms: TimeMs

    def __post_init__(self) -> None:
        """Refuse a unit in which the test is not read."""
        if self.unit != LAB_UNITS[self.test]:
            text = f"unit {self.unit!r}: {self.test} is read in {LAB_UNITS[self.test]!r}"
            raise ValueError(text)


class Report(Struct, frozen=True, kw_only=True, gc=False):
    """What a patient, a nurse or another person says happened.

    The rest is left out of the payload where it does not apply: `lasted_min` is how long a visit
    was; `item` which supply, `amount` how many of it, `lot` the lot it is of (a bag's too);
    `due_ms` when what is planned should happen.
    """

    therapy: Name
    report: Name
    what: Annotated[str, Meta(min_length=1, max_length=64)]
    by: Annotated[str, Meta(min_length=1, max_length=64)]
    time_ms: TimeMs
    detail: Text = ""
    lasted_min: Annotated[float, Meta(ge=0, le=1_440)] | UnsetType = UNSET
    item: Name | UnsetType = UNSET
    amount: Annotated[float, Meta(ge=0, le=100_000)] | UnsetType = UNSET
    lot: Name | UnsetType = UNSET
    due_ms: TimeMs | UnsetType = UNSET
