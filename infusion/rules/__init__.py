"""The hazards, one small pure function each, and the table that says how each is handled."""

from infusion.rules.asking import is_clinical, verdicts
from infusion.rules.rule import EVERYTHING, Level, News, Rule
from infusion.rules.table import RULES

__all__ = ["EVERYTHING", "RULES", "Level", "News", "Rule", "is_clinical", "verdicts"]
