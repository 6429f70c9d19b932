"""The door: attacks on it fail, and those who may come in do. A real server, real requests."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from starlette.datastructures import Headers

from monitor.people import ALL_RIGHTS, ALL_ROLES, IDLE_MS, RIGHTS, SESSION_MS, Right, Role
from monitor.people_file import PeopleFile
from monitor.web.callers import COOKIE, Caller, GuardSettings, check_origin, host_name, is_ours
from monitor.web.guard import BODY_MAX, HEADERS
from monitor.web.problems import Problem
from tests.monitor.web.house import PASSWORD, WAIT_S, House, house, sign_in

IDLE_S, SESSION_S = IDLE_MS / 1_000, SESSION_MS / 1_000


@pytest_asyncio.fixture
async def home() -> AsyncIterator[House]:
    """A house on loopback."""
    async with house() as found:
        yield found


def slug(response: httpx.Response) -> str:
    """The kind of a problem."""
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["detail"]
    return str(problem["type"]).removeprefix("/problems/")


# --- who may what --------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ALL_ROLES)
async def test_each_role_may_do_just_what_it_may(home: House, role: Role) -> None:
    """By session and by a token with every scope the role has, for reads and for writes."""
    await home.add("ann", role)
    token = await home.token("ann", *RIGHTS[role])
    async with home.signed_in("ann") as browser, home.visitor() as program:
        program.headers["Authorization"] = f"Bearer {token}"
        for client in (browser, program):
            for right in ALL_RIGHTS:
                for method in ("GET", "POST"):
                    response = await client.request(method, f"/api/v1/rooms/{right}")
                    if right in RIGHTS[role]:
                        assert response.text == f"ann may {right}"
                    else:
                        assert (response.status_code, slug(response)) == (403, "not-allowed")
                        assert "role" in response.json()["detail"]


@pytest.mark.parametrize("scope", ["read", "act"])
async def test_a_token_may_do_what_its_scope_says(home: House, scope: Right) -> None:
    """And nothing else, though its owner may."""
    await home.add("ann", "nurse")
    token = await home.token("ann", scope)
    async with home.visitor(authorization=f"Bearer {token}") as program:
        for right in RIGHTS["nurse"]:
            response = await program.get(f"/api/v1/rooms/{right}")
            assert response.status_code == (200 if right == scope else 403)
        assert f"the scope {'act' if scope == 'read' else 'read'}" in (
            await program.get(f"/api/v1/rooms/{'act' if scope == 'read' else 'read'}")
        ).text  # fmt: skip


async def test_nobody_gets_no_further_than_the_sign_in_page(home: House) -> None:
    """Pages lead to it and back, programs are told; what needs nobody is open."""
    async with home.visitor() as visitor:
        answer = await visitor.get("/pump/home/P-01?x=1&y=a%2Fb")
        assert answer.status_code == 303
        where = httpx.URL(answer.headers["location"])
        assert where.path == "/sign-in"
        assert where.params["next"] == "/pump/home/P-01?x=1&y=a%2Fb"
        for path in ("/api/v1/me", "/api/v1/rooms/read", "/metrics", "/api/v1/nothing"):
            answer = await visitor.get(path)
            assert (answer.status_code, slug(answer)) == (401, "not-signed-in")
            assert answer.headers["www-authenticate"] == "Bearer"
        for path in ("/health/live", "/sign-in", "/static/sign-in.js"):
            assert (await visitor.get(path)).status_code == 200
    async with house(metrics_open=True) as other, other.visitor() as visitor:
        assert (await visitor.get("/metrics")).text == "pumps 1"


@pytest.mark.parametrize(
    "said",
    ["Bearer", "Bearer dw_0123456789ab_" + "x" * 43, "Basic YTpi", "bearer \xe9", "Bearer a b", ""],
)
async def test_a_wrong_token_is_not_let_in(home: House, said: str) -> None:
    """Not even to what needs nobody, and not with a good session beside it: it is an error."""
    await home.add("ann", "nurse")
    async with home.signed_in("ann") as browser:
        for path in ("/api/v1/me", "/health/live"):
            response = await browser.get(path, headers=[(b"Authorization", said.encode("latin-1"))])
            assert (response.status_code, slug(response)) == (401, "not-signed-in")


# --- sessions ------------------------------------------------------------------------------------


async def test_the_id_of_a_session_is_never_the_callers(home: House) -> None:
    """Fixation: whatever id was planted is not the one after the sign-in; nor is the last one."""
    await home.add("ann", "nurse")
    async with home.browser() as browser:
        browser.cookies.set(COOKIE, "planted-by-somebody-else")
        assert (await sign_in(browser, "ann")).status_code == 204
        first = _cookie(browser)
        assert first != "planted-by-somebody-else"
        assert (await sign_in(browser, "ann")).status_code == 204
        second = _cookie(browser)
        assert second != first
        for old in ("planted-by-somebody-else", first):
            async with home.visitor(cookie=f"{COOKIE}={old}") as thief:
                assert (await thief.get("/api/v1/me")).status_code == 401


async def test_a_failed_sign_in_leaves_the_session_alone(home: House) -> None:
    """Nobody is signed out by somebody else's try."""
    await home.add("ann", "nurse")
    async with home.signed_in("ann") as browser:
        assert slug(await sign_in(browser, "ann", "wrong password here")) == "wrong-password"
        assert (await browser.get("/")).text == "hello ann"


