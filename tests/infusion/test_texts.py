"""The words of the alerts: complete, in plain sentences, true to what is known, and never unsafe."""

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infusion.alarms import DEVICE_ALARMS, Priority
from infusion.messages import Evidence
from infusion.rules import RULES
from infusion.texts import TEXTS, tell, title
from infusion.thresholds import Thresholds
from infusion.words import (
    FIELDS,
    QUOTED_LENGTH_MAX,
    amount,
    dose_sentence,
    fill,
    number,
    quoted,
    span,
)
from tests.infusion.bench import T0, begin, feed
from tests.infusion.text_samples import SAMPLES, Sample

ROOT = Path(__file__).resolve().parent.parent.parent
GOLDEN = Path(__file__).parent / "texts.golden.txt"

WHAT_LENGTH_MAX = 320
FIRST_LENGTH_MAX = 260
SENTENCES_MAX = 3
# What a text may not say: a change of dose, a diagnosis, whose fault it was.
UNSAFE = re.compile(
    r"\b(increase|decrease|raise|lower|double|halve) the (dose|rate|infusion)\b"
    r"|\b(give|push) (a |another )?(bolus|protamine)\b"
    r"|\b(the patient has|diagnos\w+|mistake|fault of (the )?(nurse|patient|carer)|careless\w*)\b",
    re.IGNORECASE,
)
# Words of engineers, and spellings that are not the repository's.
JARGON = re.compile(
    r"\b(telemetry|payload|topic|boot|epoch|backfill|threshold|twin|rho|hemoglobin|millilitres?|"
    r"MQTT|broker|QoS|sensor reading)\b|ρ",
    re.IGNORECASE,
)


def render(key: str, sample: Sample) -> str:
    said = tell(
        key,
        sample.evidence,
        since_ms=T0 - round(sample.lasted_s * 1_000),
        at_ms=T0,
        priority=sample.priority,
        ordered_iu_h=sample.ordered_iu_h,
    )
    return f"  {said.what}\n  → {said.first}"


def golden() -> str:
    """Every text, filled with a sample."""
    lines = []
    for key, text in TEXTS.items():
        lines.append(f"{key}: {text.title}")
        lines += [render(key, sample) for sample in SAMPLES[key]]
        lines += [f"  Ends: {text.clears}", f"  Why: {text.why}", ""]
    return "\n".join(lines)


def test_all_texts_can_be_read_in_one_file() -> None:
    """Write it anew with: python -m tests.infusion.test_texts"""
    assert GOLDEN.read_text(encoding="utf-8") == golden()


# --- complete ------------------------------------------------------------------------------------


def test_every_rule_has_words_and_all_words_have_a_rule() -> None:
    assert RULES.keys() == TEXTS.keys()


def test_every_rule_has_a_sample() -> None:
    assert TEXTS.keys() == SAMPLES.keys()


def test_a_device_alarm_is_called_as_the_pump_calls_it() -> None:
    for key, alarm in DEVICE_ALARMS.items():
        assert title(key) == alarm.words


def test_no_two_rules_of_the_monitor_are_called_the_same() -> None:
    titles = [text.title for key, text in TEXTS.items() if key != "free-flow-seen"]
    assert len(titles) == len(set(titles))


# --- sound ---------------------------------------------------------------------------------------


def words_of(key: str) -> list[str]:
    text = TEXTS[key]
    told = (text.what, text.more, text.less, text.first, text.first_notice, text.why, text.clears)
    return [each for each in told if each]


@pytest.mark.parametrize("key", TEXTS)
def test_a_template_is_whole_without_any_number(key: str) -> None:
    """All fields stand in parts that can be left out, and what is left is a sentence."""
    text = TEXTS[key]
    for template in (text.what, text.more, text.less):
        bare = fill(template, {})
        assert not re.search(r"[{}\[\]]", bare), bare
        assert "  " not in bare
        assert not re.search(r" [.,;:]|[,;:]\.|\(\)", bare), bare
        assert set(re.findall(r"\{(\w+)\}", template)) <= FIELDS


