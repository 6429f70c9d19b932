"""The peers of a load generator: loops of well-known clients that publish as fast as they can.

A process of its own, `python -m benchmarks.load_peer KIND PORT CLIENTS SECONDS`. Each client sends
its next message when the last one is acknowledged; nothing is measured but the count, so they do
less than a load generator must. It prints one line of JSON.
"""

import asyncio
import json
import sys
import threading
import time

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.stream import last_of, make_fleet
from host.process import new_event_loop
from infusion.messages import Kind, encode
from link.embedded import HOST
from simulator.stream import Outgoing

CONNECT_S = 30.0


def payload() -> bytes:
    """A real telemetry."""
    fleet = make_fleet(20)
    said = [each for each in fleet.advance(fleet.now_ms) if isinstance(each, Outgoing)]
    return encode(last_of(Kind.TELEMETRY, said))


def topic(number: int) -> str:
    """The topic of one client, as long as a pump's."""
    return f"infusion/v1/load-1/P-{number:04d}/telemetry"


class PahoClients:
    """paho-mqtt with a thread for each client, as its examples have it."""

    def __init__(self, port: int, clients: int) -> None:
        """Connects all of them."""
        self.count = 0
        self._payload = payload()
        self._lock = threading.Lock()
        self._connected = threading.Semaphore(0)
        self._ends = False
        self.clients = [self._client(number, port) for number in range(clients)]
        for _ in range(clients):
            assert self._connected.acquire(timeout=CONNECT_S)

    def _client(self, number: int, port: int) -> paho.Client:
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"peer-{number}")
        name = topic(number)

        def on_connect(*_: object) -> None:
            self._connected.release()

        def on_publish(*_: object) -> None:
            with self._lock:
                self.count += 1
            if not self._ends:
                client.publish(name, self._payload, qos=1)

        client.on_connect = on_connect
        client.on_publish = on_publish
        client.connect(HOST, port)
        client.loop_start()
        return client

    def run(self, seconds: float) -> None:
        """Publish for so long."""
        for number, client in enumerate(self.clients):
            client.publish(topic(number), self._payload, qos=1)
        time.sleep(seconds)
        self._ends = True

    def close(self) -> None:
        """Say goodbye."""
        for client in self.clients:
            client.disconnect()
            client.loop_stop()


async def publish_with_aiomqtt(port: int, clients: int, seconds: float) -> dict[str, float]:
    """aiomqtt with a task for each client."""
    data = payload()
    ready = asyncio.Barrier(clients + 1)
    counts = [0] * clients

    async def one(number: int) -> None:
        async with aiomqtt.Client(HOST, port, identifier=f"peer-{number}") as client:
            await ready.wait()
            end_s = time.perf_counter() + seconds
            while time.perf_counter() < end_s:
                await client.publish(topic(number), data, qos=1)
                counts[number] += 1

    tasks = [asyncio.create_task(one(number)) for number in range(clients)]
    await ready.wait()
    begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    figures = _figures(sum(counts), begin_s, begin_cpu_s)
    await asyncio.gather(*tasks)
    return figures


def publish_with_paho(port: int, clients: int, seconds: float) -> dict[str, float]:
    """The other one."""
    all_of_them = PahoClients(port, clients)
    begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
    all_of_them.run(seconds)
    figures = _figures(all_of_them.count, begin_s, begin_cpu_s)
    all_of_them.close()
    return figures


def _figures(count: int, begin_s: float, begin_cpu_s: float) -> dict[str, float]:
    return {
        "messages": count,
        "wall_s": time.perf_counter() - begin_s,
        "cpu_s": time.process_time() - begin_cpu_s,
    }


def main(kind: str, port: str, clients: str, seconds: str) -> None:
    """The command."""
    if kind == "paho":
        figures = publish_with_paho(int(port), int(clients), float(seconds))
    else:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            figures = runner.run(publish_with_aiomqtt(int(port), int(clients), float(seconds)))
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