async def test_the_cookie_is_for_this_page_alone(home: House) -> None:
    """HttpOnly, SameSite=Strict, the whole path, no domain; signing out takes it back."""
    await home.add("ann", "nurse")
    async with home.browser() as browser:
        said = (await sign_in(browser, "ann")).headers["set-cookie"]
        name, _, rest = said.partition("=")
        assert name == COOKIE
        assert {part.strip().lower() for part in rest.split(";")[1:]} == {
            "httponly",
            "path=/",
            "samesite=strict",
        }
        kept = _cookie(browser)
        gone = await browser.delete("/api/v1/session")
        assert gone.status_code == 204
        assert "Max-Age=0" in gone.headers["set-cookie"]
        again = await browser.get("/api/v1/me", headers={"Cookie": f"{COOKIE}={kept}"})
        assert again.status_code == 401


async def test_under_tls_the_cookie_has_its_prefix_and_is_secure() -> None:
    """A proxy speaks TLS; a cookie without the prefix, which another host may set, is not read."""
    async with house(
        behind_proxy=True, is_loopback=False, hosts=frozenset({"ward.example"})
    ) as home:
        await home.add("ann", "nurse")
        proxied = {
            "x-forwarded-host": "ward.example",
            "x-forwarded-proto": "https",
            "x-forwarded-for": "203.0.113.9, 10.1.2.3",
        }
        async with home.visitor(origin="https://ward.example") as browser:
            browser.headers.update(proxied)
            answer = await sign_in(browser, "ann")
            name, _, rest = answer.headers["set-cookie"].partition("=")
            assert name == f"__Host-{COOKIE}"
            assert "secure" in {part.strip().lower() for part in rest.split(";")}
            assert answer.headers["strict-transport-security"] == "max-age=31536000"
            secret = rest.split(";")[0]
            for cookie, status in ((f"__Host-{COOKIE}", 200), (COOKIE, 401)):
                said = await browser.get("/api/v1/me", headers={"Cookie": f"{cookie}={secret}"})
                assert said.status_code == status
        # The proxy's own entry is the last; the others may be anybody's.
        assert (await home.people.audit(limit=1))[0].address == "10.1.2.3"


async def test_what_a_proxy_says_is_not_believed_without_one(home: House) -> None:
    """X-Forwarded-* from anybody changes neither host, nor address, nor cookie."""
    await home.add("ann", "nurse")
    async with home.browser() as browser:
        browser.headers.update(
            {
                "x-forwarded-host": "evil.example",
                "x-forwarded-proto": "https",
                "x-forwarded-for": "1.2.3.4",
            }
        )
        assert (await sign_in(browser, "ann")).headers["set-cookie"].startswith(f"{COOKIE}=")
    assert (await home.people.audit(limit=1))[0].address == "127.0.0.1"


async def test_a_session_ends_after_a_shift(home: House) -> None:
    """However much it is used."""
    await home.add("ann", "nurse")
    async with home.signed_in("ann") as browser:
        step = IDLE_S / 2
        for _ in range(int(SESSION_S / step) - 1):
            home.clock.move(step)
            assert (await browser.post("/api/v1/rooms/act")).status_code == 200
        home.clock.move(step)
        response = await browser.get("/api/v1/rooms/read")
        assert (response.status_code, slug(response)) == (401, "not-signed-in")


