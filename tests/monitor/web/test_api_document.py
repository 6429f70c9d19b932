"""The document of the API: equal to the routes, to the page in docs/, and to what is answered."""

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs
from starlette.applications import Starlette
from starlette.routing import Route

from docs.api_table import FILE, text
from monitor.people import ALL_RIGHTS, ALL_ROLES
from monitor.people_store import People
from monitor.proposal_store import ProposalStore
from monitor.web.api import DESCRIBED
from monitor.web.api.office import Office
from monitor.web.app import create_app
from monitor.web.guard import right_of
from monitor.web.hub import Hub
from monitor.web.openapi import document
from monitor.web.ward import Link
from tests.infusion.bench import T0
from tests.monitor.web.api_house import api_house, slug, told
from tests.monitor.web.house import WEAK
from tests.monitor.web.listening import served
from tests.monitor.web.scripted import ScriptedWard, night

# So many cases of each operation, besides those that follow from its bounds.
EXAMPLES = 20
CONFIG = """
[parameters]
"path.site" = "home"
"path.pump" = "P-03"
"path.therapy" = "T-03"
[checks]
# 400 is not among them: what the document allows must be readable. 422 says why it cannot be done.
positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "410", "422", "429"]
"""


async def test_every_route_is_described_and_everything_described_is_a_route() -> None:
    ward = ScriptedWard()
    async with People(None, hasher=WEAK) as people, ProposalStore(None) as proposals:
        app = create_app(ward, people, Hub(ward, "test"), office=Office(ward, proposals))
    assert isinstance(app.app, Starlette)
    routes = {
        (method, route.path): route
        for route in app.app.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
        if route.path.startswith(("/api/", "/health/", "/metrics"))
    }
    described = {(each.method, each.path): each for each in DESCRIBED}
    assert set(routes) == set(described)
    for key, operation in described.items():
        right = right_of(routes[key].endpoint)
        if operation.right in ALL_RIGHTS and operation.path != "/metrics":
            assert right == operation.right, key


async def test_the_document_is_served_and_whole() -> None:
    async with api_house(ScriptedWard()) as house, house.as_("ann") as ann:
        found = told(await ann.get("/openapi.json"))
    assert found == msgspec.json.decode(msgspec.json.encode(document(DESCRIBED)))
    assert found["openapi"] == "3.1.0"
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', msgspec.json.encode(found).decode()))
    assert names <= set(found["components"]["schemas"])
    ids = [each["operationId"] for each in _operations(found)]
    assert len(ids) == len(set(ids))
    for each in _operations(found):
        assert each["summary"], each["operationId"]
        assert not re.search(r"\(\?!", str(each)), "other languages read no look-ahead"


def _operations(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for methods in found["paths"].values() for each in methods.values()]


def test_the_page_in_docs_is_up_to_date() -> None:
    assert FILE.read_text(encoding="utf-8") == text(), (
        "write it anew with: python -m docs.api_table"
    )


async def test_the_lines_of_the_page_work(tmp_path: Path) -> None:
    """Each `curl` of docs/api.md, as it stands there, against a real server."""
    if shutil.which("curl") is None:
        if os.environ.get("CI"):
            pytest.fail("curl is missing; install it")
        pytest.skip("curl is missing")
    block = re.search(r"```sh\n(.*?)```", FILE.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    ward = ScriptedWard()
    night(ward)
    alert = ward.monitor.open_alerts("home/P-03").alerts[0]
    async with served(ward) as service:
        await service.people.add("eve", ["nurse"], "correct horse battery", "test")
        token, _ = await service.people.issue_token(
            "eve", ["read", "act", "result", "order"], 1, "test"
        )
        known = {"URL": service.url, "TOKEN": token, "ALERT": alert.id, "DRAWN_MS": str(T0)}
        script = block[1].replace("curl ", "curl --noproxy '*' ").replace("\n\n", "\necho; echo\n")
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            script,
            env={**os.environ, **known},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output = (await asyncio.wait_for(process.communicate(), 60))[0].decode()
    answers = [each for each in output.split("\n\n") if each.strip()]
    assert "/problems/" not in output, output
    assert '"id":"home/P-03/downstream-occlusion' in answers[0]
    assert '"doses"' in answers[1]
    assert "eve has taken it for 30 min" in answers[2]
    assert '"specimen":"S-1"' in answers[3]
    assert '"state":"proposed"' in answers[4]
    assert "event: snapshot" in output
    assert "event: beat" in output


async def test_a_path_of_two_routes_names_the_methods_of_both() -> None:
    async with served(ScriptedWard()) as service, service.client() as client:
        answer = await client.put("/api/v1/tokens", json={})
    assert (answer.status_code, slug(answer)) == (405, "wrong-method")
    assert answer.headers["allow"] == "GET, HEAD, POST"


class Lively(ScriptedWard):
    """A ward that stores something all the time, as a monitor does by its own heartbeat."""

    @property
    def link(self) -> Link:
        """How it stands to the broker that there is not."""
        return structs.replace(super().link, committed_ms=self.now_ms())


async def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    """Requests that the document allows, and such that it does not, against the whole application:
    no error of the server, no answer that is not described, nothing wrong that is accepted."""
    (tmp_path / "schemathesis.toml").write_text(CONFIG, encoding="utf-8")
    ward = Lively()
    night(ward)
    async with served(ward) as service:
        await service.people.add("eve", ALL_ROLES, "correct horse battery", "test")
        token, _ = await service.people.issue_token("eve", ALL_RIGHTS, 1, "test")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from schemathesis.cli import schemathesis; schemathesis()",
            "run",
            f"{service.url}/api/v1/openapi.json",
            f"--header=Authorization: Bearer {token}",
            f"--max-examples={EXAMPLES}",
            "--phases=coverage,fuzzing,stateful",
            "--generation-database=none",
            "--no-color",
            # It has no end; tests/monitor/web/test_stream.py listens to it.
            "--exclude-path=/api/v1/stream",
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output = (await asyncio.wait_for(process.communicate(), 100))[0].decode()
    assert process.returncode == 0, output[-8_000:]
    counted = re.search(r"(\d+) generated, (\d+) passed", output)
    assert counted is not None, output[-2_000:]
    assert int(counted[1]) > 500, "it tried hardly anything"
    # All but the stream, and the document that it reads.
    assert re.search(r"Tested:\s+(\d+)", output)[1] == str(len(DESCRIBED) - 2)  # type: ignore[index]
