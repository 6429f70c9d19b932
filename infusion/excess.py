"""Since when a pump has given more, or less, than its order allows: sums that no stroke can break.

That the flow was above a limit at every moment since s is the same as that the sum

    E(t) = delivered − limit × ordered     (below a limit: limit × ordered − delivered)

has only grown since s. Many counters move in steps, the stroke of a cassette for example, so from
one sample to the next they tell the flow only to within one step. Therefore a fall of E by no more
than one step ends nothing, and a rise counts once it is more than one step. For a counter without
steps this is the flow from sample to sample, and nothing else. A new low of E begins anew, so that
s is known to within one step too.

It is a cumulative sum with a dead band; E. S. Page, Biometrika 1954;41:100, is its origin, from
memory.
"""

from msgspec import Struct, field
from msgspec.structs import replace

from infusion.account import FLOW_MS_MIN, Account, Interval, between
from infusion.counter import same_boot


class Excess(Struct, gc=False, array_like=True):
    """One such sum. `delivered_iu` and `ordered_iu` are those since `since_ms`.

    Like an array, because it is stored with each pump.
    """

    since_ms: int = 0
    to_ms: int = 0
    total_iu: float = 0.0
    peak_iu: float = 0.0
    delivered_iu: float = 0.0
    ordered_iu: float = 0.0
    samples: int = 0

    def begin(self, at_ms: int) -> None:
        """Forget what was, and count from an instant on."""
        if self.to_ms != self.since_ms:
            # Before the first interval there is nothing to forget.
            self.total_iu = self.peak_iu = self.delivered_iu = self.ordered_iu = 0.0
            self.samples = 0
        self.since_ms = self.to_ms = at_ms

    def add(self, interval: Interval, ordered_iu: float, gain_iu: float, step_iu: float) -> None:
        """Take one more interval into account, in which the sum grew by `gain_iu`."""
        if self.to_ms == self.since_ms:
            # The first since it began: what lies between, a gap for example, proves nothing.
            self.since_ms = interval.from_ms
        self.to_ms = interval.to_ms
        self.total_iu += gain_iu
        self.peak_iu = max(self.peak_iu, self.total_iu)
        is_over = gain_iu <= 0 if step_iu == 0 else self.peak_iu - self.total_iu > step_iu
        if is_over or self.total_iu < 0:
            self.begin(interval.to_ms)
            return
        self.delivered_iu += interval.delivered_iu
        self.ordered_iu += ordered_iu
        self.samples += interval.samples or 0


class FlowWatch(Struct, array_like=True, gc=False):
    """The two sums of one pump, and up to which sample they go.

    `step_iu` is one step of its counter. `has_begun` is false until there is something to add to.
    `returned_iu` is what the line gave back in the newest stretch; below zero it held back.
    """

    over: Excess = field(default_factory=Excess)
    under: Excess = field(default_factory=Excess)
    key: int = -1
    step_iu: float = 0.0
    has_begun: bool = False
    returned_iu: float = 0.0


def begin(watch: FlowWatch, account: Account) -> None:
    """Count from the newest sample on."""
    edge = account.edge
    watch.has_begun = edge is not None
    if edge is not None:
        watch.key = edge.key
        watch.over.begin(edge.time_ms)
        watch.under.begin(edge.time_ms)


def stretch(watch: FlowWatch, account: Account, longest_ms: int) -> Interval | None:
    """What was delivered since the last call; None where that tells nothing of a flow.

    Samples that are less than a second apart wait for the next. A stretch longer than
    `longest_ms` proves nothing about the flow within it: it neither adds nor ends anything.
    """
    recent = account.recent
    edge, key = recent[-1], watch.key
    if edge.key == key:
        return None
    last = recent[-2] if len(recent) > 1 else None
    if last is not None and last.key != key:
        last = next((mark for mark in reversed(recent) if mark.key == key), None)
    is_new_run = last is None or edge.time_ms < last.time_ms or not same_boot(last.key, edge.key)
    if not watch.has_begun or last is None or is_new_run:
        # So many came in late that the last one is not at hand, or the clock was set, or the pump
        # was off: what it gave before tells nothing of the flow since.
        begin(watch, account)
        return None
    length_ms = edge.time_ms - last.time_ms
    if length_ms < FLOW_MS_MIN:
        return None
    watch.key = edge.key
    if length_ms > longest_ms:
        return None
    watch.returned_iu = last.held_iu - edge.held_iu
    return between(last, edge)


def add(
    watch: FlowWatch, interval: Interval, least_iu: float, most_iu: float, tolerance: float
) -> bool:
    """Hold a stretch against what was ordered for it: at least and at most so much.

    The two differ while somebody still has time to carry out a change. Returns whether there is
    something to look at.

    Too much is what was pumped too much: a line holds back with each stroke, and what an occlusion
    held back comes at once when it is released, which is a dose and no flow.
    """
    delivered_iu, step_iu = interval.delivered_iu, watch.step_iu
    over, under = watch.over, watch.under
    pumped_iu = delivered_iu - watch.returned_iu
    more_iu = pumped_iu - (1 + tolerance) * most_iu
    less_iu = (1 - tolerance) * least_iu - delivered_iu
    # With a flow as ordered both sums are at a new low at each stretch, and this is all.
    if over.total_iu + more_iu < 0:
        over.begin(interval.to_ms)
    else:
        pumped = replace(interval, delivered_iu=pumped_iu) if watch.returned_iu else interval
        over.add(pumped, most_iu, more_iu, step_iu)
    if under.total_iu + less_iu < 0:
        under.begin(interval.to_ms)
    else:
        under.add(interval, least_iu, less_iu, step_iu)
    return over.total_iu > step_iu or under.total_iu > step_iu


def shift(watch: FlowWatch, delta_ms: int) -> None:
    """The pump's clock was set by so much."""
    for excess in (watch.over, watch.under):
        excess.since_ms += delta_ms
        excess.to_ms += delta_ms
