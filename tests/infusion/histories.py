"""Histories of one volume counter: what a pump really pumped, and the samples that told of it."""

from dataclasses import dataclass, field

from hypothesis import strategies as st

from infusion.account import Account, book
from infusion.counter import Sample, sample_key
from tests.infusion.bench import T0

RATE_MAX_ML_H = 500.0


@dataclass
class History:
    """Samples in the order in which the pump made them, with those that were lost on the way."""

    samples: list[Sample] = field(default_factory=list)
    lost: set[int] = field(default_factory=set)

    @property
    def received(self) -> list[Sample]:
        return [sample for sample in self.samples if sample.key not in self.lost]

    def total_nl(self, up_to_key: int | None = None) -> int:
        """What was pumped: in each epoch, what the last sample of it that was received says."""
        total, last = 0, None
        for sample in self.received:
            if up_to_key is not None and sample.key > up_to_key:
                break
            if last is not None and _is_new_epoch(last, sample):
                total += last.volume_nl
            last = sample
        return total + (last.volume_nl if last is not None else 0)

    def total_iu(self) -> float:
        """Each volume at the concentration that the last sample before it had."""
        total = 0.0
        before: Sample | None = None
        for sample in self.received:
            if before is None or _is_new_epoch(before, sample):
                total += sample.volume_nl / 1e6 * sample.concentration_iu_ml
            else:
                gain = sample.volume_nl - before.volume_nl
                total += gain / 1e6 * before.concentration_iu_ml
            before = sample
        return total


def _is_new_epoch(before: Sample, sample: Sample) -> bool:
    return sample.cleared or sample.key >> 42 != before.key >> 42


@st.composite
def histories(draw: st.DrawFn, *, size_max: int = 40, may_lose: bool = True) -> History:
    """A pump that pumps, restarts, is cleared and gets other bags, at drawn times and rates."""
    history = History()
    time_ms, boot, seq, volume_nl, concentration = T0, 1, 0, 0, 100.0

    def send(cleared: bool = False, losable: bool = True) -> None:
        nonlocal seq
        key = sample_key(boot, seq)
        history.samples.append(Sample(key, time_ms, volume_nl, concentration, 0.0, cleared))
        if may_lose and losable and draw(st.integers(0, 9)) < 3:
            history.lost.add(key)
        seq += 1

    send(losable=False)
    while len(history.samples) < size_max:
        kind = draw(st.sampled_from(["pump"] * 6 + ["boot", "clear", "bag", "end"]))
        if kind == "end":
            break
        length_ms = draw(st.integers(0, 600_000))
        flow_ml_h = draw(st.sampled_from([0.0, 1.0, 14.4, 100.0, RATE_MAX_ML_H]))
        time_ms += length_ms
        volume_nl += int(flow_ml_h * length_ms / 3.6)
        if kind == "boot":
            boot, seq, volume_nl = boot + draw(st.integers(1, 2)), 0, 0
        elif kind == "clear":
            volume_nl = 0
        elif kind == "bag":
            concentration = draw(st.sampled_from([50.0, 100.0, 200.0]))
        send(cleared=kind == "clear", losable=kind != "clear")
    return history


def booked(samples: list[Sample]) -> Account:
    """An account that took samples in this order."""
    account = Account()
    for sample in samples:
        book(account, sample, RATE_MAX_ML_H)
    return account
