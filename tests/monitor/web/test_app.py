"""The application put together: health, the page's files, and what nobody is let in to."""

import asyncio
from pathlib import Path

import httpx
import pytest

from monitor.web import health, static_files
from monitor.web.guard import HEADERS
from tests.monitor.web.listening import Service, served
from tests.monitor.web.scripted import ScriptedWard, fleet


def stranger(service: Service, **headers: str) -> httpx.AsyncClient:
    """Somebody who is not signed in."""
    return httpx.AsyncClient(base_url=service.url, headers=headers, trust_env=False)


async def test_a_monitor_that_works_is_live_and_ready() -> None:
    ward = ScriptedWard()
    fleet(ward, 1)
    async with served(ward) as service, stranger(service) as client:
        for path in ("/health/live", "/health/ready"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()) == (200, {"ok": True})
            assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ({"is_ready": False}, "resuming"),
        ({"connected": False}, "the broker paper:1883 is not connected"),
        ({"behind_ms": 42_000}, "the monitor is 42 s behind"),
    ],
    ids=["resuming", "no broker", "behind"],
)
async def test_a_monitor_that_cannot_be_relied_on_says_why(
    trouble: dict[str, int], reason: str
) -> None:
    ward = ScriptedWard(**trouble)  # type: ignore[arg-type]
    async with served(ward) as service, stranger(service) as client:
        answer = await client.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json()["ok"] is False
        assert reason in answer.json()["reasons"][0]
        assert (await client.get("/health/live")).status_code == 200


async def test_a_monitor_that_stores_nothing_is_not_ready() -> None:
    ward = ScriptedWard(speed=60.0)
    ward._since_s -= 9.0
    assert health.reasons(ward) == ()
    ward._since_s -= 3.0
    (reason,) = health.reasons(ward)
    assert reason.startswith("nothing was stored since 12 s")


async def test_each_view_is_the_same_document() -> None:
    index = (static_files.FOLDER / "index.html").read_text()
    async with served(ScriptedWard()) as service:
        async with service.client() as client:
            for path in (*static_files.VIEWS, "/pump/home/P-01", "/history?kind=audit"):
                answer = await client.get(path)
                assert answer.status_code == 200
                assert answer.headers["content-type"] == "text/html; charset=utf-8"
                assert answer.headers["cache-control"] == "no-store"
                assert answer.text == index
        async with stranger(service) as client:
            answer = await client.get("/wall?site=home")
            assert (answer.status_code, answer.headers["location"]) == (
                303,
                "/sign-in?next=%2Fwall%3Fsite%3Dhome",
            )


async def test_files_are_packed_marked_and_sent_once() -> None:
    body = (static_files.FOLDER / "main.js").read_bytes()
    async with served(ScriptedWard()) as service, stranger(service) as client:
        packed = await client.get("/static/main.js")
        assert packed.content == body
        assert packed.headers["content-encoding"] == "gzip"
        assert int(packed.headers["content-length"]) < len(body) / 2
        assert packed.headers["content-type"] == "text/javascript; charset=utf-8"
        assert packed.headers["cache-control"] == "public, max-age=60"
        plain = await client.get("/static/main.js", headers={"accept-encoding": "identity"})
        assert plain.content == body
        assert "content-encoding" not in plain.headers
        again = await client.get(
            "/static/main.js", headers={"if-none-match": f'"x", {packed.headers["etag"]}'}
        )
        assert (again.status_code, again.content) == (304, b"")
        other = await client.get("/static/main.js", headers={"if-none-match": '"x"'})
        assert other.status_code == 200
        assert other.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static/..\\app.py",
        "/static//etc/passwd",
        "/static/main.js%00",
        "/static/",
        "/static/nothing.js",
        "/static/sub/main.js",
    ],
)
async def test_no_path_leads_out_of_the_folder(path: str) -> None:
    async with served(ScriptedWard()) as service:
        host, port = service.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        answer = await reader.read()
        writer.close()
    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 401", b"HTTP/1.1 303", b"HTTP/1.1 400"))
    assert b"import" not in answer
    assert b"root:" not in answer


async def test_what_is_not_there_is_a_problem_with_the_headers_of_all() -> None:
    async with served(ScriptedWard()) as service, service.client() as client:
        answer = await client.get("/api/v1/nothing")
        assert answer.status_code == 404
        assert answer.json()["type"] == "/problems/not-found"
        wrong = await client.post("/api/v1/stream")
        assert (wrong.status_code, wrong.json()["type"]) == (405, "/problems/wrong-method")
        for each in (answer, wrong):
            assert HEADERS.items() <= {name: each.headers.get(name) for name in HEADERS}.items()


def test_the_files_travel_in_the_wheel() -> None:
    """What hatchling packs is the whole folder of a package; nothing there may be left out."""
    project = Path(__file__).parents[3] / "pyproject.toml"
    assert '"monitor"' in project.read_text().split("packages = ", 1)[1].splitlines()[0]
    ignored = (Path(__file__).parents[3] / ".gitignore").read_text().splitlines()
    assert not {"*.js", "*.css", "*.html", "static", "static/"} & set(ignored)


def test_only_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "one.js").write_text("const one = 1;\n" * 100)
    (tmp_path / "two.bin").write_bytes(b"\0" * 10)
    files = static_files.read_files(tmp_path)
    assert set(files) == {"one.js", "two.bin"}
    assert files["two.bin"].packed is None
    assert files["one.js"].packed is not None