async def test_a_session_that_nobody_used_shows_and_does_nothing(home: House) -> None:
    """The page does not go dark; looking on does not bring back what an absent nurse may do."""
    await home.add("ann", "nurse")
    async with home.signed_in("ann") as browser:
        home.clock.move(IDLE_S - 1)
        assert (await browser.post("/api/v1/rooms/act")).status_code == 200
        home.clock.move(IDLE_S)
        for _ in range(2):
            assert (await browser.get("/api/v1/rooms/read")).status_code == 200
            response = await browser.post("/api/v1/rooms/act")
            assert (response.status_code, slug(response)) == (401, "sign-in-again")
            response = await browser.post(
                "/api/v1/me/password", json={"old": PASSWORD, "new": "another long one"}
            )
            assert (response.status_code, slug(response)) == (401, "sign-in-again")
        assert (await browser.get("/api/v1/me")).json()["rights"] == ["read", "metrics"]
        assert (await sign_in(browser, "ann")).status_code == 204
        assert (await browser.post("/api/v1/rooms/act")).status_code == 200


async def test_a_stream_is_no_use_and_keeps_nobody_awake(home: House) -> None:
    """A page that is left open streams on, and its session goes idle all the same."""
    await home.add("ann", "nurse")
    async with home.signed_in("ann") as browser:
        home.clock.move(IDLE_S - 1)
        await _first_beat(browser)
        home.clock.move(2)
        await _first_beat(browser)
        assert slug(await browser.post("/api/v1/rooms/act")) == "sign-in-again"


async def test_who_is_disabled_is_out_at_once(tmp_path: Path) -> None:
    """Session and token, by whatever process on the file; and enabling brings neither back."""
    store = tmp_path / "store.sqlite3"
    async with house(store=store) as home:
        await home.add("ann", "nurse")
        token = await home.token("ann", "read")
        elsewhere = PeopleFile(store)
        async with home.signed_in("ann") as browser, home.visitor() as program:
            program.headers["Authorization"] = f"Bearer {token}"
            assert (await program.get("/api/v1/rooms/read")).status_code == 200
            elsewhere.set_disabled("ann", True, "test")
            assert (await browser.get("/api/v1/rooms/read")).status_code == 401
            assert (await program.get("/api/v1/rooms/read")).status_code == 401
            assert slug(await sign_in(browser, "ann")) == "wrong-password"
            elsewhere.set_disabled("ann", False, "test")
            assert (await browser.get("/api/v1/rooms/read")).status_code == 401
            assert (await program.get("/api/v1/rooms/read")).status_code == 401
            assert (await sign_in(browser, "ann")).status_code == 204
        elsewhere.close()


async def test_an_open_stream_ends_with_its_session() -> None:
    """As soon as it is asked again whether it still holds, and so do those of tokens."""
    async with house(recheck_s=0.2) as home:
        await home.add("ann", "nurse")
        token = await home.token("ann", "read")
        async with home.signed_in("ann") as browser, home.visitor() as program:
            program.headers["Authorization"] = f"Bearer {token}"
            for client in (browser, program):
                client.headers["Accept"] = "text/event-stream"
            async with (
                asyncio.timeout(WAIT_S),
                browser.stream("GET", "/api/v1/stream") as first,
                program.stream("GET", "/api/v1/stream") as second,
            ):
                streams = [first.aiter_bytes(), second.aiter_bytes()]
                for stream in streams:
                    # Long enough to be asked again, and to go on.
                    for _ in range(8):
                        assert b"beat" in await anext(stream)
                await home.people.set_disabled("ann", True, "test")
                for stream in streams:
                    async for chunk in stream:
                        assert b"beat" in chunk


async def test_tokens_expire_and_are_revoked(home: House) -> None:
    """From the instant on."""
    await home.add("ann", "nurse")
    short, long = await home.token("ann", "read", days=1), await home.token("ann", "read", days=2)

    async def status(token: str) -> int:
        async with home.visitor(authorization=f"Bearer {token}") as program:
            return (await program.get("/api/v1/rooms/read")).status_code

    home.clock.move(86_400 - 1)
    assert (await status(short), await status(long)) == (200, 200)
    home.clock.move(1)
    assert (await status(short), await status(long)) == (401, 200)
    await home.people.revoke(long.split("_")[1], "test")
    assert await status(long) == 401
    # Another secret under the right id.
    third = await home.token("ann", "read")
    assert await status(third[:-1] + ("A" if third[-1] != "A" else "B")) == 401


