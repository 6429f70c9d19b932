"""Codes of the claim for heparin at home, each with the mark of its text (pump-standards §5).

A code with the mark M is from memory and says so wherever it is shown: check it in the payer's own
list of the year before anybody uses it.
"""

from msgspec import Struct

from infusion.service.payer import Mark


class Code(Struct, frozen=True):
    """A code, what it stands for, where that is from, and the system it belongs to."""

    code: str
    text: str
    mark: Mark
    system: str

    def shown(self) -> str:
        """The text, with a warning where it is from memory."""
        return self.text if self.mark != "M" else f"{self.text} (from memory, not verified)"


_HCPCS = "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
_CPT = "http://www.ama-assn.org/go/cpt"

PER_DIEM = Code(
    "S9336",
    "Home infusion therapy, continuous anticoagulant infusion (e.g. heparin), administrative and"
    " professional pharmacy services, care coordination, supplies and equipment; drugs and nursing"
    " visits coded separately; per diem",
    "V",
    _HCPCS,
)
DRUG = Code("J1644", "Heparin sodium, per 1000 units", "M", _HCPCS)
VISIT = Code("99601", "Home infusion nursing visit, up to 2 hours", "M", _CPT)
VISIT_HOUR = Code("99602", "Home infusion nursing visit, each further hour", "M", _CPT)
# That the modifiers exist is read in a source (NHIA 2012), what they mean is from memory.
SECOND = Code("SH", "second concurrently administered infusion therapy", "M", _HCPCS)
THIRD = Code("SJ", "third or more concurrently administered infusion therapy", "M", _HCPCS)
IU_PER_DRUG_UNIT = 1_000
VISIT_H = 2.0


def modifier_of(place: int) -> str:
    """The modifier of a patient's therapy by its place that day, counted from 1; "" for the first.

    Raises ValueError for a place below 1.
    """
    if place < 1:
        raise ValueError(f"place {place}: the first therapy has place 1")
    return {1: "", 2: SECOND.code}.get(place, THIRD.code)