@pytest.mark.parametrize("key", TEXTS)
def test_a_text_is_short_and_in_sentences(key: str) -> None:
    text = TEXTS[key]
    assert 1 <= len(text.title.split()) <= 7
    assert not text.title.endswith(".")
    for words in words_of(key):
        assert re.match(r"[A-Z0-9a]", words), words
        assert words.endswith("."), words
        assert len(re.findall(r"[.?!](?: |$)", words)) <= SENTENCES_MAX, words
    assert len(text.first) <= FIRST_LENGTH_MAX
    for sample in SAMPLES[key]:
        assert len(render(key, sample).splitlines()[0]) <= WHAT_LENGTH_MAX


@pytest.mark.parametrize("key", TEXTS)
def test_a_text_orders_no_dose_makes_no_diagnosis_and_blames_nobody(key: str) -> None:
    for words in words_of(key):
        assert not UNSAFE.search(words), words
        assert not JARGON.search(words), words


def test_every_field_is_used() -> None:
    templates = [each for text in TEXTS.values() for each in (text.what, text.more, text.less)]
    used = {field for each in templates for field in re.findall(r"\{(\w+)\}", each)}
    assert used == FIELDS


def test_the_unsafe_would_be_found() -> None:
    for planted in ("Lower the rate at once.", "The patient has HIT.", "Give a bolus now."):
        assert UNSAFE.search(planted)
    assert JARGON.search("No telemetry came.")


@pytest.mark.parametrize("key", TEXTS)
def test_a_source_has_its_mark(key: str) -> None:
    assert re.search(r"\[(V2?|D|M|A)\]", TEXTS[key].source)


SINCE = re.compile(r"\{(lasted|span|length|when)\}")
# Its words say the span themselves.
TIMELESS = {"deviation-24h"}


def test_a_text_tells_since_when() -> None:
    without = {key for key, text in TEXTS.items() if not SINCE.search(text.what)}
    assert without == TIMELESS


@pytest.mark.parametrize(
    ("low_min", "high_min", "words"),
    [
        (26, 30, "in 26 to 30 min"),
        (222, 251, "in 3 h 42 min to 4 h 11 min"),
        (2.1, 2.2, "in about 2 min"),
        (0.4, 3, "within 3 min"),
        (0, 0, "within a minute"),
    ],
)
def test_when_something_ends_reads_well(low_min: float, high_min: float, words: str) -> None:
    evidence = Evidence(observed=low_min, low=low_min, high=high_min, unit="min")
    told = tell("battery-runs-out", evidence, priority=Priority.MEDIUM).what
    assert told == f"The pump's battery will be empty {words}."


# --- thresholds ----------------------------------------------------------------------------------


def attributes(path: Path) -> set[str]:
    tree = ast.parse(path.read_bytes())
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def test_the_thresholds_that_a_text_names_are_read_by_the_core() -> None:
    fields = set(Thresholds.__struct_fields__)
    read = set[str]()
    for path in (ROOT / "infusion").rglob("*.py"):
        read |= attributes(path)
    for key, text in TEXTS.items():
        assert set(text.limits) <= fields, key
        if key in RULES:
            assert set(text.limits) <= read, key


def test_a_rule_names_every_threshold_that_its_check_reads() -> None:
    """Reads the source of each check; what only helpers of it read is not seen here."""
    fields = set(Thresholds.__struct_fields__)
    for key, rule in RULES.items():
        if rule.check is None:
            continue
        path = ROOT / (rule.check.__module__.replace(".", "/") + ".py")
        (function,) = (
            node
            for node in ast.parse(path.read_bytes()).body
            if isinstance(node, ast.FunctionDef) and node.name == rule.check.__name__
        )
        read = {
            node.attr
            for node in ast.walk(function)
            if isinstance(node, ast.Attribute)
            and ast.unparse(node.value) in ("limits", "now.limits")
        }
        assert read <= fields
        assert read <= set(TEXTS[key].limits), key


def test_every_threshold_is_named_by_a_rule() -> None:
    named = {name for text in TEXTS.values() for name in text.limits}
    assert set(Thresholds.__struct_fields__) == named


# --- telling -------------------------------------------------------------------------------------


def test_nothing_known_is_a_sentence_still() -> None:
    assert tell("no-telemetry", Evidence()).what == (
        "Nothing has been heard from the pump; whether it runs, and what it has given since, is not"
        " known."
    )


