"""How a load is shown while it runs: a picture on a terminal, a line a second elsewhere."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from simulator.load.result import P50, P99, Second
from simulator.load.summary import NOTHING, lines_of

BLOCKS = " ▁▂▃▄▅▆▇█"
SHOWN_MAX = 60


class Progress:
    """Shows each second; on a terminal in place, elsewhere line by line."""

    def __init__(self, console: Console, duration_s: float) -> None:
        """`console` should write on standard error."""
        self._console = console
        self._duration_s = duration_s
        self._live = Live(console=console, transient=True) if console.is_terminal else None
        self._seconds: list[Second] = []
        self._total = 0

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def second(self, second: Second) -> None:
        """One more second."""
        before = self._seconds[-1] if self._seconds else None
        if self._live is None:
            for line in lines_of(second, before, self._total):
                self._console.print(line, soft_wrap=True, highlight=False)
        self._total += second.settled
        self._seconds.append(second)
        del self._seconds[:-SHOWN_MAX]
        if self._live is not None:
            self._live.update(picture(self._seconds, self._total, self._duration_s))


def picture(seconds: list[Second], total: int, duration_s: float) -> Text:
    """The last minute as bars, and the newest figures."""
    last = seconds[-1]
    share = min(1.0, last.at_s / duration_s)
    rates = [second.settled for second in seconds]
    tails = [second.end_to_end_ms[P99] if second.end_to_end_ms else 0.0 for second in seconds]
    return Text.assemble(
        (f"{last.at_s:.0f} of {duration_s:.0f} s ", "bold"),
        f"{'█' * round(20 * share):<20} {last.connected:,} connected, {total:,} through\n",
        ("messages/s  ", "bold"),
        f"{bars(rates)} {last.settled:,} of {last.offered:,}\n",
        ("e2e p99 ms  ", "bold"),
        f"{bars(tails)} {_pair(last.end_to_end_ms)}",
    )


def bars(values: list[int] | list[float]) -> str:
    """Values as a row of bars, the largest the highest."""
    most = max(values, default=0)
    if most <= 0:
        return BLOCKS[0] * len(values)
    return "".join(BLOCKS[round((len(BLOCKS) - 1) * value / most)] for value in values)


def _pair(values: tuple[float, ...]) -> str:
    return f"p50 {values[P50]:g}, p99 {values[P99]:g}" if values else NOTHING
