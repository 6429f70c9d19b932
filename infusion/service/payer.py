"""How a payer counts the days of a per-diem, as data read from `config/payers/*.toml`.

Payers disagree (reference: NHIA counts days of *access* [V], BCBS North Dakota days on which an
infusion is *received*, one day being 24 h [V]), so the rule is a file and never code.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from infusion.settings import load_toml
from infusion.tables import read_table

Counts = Literal["access", "infusion", "blocks"]
Sentence = Annotated[str, Meta(min_length=1, max_length=400)]
Mark = Literal["V", "V2", "D", "M", "A"]


class Payer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way of counting.

    `counts` is what makes a day: `access`, every local day from the start to the day of the stop;
    `infusion`, every local day with more than `infused_min` minutes of infusion; `blocks`, every
    `block_h` hours of infused time that are begun, told on the day on which they begin.
    `hospital` says what becomes of days in hospital: `counted`, `whole-days-out` (a day of which
    all the therapy's time is spent there), or `touched-days-out`. `holds` the same for ordered
    holds. `line` is what one line of a claim covers; `drug_from` is the volume that drug units are
    worked out from. `mark` is that of `source`.
    """

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    source: Sentence
    mark: Mark
    counts: Counts
    infused_min: Annotated[float, Meta(ge=0, le=1_440)] = 0.0
    block_h: Annotated[float, Meta(gt=0, le=168)] = 24.0
    holds: Literal["counted", "whole-days-out", "touched-days-out"] = "counted"
    hospital: Literal["counted", "whole-days-out", "touched-days-out"] = "whole-days-out"
    line: Literal["month", "day"] = "month"
    drug_from: Literal["delivered", "dispensed"] = "dispensed"


def read_payer(data: bytes, name: str) -> Payer:
    """The payer's rule in the bytes of a TOML file called `name`.

    Raises ConfigError that names the file and the key.
    """
    return read_table(Payer, load_toml(data, name), name)