# --- writes from elsewhere -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "https://{host}"},
        {"Origin": "http://{host}.evil.example"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://{host}", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
    ],
)
async def test_a_write_from_elsewhere_is_refused(home: House, headers: dict[str, str]) -> None:
    """With the cookie, and without: signing somebody in is a write too."""
    await home.add("ann", "nurse")
    host = home.url.removeprefix("http://")
    named = {name: value.format(host=host) for name, value in headers.items()}
    async with home.signed_in("ann") as browser:
        cookie = f"{COOKIE}={_cookie(browser)}"
    async with home.visitor() as attacker:
        attacker.headers.update(named)
        for path in ("/api/v1/rooms/act", "/api/v1/session", "/sign-in/link/x", "/api/v1/echo"):
            response = await attacker.post(path, headers={"Cookie": cookie}, json={})
            assert (response.status_code, slug(response)) == (403, "foreign-origin")
        response = await attacker.delete("/api/v1/session", headers={"Cookie": cookie})
        assert slug(response) == "foreign-origin"
        assert slug(await sign_in(attacker, "ann")) == "foreign-origin"
    assert [row.what for row in await home.people.audit()] == ["signed-in", "added"]


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://{host}"}, {"Sec-Fetch-Site": "same-origin"}]
)
async def test_a_write_from_the_page_is_taken(home: House, headers: dict[str, str]) -> None:
    """By either of the two signs."""
    await home.add("ann", "nurse")
    async with home.visitor() as browser:
        host = home.url.removeprefix("http://")
        browser.headers.update({name: value.format(host=host) for name, value in headers.items()})
        assert (await sign_in(browser, "ann")).status_code == 204
        assert (await browser.post("/api/v1/rooms/act")).status_code == 200


# --- hosts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "10.0.0.1",
        "",
        "a b",
        "[::1",
    ],
)
async def test_a_name_that_points_here_is_not_ours(home: House, host: str) -> None:
    """DNS rebinding: a page of another name reads nothing, not even with the victim's cookie."""
    await home.add("ann", "nurse")
    async with home.signed_in("ann") as browser:
        for path in ("/", "/api/v1/me", "/sign-in", "/health/live"):
            response = await browser.get(path, headers={"Host": host})
            assert response.status_code in (400, 421)
            assert "ann" not in response.text
        response = await browser.post(
            "/api/v1/rooms/act", headers={"Host": host, "Origin": f"http://{host}"}
        )
        assert response.status_code in (400, 421)


@pytest.mark.parametrize(
    "host", ["localhost:1", "127.0.0.1:1", "[::1]:1", "LOCALHOST", "localhost."]
)
async def test_the_names_of_loopback_are_ours(home: House, host: str) -> None:
    """On any port: a tunnel may lead here from another one."""
    async with home.visitor(host=host) as visitor:
        assert (await visitor.get("/sign-in")).status_code == 200


def test_other_names_are_those_that_were_given() -> None:
    """And beyond loopback every plain address, which no DNS can move."""
    loopback = GuardSettings(hosts=frozenset({"Ward.Example"}))
    assert is_ours("ward.example", loopback)
    assert not is_ours("example", loopback)
    assert not is_ours("192.0.2.1", loopback)
    beyond = GuardSettings(is_loopback=False)
    assert is_ours("192.0.2.1", beyond)
    assert is_ours("2001:db8::1", beyond)
    assert not is_ours("ward.example", beyond)
    assert is_ours("192.0.2.1", GuardSettings(behind_proxy=True))


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("Ward.example:80", "ward.example"),
        ("[0:0::1]:80", "::1"),
        ("a:", "a"),
        ("a:b", None),
        ("a:1:2", None),
        ("[::1", None),
        ("[x]", None),
        ("::1", None),
        ("é", None),
        ("a/b", None),
        ("a@b", None),
        ("", None),
    ],
)
def test_hosts_are_read(host: str, name: str | None) -> None:
    """As a Host header has them."""
    assert host_name(host) == name


def test_an_origin_is_compared_whole() -> None:
    """Scheme, name and port."""
    caller = Caller("", "ward.example", True, "https://ward.example:8443")
    check_origin(Headers({"origin": "https://Ward.example:8443"}), caller)
    for other in ("https://ward.example", "http://ward.example:8443", "https://ward.example:84430"):
        with pytest.raises(Problem, match="a write must come from https://ward"):
            check_origin(Headers({"origin": other}), caller)


