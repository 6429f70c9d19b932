"""`dripwatch watch`: silence is told from a broker that is not there."""

import asyncio

import pytest

from dripwatch.watch import Said, watch, watch_until_signal
from host.process import run
from infusion.errors import LinkError
from link import LinkSettings
from tests.brokers import HOST, Embedded, free_port

BROKER_LOST = 3


@pytest.mark.parametrize("for_s", [None, 0.1, 3.0])
def test_without_a_broker_it_says_so_and_ends_with_its_code(
    for_s: float | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where it is to listen for a while only: those seconds count from the subscription."""
    said: list[Said] = []
    link = LinkSettings(host=HOST, port=free_port())
    code = run(watch_until_signal(link, said.append, "+", for_s, connect_s=0.5))
    assert (code, said) == (BROKER_LOST, [])
    told = capsys.readouterr().err
    assert told.startswith(f"dripwatch: no subscription at {link.address} within 0.5 s; last")
    assert "refused" in told


def test_a_quiet_broker_is_well() -> None:
    """Nothing is said for half a second, and the broker is there: that is what was asked for."""
    with Embedded() as broker:
        link = LinkSettings(host=HOST, port=broker.port)
        assert run(watch_until_signal(link, print, "+", 0.5)) == 0


async def test_a_broker_that_is_lost_meanwhile_is_told() -> None:
    """It has gone when the time is over: what it did not say is not known."""
    with Embedded() as broker:
        link = LinkSettings(host=HOST, port=broker.port)
        ready = asyncio.Event()
        watching = asyncio.create_task(watch(link, print, for_s=1.5, on_ready=ready.set))
        await asyncio.wait_for(ready.wait(), 10)
        await asyncio.to_thread(broker.kill)
        with pytest.raises(LinkError, match=r"was lost and did not come back in 1\.5 s"):
            await watching
