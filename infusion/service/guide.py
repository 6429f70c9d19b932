"""The trouble-shooting guide: what to do about each alarm and complaint, in plain words.

One file of `config/guides/` for the page and for the sheet that lies beside the pump, so that both
say the same. Every alarm that a pump can raise and every topic of complaint has a page, or the file
is refused. For testing and training only.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from infusion.alarms import DEVICE_ALARMS
from infusion.errors import ConfigError
from infusion.settings import load_toml
from infusion.tables import read_table

# What people complain of; infusion/service/complications.py reads reports as one of these.
COMPLAINTS = (
    *("bleeding", "bruising", "clot", "stroke", "allergy", "sepsis", "fall", "catheter", "site"),
    *("hospital", "other"),
)
Sentence = Annotated[str, Meta(min_length=1, max_length=200)]
Steps = Annotated[tuple[Sentence, ...], Meta(min_length=1, max_length=8)]


class Page(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One alarm or complaint: what it is called at home, what it means, what to do, whom to call.

    `call` is when help is called: `at-once` before anything else is tried, `if-not-solved` after
    the steps, `next-day` in working hours. `never` is what must not be done.
    """

    title: Sentence
    means: Sentence
    steps: Steps
    call: Literal["at-once", "if-not-solved", "next-day"]
    never: Sentence | None = None


class Guide(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All pages: `alarm` by the wire key of the alarm, `complaint` by its topic."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    emergency: Sentence
    on_call: Sentence
    alarm: dict[str, Page]
    complaint: dict[str, Page]

    def page(self, key: str) -> Page | None:
        """The page of an alarm or a complaint."""
        return self.alarm.get(key) or self.complaint.get(key)


def read_guide(data: bytes, name: str) -> Guide:
    """The guide in the bytes of a TOML file called `name`.

    Raises ConfigError that names the file and the page: one that is missing, one for an alarm that
    no pump has, a bad value.
    """
    document = load_toml(data, name)
    for section, keys in (("alarm", tuple(DEVICE_ALARMS)), ("complaint", COMPLAINTS)):
        tables = document.get(section)
        if not isinstance(tables, dict):
            raise ConfigError(f"{name}: there is no [{section}.…]; write a table for each")
        for key in keys:
            if key not in tables:
                raise ConfigError(f"{name}: [{section}.{key}] is missing; write what to do")
        for key in tables:
            if key not in keys:
                known = ", ".join(sorted(keys))
                raise ConfigError(f"{name}: [{section}.{key}] is unknown; known are {known}")
        document[section] = {
            key: read_table(Page, table, f"{name}: [{section}.{key}]")
            for key, table in tables.items()
        }
    return read_table(Guide, document, name)
