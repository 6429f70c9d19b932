"""The hazards, one small pure function each, and the table that says how each is handled."""

from infusion.rules.rule import Level, Rule
from infusion.rules.table import RULES, is_clinical, verdicts

__all__ = ["RULES", "Level", "Rule", "is_clinical", "verdicts"]