def test_too_much_and_too_little_have_their_own_words() -> None:
    high = tell("rate-not-as-ordered", Evidence(observed=144, expected=14.4, unit="mL/h"))
    low = tell("rate-not-as-ordered", Evidence(observed=1.44, expected=14.4, unit="mL/h"))
    neither = tell("rate-not-as-ordered", Evidence())
    assert high.what == "The pump has been set higher than ordered: 144 mL/h, ordered 14.4 mL/h."
    assert low.what == "The pump has been set lower than ordered: 1.44 mL/h, ordered 14.4 mL/h."
    assert neither.what == "The pump has not been set as ordered."


@pytest.mark.parametrize(
    ("evidence", "word"),
    [
        (Evidence(observed=1.0, expected=2.0, dose_iu=50.0), "above"),
        (Evidence(observed=3.0, expected=2.0, dose_iu=-50.0), "below"),
        (Evidence(observed=5.0, low=1.0, high=4.0, expected=6.0), "above"),
        (Evidence(observed=0.5, low=1.0, high=4.0), "below"),
        (Evidence(observed=3.0, low=1.0, high=4.0, expected=2.0), "above"),
        (Evidence(observed=2.0, expected=2.0), "outside"),
        (Evidence(observed=5.0), "outside"),
        (Evidence(observed=-5.0), "below"),
    ],
)
def test_the_dose_says_more_than_bounds_and_bounds_more_than_what_was_expected(
    evidence: Evidence, word: str
) -> None:
    assert word in tell("outside-limits", evidence).what


@pytest.mark.parametrize(
    ("dose_iu", "ordered_iu_h", "sentence"),
    [
        (-228.4, 760.0, "About 230 IU too little so far, 18 min of the ordered rate."),
        (1_437.0, None, "About 1,440 IU too much so far."),
        (-99.4, 0.0, "About 99 IU too little so far."),
        (100.0, 12_000.0, "About 100 IU too much so far."),
        (-3.0, 1_440.0, "About 3 IU too little so far."),
        (0.99, 1_440.0, ""),
        (0.0, 1_440.0, ""),
        (None, 1_440.0, ""),
    ],
)
def test_the_dose_is_told_in_iu_and_minutes(
    dose_iu: float | None, ordered_iu_h: float | None, sentence: str
) -> None:
    assert dose_sentence(dose_iu, ordered_iu_h) == sentence


def test_a_notice_asks_for_nothing_at_once() -> None:
    evidence = Evidence(low=230, high=240, unit="min")
    notice = tell("reservoir-runs-out", evidence, priority=Priority.NOTICE).first
    assert notice.startswith("Nothing to do at once.")
    assert tell("reservoir-runs-out", evidence, priority=Priority.MEDIUM).first != notice


def test_a_hazard_that_just_began_has_no_length() -> None:
    said = tell("air-in-line", Evidence(), since_ms=T0, at_ms=T0 + 999)
    assert said.what == "The pump found air in the line and stopped."


@pytest.mark.parametrize(
    ("length_ms", "words"),
    [
        (-5, "0 s"),
        (89_999, "89 s"),
        (60_000, "1 min"),
        (90_000, "90 s"),
        (120_000, "2 min"),
        (3_599_000, "1 h"),
        (4_200_000, "70 min"),
        (5_399_000, "1 h 30 min"),
        (7_200_000, "2 h"),
        (47 * 3_600_000, "47 h"),
        (48 * 3_600_000, "2 days"),
        (76 * 3_600_000, "3 days 4 h"),
    ],
)
def test_lengths_of_time_read_well(length_ms: int, words: str) -> None:
    assert span(length_ms) == words


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (1_440.0, "IU/h", "1,440 IU/h"),
        (292.75, "IU", "293 IU"),
        (9.75, "IU", "9.75 IU"),
        (14.40004, "mL/h", "14.4 mL/h"),
        (-1.2, "mL", "−1.2 mL"),
        (0.0, "mL", "0 mL"),
        (0.004, "IU/mL", "0.004 IU/mL"),
        (125.0, "min", "2 h 5 min"),
        (104.0, "s", "104 s"),
        (150.0, "10*9/L", "150 × 10⁹/L"),
        (2.5, "{INR}", "2.5"),
    ],
)
def test_numbers_read_well(value: float, unit: str, words: str) -> None:
    assert amount(value, unit) == words


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9))
def test_a_number_has_no_more_than_two_decimals_unless_it_would_be_nothing(value: float) -> None:
    words = number(value)
    if abs(value) >= 0.01:
        assert len(words.partition(".")[2]) <= 2
        assert abs(float(words.replace(",", "").replace("−", "-")) - value) <= 0.005 + 1e-6


