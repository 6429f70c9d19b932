"""Which rules are asked at a look, and what they answer; their rows are in rules/table.py."""

from functools import lru_cache

from infusion.record import Record
from infusion.rules.clinic import CARE, LABORATORY
from infusion.rules.device import device_alarms
from infusion.rules.rule import EVERYTHING, Check, News, Rule
from infusion.rules.table import PUMP_HAZARDS, RULES
from infusion.situation import Situation, Verdict
from infusion.thresholds import Thresholds


def _checks(*rules: Rule) -> tuple[tuple[Rule, Check], ...]:
    return tuple((rule, rule.check) for rule in rules if rule.check is not None)


_PUMP_CHECKS = _checks(*PUMP_HAZARDS)
# These have nothing to look at before the clinic has said anything.
_CLINICAL_CHECKS = _checks(*LABORATORY, *CARE)
# How many different sets of open hazards are remembered.
_SETS_MAX = 4_096


def verdicts(now: Situation, news: News = EVERYTHING) -> list[tuple[Rule, Verdict]]:
    """Every hazard that is there: the pump's own alarms first, then what the rules see.

    What only news can bring is looked for without them only where it was there before.
    """
    found: list[tuple[Rule, Verdict]] = []
    if now.edge is not None and now.edge.alarms:
        found += [(RULES[key], verdict) for key, verdict in device_alarms(now, now.edge)]
    pump_checks, clinical_checks = _known_checks(
        tuple(now.state.board.tracks), news.of_level, news.of_watch
    )
    for rule, check in _PUMP_CHECKS if news.of_pump else pump_checks:
        verdict = check(now)
        if verdict is not None:
            found.append((rule, verdict))
    if news.of_clinic:
        clinical_checks = _CLINICAL_CHECKS
    if clinical_checks and is_clinical(now.record, now.limits):
        for rule, check in clinical_checks:
            verdict = check(now)
            if verdict is not None:
                found.append((rule, verdict))
    return found


@lru_cache(maxsize=_SETS_MAX)
def _known_checks(
    tracks: tuple[str, ...], of_level: bool, of_watch: bool
) -> tuple[tuple[tuple[Rule, Check], ...], tuple[tuple[Rule, Check], ...]]:
    """What is asked without news where these hazards are there: of the pump, and of its clinic."""
    return (
        tuple(
            each
            for each in _PUMP_CHECKS
            if not (each[0].told or (each[0].watched and not of_watch)) or each[0].key in tracks
        ),
        tuple(
            each
            for each in _CLINICAL_CHECKS
            if (of_level and not each[0].told) or each[0].key in tracks
        ),
    )


def is_clinical(record: Record | None, limits: Thresholds) -> bool:
    """Whether there is anything for the rules on laboratory and care to look at."""
    return record is not None and bool(
        record.results or record.reports or limits.laboratory_expected
    )
