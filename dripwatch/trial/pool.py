"""A whole trial: its blocks over many processes, and what they came to."""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed

from msgspec import Struct

from dripwatch.trial.draw import BLOCK, TrialSettings, blocks_of
from dripwatch.trial.listeners import Baselines
from dripwatch.trial.run import BlockRun, run_block
from dripwatch.trial.score import CaseResult

# Told after each block: how many cases are done.
Progress = Callable[[int], object]


class TrialRun(Struct, frozen=True, kw_only=True):
    """All cases in order, what became of the messages, and how long it took: on the clock, and of
    all processors together.
    """

    cases: list[CaseResult]
    counts: dict[str, int]
    wall_s: float
    cpu_s: float
    processes: int


def run_trial(
    settings: TrialSettings, baselines: Baselines, processes: int, progress: Progress
) -> TrialRun:
    """Run every block of a trial; one process works here, more are started for it.

    The result does not depend on `processes`. Raises ConfigError.
    """
    begin_s = time.monotonic()
    cases: list[CaseResult] = []
    counts: dict[str, int] = {}
    cpu_s = 0.0
    for run in _blocks(settings, baselines, processes):
        cases += run.cases
        cpu_s += run.cpu_s
        for key, count in run.counts.items():
            counts[key] = counts.get(key, 0) + count
        progress(len(cases))
    return TrialRun(
        cases=sorted(cases, key=lambda case: case.number),
        counts=counts,
        wall_s=time.monotonic() - begin_s,
        cpu_s=cpu_s,
        processes=processes,
    )


def _blocks(settings: TrialSettings, baselines: Baselines, processes: int) -> Iterator[BlockRun]:
    jobs = [(number, pumps_of(settings, number)) for number in blocks_of(settings)]
    if processes == 1 or len(jobs) == 1:
        for number, pumps in jobs:
            yield run_block(settings, number, pumps, baselines)
        return
    # Spawned, because a fork of a process that has threads is not safe.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(jobs)), mp_context=context) as pool:
        waiting: list[Future[BlockRun]] = [
            pool.submit(run_block, settings, number, pumps, baselines) for number, pumps in jobs
        ]
        try:
            for future in as_completed(waiting):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def pumps_of(settings: TrialSettings, block: int) -> int:
    """How many cases a block has."""
    return min(BLOCK, settings.patients - block * BLOCK)
