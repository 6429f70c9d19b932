"""Writes the table of planted hazards in docs/detection.md: `python -m docs.detection_table`."""

from pathlib import Path

from docs.scenario_table import row
from dripwatch.trial.explain import EXPLAINS
from dripwatch.trial.hazards import HAZARDS

FILE = Path(__file__).parent / "detection.md"
BEGIN = "<!-- The tables below are written by: python -m docs.detection_table -->\n"
SIGNS = {
    "rate": "it delivers at a rate more than 5 % off the order in force",
    "concentration": "it counts with a concentration more than 1 % off the order",
    "weight": "it has a weight more than 10 % off the order",
    "stands": "it says that it does not deliver",
    "pressure": "pressure is 50 mmHg above a sound line's peaks and those before, or an alarm",
    "alarm": "the pump itself alarms",
    "bypass": "its panel says that it runs outside the library",
    "still": "it delivers, and its counter rests for more than 0.1 mL",
    "jump": "its counter gains more than the pump can pump, and a step",
    "back": "its counter is lower than before, in the same boot",
    "clock": "its time is more than 2 min off",
    "boots": "a boot comes again after another one",
    "old": "a message of more than 2 min ago comes that was said before",
    "refused": "a message cannot be read",
    "over": "the counter is more than 10 % and a step over the order, over 15 min or all since",
    "under": "the counter is more than 10 % and a step under the order, over 15 min or all since",
    "silent": "nothing comes, from the onset on",
    "lab": "an anti-Xa that dose, laboratory and patients do not explain (below)",
    "no-result": "no level comes, where any result ever came",
    "report": "somebody reports it, or haemoglobin has fallen by 2 g/dL",
    "platelets": "platelets have fallen by 30 %",
}


def tables() -> str:
    """The hazards, and which truth explains which alert."""
    lines = [
        row(
            ("hazard", "class", "counts when it has lasted", "because", "earliest sign", "answers")
        ),
        row(("---", "---", "--:", "---", "---", "---")),
    ]
    lines += [
        row(
            (
                hazard.key,
                f"P{hazard.urgency}",
                f"{hazard.definition_min:g} min",
                hazard.source,
                SIGNS[hazard.sign],
                ", ".join(sorted(hazard.answers)),
            )
        )
        for hazard in HAZARDS.values()
    ]
    lines += [
        "\n",
        row(("alert", "is right when (and minutes after its onset; minutes of slack at its end)")),
        row(("---", "---")),
    ]
    for rule, reasons in sorted(EXPLAINS.items()):
        told = "; ".join(
            f"{why.condition} ({why.after_min:g}; {why.slack_min:g})" for why in reasons
        )
        lines.append(row((rule, told)))
    return "".join(lines)


def with_tables(text: str) -> str:
    """The page with the tables as they must be now."""
    return text.split(BEGIN)[0] + BEGIN + "\n" + tables()


if __name__ == "__main__":
    FILE.write_text(with_tables(FILE.read_text(encoding="utf-8")), encoding="utf-8")
