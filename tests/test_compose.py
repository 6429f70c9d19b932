"""docker-compose.yml and the broker's files: safe by their text, and taken by a real Mosquitto."""

import asyncio
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
import yaml

from tests.brokers import free_port, mosquitto_or_skip

ROOT = Path(__file__).resolve().parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ACL_EXAMPLE = ROOT / "config" / "mosquitto.acl.example"

every_service = pytest.mark.parametrize("name", sorted(SERVICES))


def test_the_three_services_are_there() -> None:
    assert COMPOSE["name"] == "dripwatch"
    assert set(SERVICES) == {"broker", "monitor", "simulator"}


def test_every_mounted_file_exists_and_is_read_only() -> None:
    volumes = [volume for service in SERVICES.values() for volume in service["volumes"]]
    mounted = [volume.split(":") for volume in volumes if volume.startswith(".")]
    assert mounted
    for host, _, mode in mounted:
        assert (ROOT / host).exists(), host
        assert mode == "ro", host


def test_every_named_volume_is_declared() -> None:
    volumes = [volume for service in SERVICES.values() for volume in service["volumes"]]
    named = {volume.split(":")[0] for volume in volumes if not volume.startswith(".")}
    assert named == set(COMPOSE["volumes"])


@every_service
def test_ports_are_published_on_loopback_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:"), port


@every_service
def test_a_service_runs_with_few_rights_and_bounded(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"]), "not root"
    assert service["read_only"] is True
    assert service["init"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"tmpfs", "stop_grace_period", "cpus", "mem_limit"} <= service.keys()
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}


@every_service
def test_images_are_pinned(name: str) -> None:
    images = [SERVICES[name]["image"]]
    dockerfile = SERVICES[name].get("build", {}).get("dockerfile_inline", "")
    images += re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    for image in images:
        assert re.fullmatch(r"[a-z/-]+:\d+\.\d+[\w.-]*", image), image


@every_service
def test_what_the_image_copies_exists(name: str) -> None:
    dockerfile = SERVICES[name].get("build", {}).get("dockerfile_inline", "")
    for line in re.findall(r"^COPY (.+)", dockerfile, re.MULTILINE):
        *sources, _ = line.split()
        for source in sources:
            assert (ROOT / source).exists(), source


def test_health_is_checked_and_waited_for() -> None:
    for name in ("broker", "monitor"):
        assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert "$$SYS/broker/uptime" in SERVICES["broker"]["healthcheck"]["test"]
    assert SERVICES["simulator"]["depends_on"] == {
        "broker": {"condition": "service_healthy"},
        "monitor": {"condition": "service_healthy"},
    }


def test_the_store_is_on_the_volume() -> None:
    store = Path(SERVICES["monitor"]["environment"]["DRIPWATCH_MONITOR_STORE"])
    mounts = [volume.split(":")[1] for volume in SERVICES["monitor"]["volumes"]]
    assert str(store.parent) in mounts


# --- against the real broker ---------------------------------------------------------------------


def test_mosquitto_starts_on_the_shipped_configuration(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as port:
        asyncio.run(_hears(port, user=None, publish=["infusion/v1/home-01/P-01/event"]))


def test_the_access_list_lets_a_pump_speak_only_for_itself(tmp_path: Path) -> None:
    own = ["infusion/v1/home-01/P-01/telemetry", "infusion/v1/home-01/P-01/event"]
    others = ["infusion/v1/home-02/P-02/telemetry", "infusion/v1/home-01/P-01/alerts"]

    with mosquitto(tmp_path, f"acl_file {ACL_EXAMPLE}") as port:
        heard = asyncio.run(_hears(port, user="P-01", publish=[*others, *own]))
    assert heard == own


async def _hears(port: int, *, user: str | None, publish: list[str]) -> list[str]:
    """The topics that a monitor hears when `user` publishes on `publish`, up to the last one."""
    heard: list[str] = []
    monitor_user = "monitor" if user else None
    async with (
        aiomqtt.Client("127.0.0.1", port, username=monitor_user) as monitor,
        aiomqtt.Client("127.0.0.1", port, username=user) as pump,
    ):
        await monitor.subscribe("infusion/v1/#", qos=1)
        for topic in publish:
            await pump.publish(topic, b"{}", qos=1)
        async with asyncio.timeout(10):
            async for message in monitor.messages:
                heard.append(str(message.topic))
                if heard[-1] == publish[-1]:
                    return heard
    raise AssertionError("the broker ended the connection")


@contextmanager
def mosquitto(folder: Path, extra: str = "") -> Iterator[int]:
    """Mosquitto on config/mosquitto.conf, port and folder swapped, lines added; yields the port."""
    binary, port = mosquitto_or_skip(), free_port()
    text = (ROOT / "config" / "mosquitto.conf").read_text()
    swapped = text.replace("listener 1883", f"listener {port} 127.0.0.1").replace(
        "/mosquitto/data/", f"{folder}/"
    )
    assert str(port) in swapped
    assert str(folder) in swapped
    if os.geteuid() == 0:
        # Mosquitto would change to its own user, who cannot enter the test's folder.
        extra += "\nuser root"
    configuration = folder / "mosquitto.conf"
    configuration.write_text(f"{swapped}\n{extra}\n")
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([binary, "-c", configuration], stdout=output, stderr=output)
    try:
        _wait_until_open(port, process, log)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait_until_open(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(200):
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"mosquitto did not listen within 10 s:\n{log.read_text()}")
