"""What the monitor looks for, and the policy by which it tells people."""

from functools import cache
from pathlib import PurePath

from msgspec import Struct

from infusion.policy_words import describe
from monitor.catalogue import RuleRow, catalogue
from monitor.web.api.office import Office
from monitor.web.operations import PREFIX, Call, Nothing, Operation


class RuleList(Struct, frozen=True):
    """Every rule and every alarm of a pump, by its defaults; the policy may change them."""

    items: list[RuleRow]


class PolicyWords(Struct, frozen=True):
    """The policy in force, a sentence a line. `file` is where it was read; empty for defaults."""

    file: str
    sentences: list[str]


@cache
def _rules() -> RuleList:
    return RuleList(catalogue())


async def list_rules(_office: Office, _call: Call[Nothing]) -> RuleList:
    """Every rule: how urgent it is, what it says, what to look at first, where it comes from."""
    return _rules()


async def show_policy(office: Office, _call: Call[Nothing]) -> PolicyWords:
    """Who is called when, what is latched, what a site or a therapy changes: in sentences."""
    references = office.ward.references
    sentences = describe(references.policy, office.ward.now_ms())
    return PolicyWords(PurePath(references.alerts).name, sentences)


OPERATIONS = (
    Operation(method="GET", path=f"{PREFIX}/rules", handler=list_rules, answer=RuleList),
    Operation(method="GET", path=f"{PREFIX}/policy", handler=show_policy, answer=PolicyWords),
)