# --- bodies and headers --------------------------------------------------------------------------


async def test_bodies_are_small_json(home: House) -> None:
    """By what is declared, and by what comes; nothing is asked of a write without a body."""
    await home.add("ann", "nurse")
    async with home.signed_in("ann") as browser:
        kind = {"Content-Type": "application/json; charset=utf-8"}
        full = b"[" + b" " * (BODY_MAX - 2) + b"]"
        response = await browser.post("/api/v1/echo", content=full, headers=kind)
        assert response.content == full
        response = await browser.post("/api/v1/echo", content=full + b" ", headers=kind)
        assert (response.status_code, slug(response)) == (413, "too-large")

        async def parts() -> AsyncIterator[bytes]:
            for _ in range(BODY_MAX // 1_024 + 1):
                yield b" " * 1_024

        response = await browser.post("/api/v1/echo", content=parts(), headers=kind)
        assert (response.status_code, slug(response)) == (413, "too-large")
        for content_type in (
            "text/plain",
            "application/x-www-form-urlencoded",
            "",
            "application/jsonx",
        ):
            response = await browser.post(
                "/api/v1/echo", content=b"{}", headers={"Content-Type": content_type}
            )
            assert (response.status_code, slug(response)) == (415, "not-json")
        assert (await browser.delete("/api/v1/echo")).content == b""


async def test_every_answer_has_the_headers(home: House) -> None:
    """Pages, problems, redirects, files; only files may be kept."""
    await home.add("ann", "nurse")
    async with home.signed_in("ann") as browser, home.visitor() as visitor:
        answers = [
            await browser.get("/"),
            await browser.get("/nothing"),
            await browser.get("/api/v1/rooms/people"),
            await browser.post("/api/v1/rooms/act", headers={"Origin": "http://evil.example"}),
            await visitor.get("/"),
            await visitor.get("/api/v1/me"),
            await visitor.get("/", headers={"Host": "evil.example"}),
            await visitor.get("/sign-in"),
            await visitor.get("/static/sign-in.css"),
        ]
    for answer in answers:
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, answer.url
        is_file = answer.url.path.startswith("/static/")
        assert answer.headers.get("cache-control") == (None if is_file else "no-store")
        assert "strict-transport-security" not in answer.headers
        assert "server" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/static/../sign_in.py",
        "/static/%2e%2e/sign_in.py",
        "/static/..%2fsign_in.py",
        "/static/....//sign_in.py",
        "/static/..\\sign_in.py",
        "/static/%252e%252e/sign_in.py",
        "/static//etc/passwd",
        "/static/sign-in.js%00.css",
        "/static/",
    ],
)
async def test_nothing_beside_the_static_files_is_given(home: House, path: str) -> None:
    """Raw on the socket, because a client would tidy the path up."""
    host, port = home.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), WAIT_S)
    writer.close()
    await writer.wait_closed()
    status = int(answer.split()[1])
    assert status in (303, 400, 404), answer
    assert b"import" not in answer
    assert b"root:" not in answer


async def test_a_body_that_does_not_come_is_given_up() -> None:
    """So that nobody holds a connection by sending half of it."""
    async with house(body_wait_s=0.1) as home:
        host, port = home.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        lines = ["POST /api/v1/session HTTP/1.1", f"Host: {host}:{port}", f"Origin: {home.url}"]
        lines += ["Content-Type: application/json", "Content-Length: 10", "", "{"]
        writer.write("\r\n".join(lines).encode())
        answer = await asyncio.wait_for(reader.readuntil(b"}"), WAIT_S)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"/problems/too-slow" in answer
        writer.close()
        await writer.wait_closed()


async def _first_beat(browser: httpx.AsyncClient) -> None:
    headers = {"Accept": "text/event-stream"}
    async with browser.stream("GET", "/api/v1/stream", headers=headers) as stream:
        assert stream.status_code == 200
        assert b"beat" in await anext(stream.aiter_bytes())


def _cookie(browser: httpx.AsyncClient) -> str:
    """The session cookie that the server set, whatever else was planted."""
    values = [
        cookie.value for cookie in browser.cookies.jar if cookie.name == COOKIE and cookie.domain
    ]
    assert values
    assert values[-1]
    return values[-1]
