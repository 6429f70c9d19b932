"""The drug library that proposed orders are held against: a file of config/libraries."""

from host.process import read_named
from infusion.library import DrugEntry, DrugLibrary
from infusion.settings import load_toml
from infusion.tables import read_table

# That of the simulated home service; see the file for where its limits come from.
DEFAULT = "home-heparin"


def read_library(name: str = DEFAULT) -> DrugEntry:
    """The entry that orders are held against. Raises ConfigError that names file and key."""
    data, file = read_named(name, "libraries")
    return read_table(DrugLibrary, load_toml(data, file), file).chosen()
