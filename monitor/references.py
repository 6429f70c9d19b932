"""What the monitor goes by besides its settings: the policy of alerts, and the tables it names.

All of it is read at the start, so that a file which cannot be followed stops the monitor before it
has taken a message. `check-config` reads it in the same way.
"""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from host.process import read_named
from infusion.errors import ConfigError
from infusion.nomogram import Nomogram
from infusion.nomogram_file import read_nomogram
from infusion.policy import Policy, with_rota
from infusion.policy_file import read_policy
from infusion.service.guide import Guide, read_guide
from infusion.service.rota import read_rota
from infusion.service.visits import CarePlan, read_care_plan
from infusion.thresholds import DEFAULTS
from monitor.zones import offsets

# Files of config/care and config/guides.
CARE_PLAN = "home-heparin"
GUIDE = "home-pump"


class References(Struct, frozen=True, kw_only=True):
    """`alerts` is the file that the policy came from; empty for what the code has by itself.

    `care` is what the service does when, `guide` what is done at home; None shows neither.
    """

    policy: Policy = Policy()
    alerts: str = ""
    nomograms: Mapping[str, Nomogram] = {}
    care: CarePlan | None = None
    guide: Guide | None = None


def read_references(alerts: str) -> References:
    """Read the policy by its file, or its name in config/, and the nomograms that it names.

    Raises ConfigError that names the file, the table and the key.
    """
    data, name = read_named(alerts, "")
    policy = read_policy(data, name, offsets)
    if policy.rota:
        try:
            policy = with_rota(policy, read_rota(*read_named(policy.rota, "rotas")))
        except ConfigError as error:
            raise ConfigError(f"{name}: key 'rota': {error}") from None
    nomograms: dict[str, Nomogram] = {}
    for place, nomogram in _nomograms(policy):
        if nomogram in nomograms:
            continue
        try:
            nomograms[nomogram] = read_nomogram(*read_named(nomogram, "nomograms"))
        except ConfigError as error:
            raise ConfigError(f"{name}: {place}: key 'nomogram': {error}") from None
    return References(
        policy=policy,
        alerts=name,
        nomograms=nomograms,
        care=read_care_plan(*read_named(CARE_PLAN, "care")),
        guide=read_guide(*read_named(GUIDE, "guides")),
    )


def _nomograms(policy: Policy) -> Iterator[tuple[str, str]]:
    """Each name of a nomogram that some pump may be held against, with the table that gives it."""
    layers = [("[thresholds]", policy.everybody)]
    layers += [(f"[site.{key}.thresholds]", layer) for key, layer in policy.sites.items()]
    layers += [(f"[therapy.{key}.thresholds]", layer) for key, layer in policy.therapies.items()]
    layers += [
        (f"[override.thresholds] {number}", each.layer)
        for number, each in enumerate(policy.overrides, start=1)
    ]
    for place, layer in layers:
        yield place, layer.thresholds.get("nomogram", DEFAULTS.nomogram)
