"""What a run is made of: its scenario or drawn days, and every file that those name."""

from typing import Annotated

from msgspec import Meta, Struct, structs

from host.process import read_named
from infusion.errors import ConfigError
from infusion.library import DrugEntry, DrugLibrary
from infusion.nomogram_file import read_nomogram
from infusion.prescription import Name
from infusion.settings import load_toml
from infusion.tables import read_table
from simulator.care import Guideline
from simulator.clinic.protocol import read_protocol
from simulator.profile import Profile, read_profile
from simulator.story.entries import NOBODY
from simulator.story.scenario import PUMPS_MAX, Scenario, read_scenario
from simulator.story.ward_file import read_ward
from simulator.ward import DAYS_MAX, draw_ward

DEFAULT_COHORT = "home"


# Leaves room for the reboots of a run below the contract's bound.
FIRST_BOOT_MAX = 1_000_000


class SimulatorSettings(Struct, frozen=True, kw_only=True):
    """What an operator can choose. Files are named by path, or by name below `config/`.

    `pumps` 0 takes the scenario's own number. `interval_s` must be a multiple of `step_s`.
    `start_ms` is the device time of the beginning; None is now. `first_boot` is the boot number
    with which every pump begins; 0 is one more than the broker remembers of an earlier run.
    `truth` publishes what really happened in the pumps, to grade a monitor by. `record` is a file
    that keeps all that is published (simulator/recording.py). With `cohort` or
    `days` the story is drawn by chance and `scenario` is not read: `cohort` None is "home",
    `days` 0 is 1.
    """

    scenario: str = "demo"
    cohort: str | None = None
    days: Annotated[int, Meta(ge=0, le=DAYS_MAX)] = 0
    profile: str = "ambulatory"
    pumps: Annotated[int, Meta(ge=0, le=PUMPS_MAX)] = 0
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 1
    interval_s: Annotated[float, Meta(ge=0.1, le=3600)] = 10.0
    step_s: Annotated[float, Meta(ge=0.1, le=60)] = 1.0
    site: Name = "home"
    truth: bool = False
    record: str | None = None
    start_ms: Annotated[int, Meta(ge=946_684_800_000, le=4_000_000_000_000)] | None = None
    first_boot: Annotated[int, Meta(ge=0, le=FIRST_BOOT_MAX)] = 0
    connect_rate_s: Annotated[float, Meta(gt=0, le=100_000)] = 500.0
    client_prefix: Annotated[str, Meta(max_length=64)] = "dripwatch-"


class Setup(Struct, frozen=True, kw_only=True):
    """A scenario with all that it needs. `profiles` are those that patients name, `library` is
    None for pumps that check nothing, `guideline` where nobody looks after the patients.
    """

    scenario: Scenario
    profile: Profile
    profiles: dict[str, Profile] = {}
    library: DrugEntry | None = None
    guideline: Guideline | None = None


def read_setup(section: SimulatorSettings) -> Setup:
    """All that the settings name. Raises ConfigError."""
    if section.cohort is not None or section.days:
        return _drawn_setup(section)
    return setup_of(named_scenario(section.scenario), section.profile)


def setup_of(scenario: Scenario, profile: str) -> Setup:
    """A scenario with the files that it names, on a model of pump. Raises ConfigError."""
    named = {patient.profile for patient in scenario.patients if patient.profile is not None}
    return Setup(
        scenario=scenario,
        profile=read_profile(*read_named(profile, "pumps")),
        profiles={name: read_profile(*read_named(name, "pumps")) for name in sorted(named)},
        library=_library(scenario.header.library),
        guideline=_guideline(scenario.header.protocol),
    )


def named_scenario(name: str) -> Scenario:
    """A scenario by name or file, with the cohort of its carer. Raises ConfigError."""
    scenario = read_scenario(*read_named(name, "scenarios"))
    if scenario.header.carer is None:
        return scenario
    try:
        ward = read_ward(*read_named(scenario.header.carer, "cohorts"))
    except ConfigError as error:
        raise ConfigError(f"{scenario.name}: key 'carer': {error}") from None
    return structs.replace(scenario, ward=ward)


def _drawn_setup(section: SimulatorSettings) -> Setup:
    """Days drawn by chance, on the models of pump that the cohort names."""
    data, name = read_named(section.cohort or DEFAULT_COHORT, "cohorts")
    ward = read_ward(data, name)
    # Where there are several, each patient names one.
    profile = min(ward.profiles)
    pumps, days = section.pumps or ward.pumps, section.days or 1
    scenario = draw_ward(ward, name=name, pumps=pumps, days=days, seed=section.seed)
    return setup_of(scenario, profile)


def _library(name: str) -> DrugEntry | None:
    if not name:
        return None
    data, file = read_named(name, "libraries")
    return read_table(DrugLibrary, load_toml(data, file), file).chosen()


def _guideline(name: str) -> Guideline | None:
    if name == NOBODY:
        return None
    protocol = read_protocol(*read_named(name, "protocols"))
    return Guideline(protocol, read_nomogram(*read_named(protocol.nomogram, "nomograms")))