# --- what others wrote is data -------------------------------------------------------------------


def test_words_of_a_pump_are_quoted_short_and_clean() -> None:
    written = "leak\x00\x1b[31m\u202e “now”\n" + "x" * 300
    words = quoted(written)
    assert words.startswith("“leak [31m 'now' xxx")
    assert len(words) == QUOTED_LENGTH_MAX + 2
    assert words.endswith("…”")
    assert quoted("\n\t ") == ""


@given(st.text(max_size=400), st.sampled_from(sorted(TEXTS)))
def test_nothing_that_is_written_gets_out_of_its_quotes(written: str, key: str) -> None:
    """Braces and brackets from outside are text, never a template."""
    what = tell(key, Evidence(detail=written), since_ms=T0, at_ms=T0 + 60_000).what
    assert what.isprintable()
    assert what.count("“") == what.count("”") <= 1
    inside = what.partition("“")[2].rpartition("”")[0]
    assert len(inside) <= QUOTED_LENGTH_MAX
    bare = tell(key, Evidence(detail="x"), since_ms=T0, at_ms=T0 + 60_000).what
    assert what.replace(f"“{inside}”", "") in (bare.replace("“x”", ""), what)


def test_braces_in_a_detail_are_left_alone() -> None:
    said = tell("bleeding", Evidence(detail="gum {observed} [x] {0}"))
    assert said.what == "Bleeding or bruising was reported: “gum {observed} [x] {0}”."


def test_the_reason_of_a_pump_is_told_in_words() -> None:
    known = tell("not-delivering", Evidence(detail="pump-stopped-by-clinician; missed 63 IU"))
    foreign = tell("not-delivering", Evidence(detail="vendor-code-7; missed 63 IU"))
    assert known.what == "The pump has not delivered (somebody stopped it), and no hold is ordered."
    assert "(“vendor-code-7”)" in foreign.what


def test_a_result_beyond_the_scale_is_told_as_such() -> None:
    evidence = Evidence(observed=1.5, unit="IU/mL", limit="≥1", detail="anti-Xa (or more); …")
    assert tell("critical-result", evidence).what == (
        "A laboratory result is critical: anti-Xa 1.5 IU/mL or more, limit ≥1."
    )


# --- with the real rules -------------------------------------------------------------------------


def test_a_real_alert_reads_well() -> None:
    """The evidence of the rules fills their texts, from a tenfold rate to silence."""
    paper = begin().run("00:10").set(144.0, rate_ml_h=144.0).run("00:26").mute().run("00:40")
    _, changes = feed(paper.stream, until="00:40")
    said: dict[str, str] = {}
    for change in changes:
        alert = change.alert
        words = tell(alert.rule, alert.evidence, since_ms=alert.onset_ms, at_ms=alert.changed_ms)
        said.setdefault(alert.rule, words.what)
    # How soon each is told, what dose by then, and which hides which, is the rules' matter.
    patterns = {
        "rate-not-as-ordered": r"The pump has been set higher than ordered( for \d+ \w+)?: "
        r"144 mL/h, ordered 14\.4 mL/h\.( About [\d,]+ IU too much so far\.)?",
        "over-delivery": r"More heparin is delivered than ordered: [\d,]+ IU in \d+ min, "
        r"ordered \d+ IU\.( About [\d,]+ IU too much so far\.)?",
        "no-telemetry": r"Nothing has been heard from the pump for 5 min; "
        r"whether it runs, and what it has given since, is not known\.",
    }
    assert {"rate-not-as-ordered", "no-telemetry"} <= said.keys()
    for rule in said.keys() & patterns.keys():
        assert re.fullmatch(patterns[rule], said[rule]), said[rule]


if __name__ == "__main__":
    GOLDEN.write_text(golden(), encoding="utf-8")
