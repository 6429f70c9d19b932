"""Rows of the table of rules for what the clinic says: results, reports, the calendar."""

from infusion.rules import blood, care, counts, laboratory
from infusion.rules.device import STOPPING
from infusion.rules.families import FLOWS, PROGRAMMED
from infusion.rules.rule import HIGH, LOW, MEDIUM, NOTICE, Rule, levels

# What a pump gives wrongly explains a level that is wrong.
_GIVEN_WRONG = (*FLOWS, *PROGRAMMED)
# A level that is low because the pump stands is no news.
_STANDS = ("not-delivering", "hold-overrun", *STOPPING)
LABORATORY = (
    # The delay lets the anti-Xa of a specimen come after its aPTT.
    Rule("critical-result", "laboratory", levels((1, HIGH)), laboratory.critical_result, told=True),
    Rule("hit-suspected", "laboratory", levels((0, HIGH)), counts.hit_suspected, told=True),
    Rule(
        "platelets-falling",
        "laboratory",
        levels((0, MEDIUM)),
        counts.platelets_falling,
        suppressed_by=("hit-suspected",),
        told=True,
    ),
    Rule(
        "haemoglobin-falling",
        "laboratory",
        levels((0, HIGH)),
        counts.haemoglobin_falling,
        told=True,
    ),
    Rule(
        "concentration-doubt",
        "laboratory",
        levels((1, MEDIUM)),
        blood.concentration_doubt,
        suppressed_by=_GIVEN_WRONG,
    ),
    Rule(
        "levels-out-of-range",
        "laboratory",
        levels((1, MEDIUM)),
        laboratory.levels_out_of_range,
        suppressed_by=("critical-result", "concentration-doubt", *_STANDS),
        told=True,
    ),
    Rule(
        "result-disagrees",
        "laboratory",
        levels((1, LOW)),
        blood.result_disagrees,
        suppressed_by=("critical-result", "concentration-doubt", "levels-out-of-range"),
    ),
    Rule(
        "not-therapeutic",
        "laboratory",
        levels((0, MEDIUM)),
        laboratory.not_therapeutic,
        suppressed_by=("levels-out-of-range", "concentration-doubt", *_STANDS),
        told=True,
    ),
    Rule("discordance", "laboratory", levels((0, NOTICE)), laboratory.discordance, told=True),
    Rule(
        "level-forecast",
        "laboratory",
        levels((5, LOW)),
        blood.level_forecast,
        suppressed_by=(
            "critical-result",
            "concentration-doubt",
            "levels-out-of-range",
            "not-therapeutic",
            "result-disagrees",
            *_GIVEN_WRONG,
        ),
    ),
)
CARE = (
    Rule("bleeding", "care", levels((0, MEDIUM)), care.bleeding, told=True),
    Rule("complication-reported", "care", levels((0, LOW)), care.complication_reported, told=True),
    Rule("level-overdue", "care", levels((0, MEDIUM)), care.level_overdue, told=True),
    Rule("platelets-due", "care", levels((0, LOW)), care.platelets_overdue, told=True),
    Rule("visit-overdue", "care", levels((0, LOW)), care.visit_overdue, told=True),
    Rule(
        "delivery-overdue",
        "care",
        levels((0, LOW), (24 * 60, MEDIUM)),
        care.delivery_overdue,
        told=True,
    ),
    Rule("supplies-low", "care", levels((0, LOW)), care.supplies_low, told=True),
)
