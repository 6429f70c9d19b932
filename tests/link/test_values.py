"""Settings, back-off, and other small parts that need no broker."""

import asyncio
import random

import pytest

from link import LinkSettings, Tls
from link.tools import Backoff, Signal, tls_context


def test_password_is_never_shown() -> None:
    """Neither repr nor str of the settings tell the password."""
    settings = LinkSettings(username="nurse", password="secret")
    assert "secret" not in repr(settings) + str(settings) + f"{[settings]}"
    assert "username='nurse'" in repr(settings)
    assert settings.address == "127.0.0.1:1883"


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"mqtt": "4"}, "3.1.1"),
        ({"receive_max": 0}, "receive_max"),
        ({"inflight_max": 65_536}, "inflight_max"),
        ({"receive_max": 10, "inbox_max": 9}, "inbox_max"),
        ({"keep_alive_s": 0}, "keep_alive_s"),
        ({"backoff_min_s": 2.0, "backoff_max_s": 1.0}, "backoff"),
        ({"connect_timeout_s": 0.0}, "connect_timeout_s"),
        ({"session_expiry_s": 1}, "client_id"),
    ],
)
def test_settings_that_cannot_work(changes: dict[str, object], match: str) -> None:
    """Each is refused by name when the settings are made."""
    with pytest.raises(ValueError, match=match):
        LinkSettings(**changes)  # type: ignore[arg-type]


def test_backoff_doubles_up_to_its_bound_with_jitter() -> None:
    """Delays grow, are never above the bound, and two sources differ."""

    def delays(seed: int) -> list[float]:
        backoff = Backoff(1.0, 8.0, random.Random(seed))
        return [backoff.next_s() for _ in range(8)]

    ceilings = [1, 2, 4, 8, 8, 8, 8, 8]
    for delay, ceiling in zip(delays(1), ceilings, strict=True):
        assert ceiling / 2 <= delay <= ceiling
    assert delays(1) == delays(1) != delays(2)
    backoff = Backoff(1.0, 8.0, random.Random(1))
    assert backoff.next_s() <= 1.0 <= backoff.next_s()
    backoff.reset()
    assert backoff.next_s() <= 1.0


async def test_signal_wakes_all_who_wait_and_forgets_who_left() -> None:
    """Everybody who waits is woken by one fire; a cancelled waiter does no harm."""
    signal = Signal()
    waiting = [asyncio.ensure_future(signal.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    signal.fire()
    assert await asyncio.gather(*waiting, return_exceptions=True) != [None, None, None]
    assert [each.cancelled() for each in waiting] == [True, False, False]


def test_tls_context_names_the_file_that_it_cannot_use() -> None:
    """A missing PEM file is named; the context of the same settings is made once."""
    with pytest.raises(OSError, match=r"nowhere\.pem"):
        tls_context(Tls(ca_file="nowhere.pem"))
    assert tls_context(Tls()) is tls_context(Tls())
