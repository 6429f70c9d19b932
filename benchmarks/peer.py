"""The peer: an aiomqtt loop that receives the stream and reads its JSON, and does nothing else.

It is a process of its own, `python -m benchmarks.peer PORT NAME VERSION COUNT`. With COUNT 0 it
only makes its session; otherwise it prints what COUNT messages took, from the moment it was
connected, as one line of JSON. It runs on the same event loop as the monitor.

aiomqtt acknowledges a message when it arrives and keeps it in memory, here without a bound: with
a bound it would drop what it cannot take in time. Nothing is stored, so it promises less.
"""

import asyncio
import json
import sys
import time
from typing import Literal

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from host.process import new_event_loop
from infusion.messages import Kind, subscription
from link.embedded import HOST

Version = Literal["5", "3.1.1"]

KINDS = (Kind.TELEMETRY, Kind.EVENT, Kind.PRESENCE, Kind.ORDER)
SESSION_EXPIRY_S = 3_600


def make_client(port: int, name: str, version: Version) -> aiomqtt.Client:
    """A client with a session that outlives its connection."""
    if version == "3.1.1":
        return aiomqtt.Client(HOST, port, identifier=name, clean_session=False)
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's stubs
    properties.SessionExpiryInterval = SESSION_EXPIRY_S
    return aiomqtt.Client(
        HOST,
        port,
        identifier=name,
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=False,
        properties=properties,
    )


async def receive(port: int, name: str, version: Version, count: int) -> dict[str, float]:
    """Receive so many messages; what they took."""
    async with make_client(port, name, version) as client:
        if not count:
            for kind in KINDS:
                await client.subscribe(subscription(kind), qos=1)
            return {}
        begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
        handled = 0
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            json.loads(message.payload)
            handled += 1
            if handled == count:
                break
        return {
            "wall_s": time.perf_counter() - begin_s,
            "cpu_s": time.process_time() - begin_cpu_s,
        }


def main(port: str, name: str, version: Version, count: str) -> None:
    """The command."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        print(json.dumps(runner.run(receive(int(port), name, version, int(count)))))


if __name__ == "__main__":
    main(*sys.argv[1:])  # type: ignore[arg-type]  # called by benchmarks/intake.py alone
