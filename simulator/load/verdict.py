"""Whether a run was valid, whether its thresholds were kept, and the exit code that follows."""

import operator
import re
from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from host.process import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK
from infusion.errors import ConfigError
from infusion.tables import nearest
from simulator.load.result import Generators, Result, Threshold, metrics

EXIT_THRESHOLD = 99

# Above this share of one core a process has no room left, and what it measures is itself. [A]
CPU_PERCENT_MAX = 90.0
# With more slots than this served late, the offered load is not the one that was asked for. [A]
LATE_PERCENT_MAX = 1.0

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_FORM = re.compile(r"\s*([a-z0-9_]+)\s*(>=|<=|>|<)\s*([0-9]+(?:\.[0-9]+)?)\s*")


class FailIf(Struct, frozen=True):
    """`name sign bound`: when that is so, the threshold is missed."""

    text: str
    name: str
    sign: str
    bound: float


def read_fail_if(text: str, names: Sequence[str]) -> FailIf:
    """A threshold as it is written on the command line. Raises ConfigError."""
    form = _FORM.fullmatch(text)
    if form is None:
        raise ConfigError(
            f"--fail-if {text!r}: write NAME>NUMBER, for example --fail-if 'e2e_p99_ms>500'"
        )
    name, sign, bound = form.groups()
    if name not in names:
        raise ConfigError(f"--fail-if {text!r}: {name!r} is unknown; {nearest(name, names)}")
    return FailIf(text, name, sign, float(bound))


def judged(result: Result, thresholds: Sequence[FailIf]) -> Result:
    """The result with its thresholds. What was not measured does not keep one."""
    found = metrics(result)
    return replace(
        result,
        thresholds=tuple(
            Threshold(text=each.text, value=found[each.name], kept=_is_kept(each, found[each.name]))
            for each in thresholds
        ),
    )


def _is_kept(threshold: FailIf, value: float | None) -> bool:
    return value is not None and not _COMPARE[threshold.sign](value, threshold.bound)


def why_not_valid(generators: Generators, dropped: int) -> tuple[str, ...]:
    """Why the figures tell of this machine rather than of the broker; empty where they do not."""
    reasons = []
    if generators.late_percent > LATE_PERCENT_MAX:
        reasons.append(
            f"the generator was late in {generators.late_percent:.1f} % of the slots "
            f"(more than {LATE_PERCENT_MAX:g} %)"
        )
    if generators.cpu_percent > CPU_PERCENT_MAX:
        reasons.append(
            f"a generator used {generators.cpu_percent:.0f} % of a core "
            f"(more than {CPU_PERCENT_MAX:g} %); use more --processes"
        )
    if generators.receiver_cpu_percent > CPU_PERCENT_MAX:
        reasons.append(
            f"the receiver used {generators.receiver_cpu_percent:.0f} % of a core "
            f"(more than {CPU_PERCENT_MAX:g} %); use fewer --subscribers"
        )
    if dropped:
        reasons.append(
            f"{dropped:,} messages found no room here while the broker kept others waiting, so the "
            "tail is longer than shown; offer less"
        )
    return tuple(reasons)


def exit_code(result: Result) -> int:
    """The exit code of a run that came to its end."""
    if result.interrupted:
        return EXIT_INTERRUPTED
    if any(not threshold.kept for threshold in result.thresholds):
        return EXIT_THRESHOLD
    return EXIT_OK if result.valid else EXIT_FAILED
