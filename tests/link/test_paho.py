"""paho-mqtt itself, in its own thread and without aiomqtt around it, as the other side."""

import asyncio

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from link import Subscription
from tests.brokers import HOST
from tests.link.conftest import Bench
from tests.link.test_contract import WAIT_S, take

COUNT = 500


async def test_paho_and_a_link_understand_each_other(bench: Bench) -> None:
    """Five hundred QoS 1 messages each way, in order, and none lost."""
    loop = asyncio.get_running_loop()
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    subscribed = asyncio.Event()
    to_paho, to_link = f"{bench.topic}/paho", f"{bench.topic}/link"
    version = MQTTProtocolVersion.MQTTv5 if bench.mqtt == "5" else MQTTProtocolVersion.MQTTv311
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=version)

    def on_connect(*_: object) -> None:
        client.subscribe(to_paho, qos=1)

    def on_subscribe(*_: object) -> None:
        loop.call_soon_threadsafe(subscribed.set)

    def on_message(_: paho.Client, __: object, message: paho.MQTTMessage) -> None:
        loop.call_soon_threadsafe(heard.put_nowait, bytes(message.payload))

    client.on_connect = on_connect
    client.on_subscribe = on_subscribe
    client.on_message = on_message
    wanted = [b"%d" % number for number in range(COUNT)]
    link = await bench.link(subscriptions=[Subscription(to_link)])
    client.connect(HOST, bench.port)
    client.loop_start()
    try:
        async with asyncio.timeout(WAIT_S):
            await subscribed.wait()
            for payload in wanted:
                link.publish(to_paho, payload)
                client.publish(to_link, payload, qos=1)
            assert [await heard.get() for _ in wanted] == wanted
        assert [message.payload for message in await take(link, COUNT)] == wanted
    finally:
        client.disconnect()
        client.loop_stop()
