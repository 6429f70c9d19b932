"""People in their file, off the event loop: what is bounded, what is written down, what is told by
the time that an answer takes."""

import asyncio
import sqlite3
import statistics
import time
from pathlib import Path

import argon2
import pytest
from inline_snapshot import snapshot

from infusion.errors import ConfigError, StoreError
from monitor import people_store
from monitor.people import Person
from monitor.people_file import (
    LINKS_MAX,
    SESSIONS_EACH_MAX,
    USERS_MAX,
    PeopleFile,
)
from monitor.people_store import Passwords, People, Refusal, Session
from monitor.people_tokens import TOKENS_EACH_MAX
from tests.monitor.web.house import PASSWORD, WEAK, Clock


def people(path: Path | None = None, clock: Clock | None = None) -> People:
    """People with weak hashes."""
    return People(path, now_ms=clock or Clock(), hasher=WEAK)


async def session(found: People, name: str = "ann", address: str = "10.0.0.1") -> Session:
    """Sign somebody in."""
    result = await found.sign_in(name, PASSWORD, address)
    assert isinstance(result, Session)
    return result


async def test_people_are_kept(tmp_path: Path) -> None:
    """Users, sessions and tokens outlive the process."""
    path, clock = tmp_path / "store.sqlite3", Clock()
    async with people(path, clock) as first:
        await first.add("ann", ["nurse"], PASSWORD, "test")
        secret = (await session(first)).secret
        text, _ = await first.issue_token("ann", ["read"], 1, "test")
    async with people(path, clock) as second:
        person = await second.of_session(secret)
        assert person is not None
        assert person.name == "ann"
        assert person.roles == {"nurse"}
        assert await second.of_token(text) is not None
    async with people() as elsewhere:
        assert await elsewhere.users() == []


async def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """No database, a folder that is not there, a part of a newer version."""
    path = tmp_path / "store.sqlite3"
    path.write_bytes(b"x" * 4_096)
    for bad in (path, tmp_path / "none" / "store.sqlite3"):
        with pytest.raises(StoreError, match=str(bad)):
            PeopleFile(bad)
    newer = tmp_path / "newer.sqlite3"
    PeopleFile(newer).close()
    with sqlite3.connect(newer) as database:
        database.execute("UPDATE part SET version = 9")
    database.close()
    with pytest.raises(StoreError, match="'people' was made by a newer version"):
        PeopleFile(newer)


async def test_while_another_process_writes(tmp_path: Path) -> None:
    """A commit of the monitor's is waited for."""
    path = tmp_path / "store.sqlite3"
    async with people(path) as found:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        adding = asyncio.create_task(found.add("ann", ["nurse"], PASSWORD, "test"))
        assert not (await asyncio.wait([adding], timeout=0.2))[0]
        other.execute("COMMIT")
        other.close()
        assert (await adding).name == "ann"


async def test_each_has_so_many_sessions_and_tokens(tmp_path: Path) -> None:
    """The session that was longest not used goes; a further token is refused."""
    clock = Clock()
    async with people(None, clock) as found:
        await found.add("ann", ["nurse"], PASSWORD, "test")
        secrets = []
        for _ in range(SESSIONS_EACH_MAX + 1):
            clock.move(1)
            secrets.append((await session(found)).secret)
        held = [await found.of_session(secret) is not None for secret in secrets]
        assert held == [False] + [True] * SESSIONS_EACH_MAX
        for _ in range(TOKENS_EACH_MAX):
            await found.issue_token("ann", ["read"], 1, "test")
        with pytest.raises(ConfigError, match="has 20 tokens; revoke one first"):
            await found.issue_token("ann", ["read"], 1, "test")
        clock.move(86_400)
        await found.issue_token("ann", ["read"], 1, "test")
        assert len(await found.tokens("ann")) == 1
        links = [await found.make_link("demo", ["nurse"]) for _ in range(LINKS_MAX + 1)]
        assert sum([await found.is_link(link) for link in links]) == LINKS_MAX


async def test_so_many_users_and_no_more() -> None:
    """The limit says so."""
    file = PeopleFile(None)
    for number in range(USERS_MAX):
        file.add(f"n{number}", frozenset({"viewer"}), "hash", "test")
    with pytest.raises(ConfigError, match="there are 1000 users already"):
        file.add("another", frozenset({"viewer"}), "hash", "test")
    file.close()


async def test_roles_hold_as_they_are_now(tmp_path: Path) -> None:
    """A token does no more than its owner does today, and a role that is no more is none."""
    path = tmp_path / "store.sqlite3"
    async with people(path) as found:
        await found.add("ann", ["nurse"], PASSWORD, "test")
        secret = (await session(found)).secret
        text, _ = await found.issue_token("ann", ["read", "act"], 1, "test")
        elsewhere = PeopleFile(path)
        assert elsewhere.set_roles("ANN", frozenset({"viewer"}), "test").roles == ["viewer"]
        # As a newer version might write, which has more roles.
        with elsewhere.writing() as database:
            database.execute("UPDATE users SET roles = 'viewer wizard'")
        elsewhere.close()
        for person in (await found.of_session(secret), await found.of_token(text)):
            assert person is not None
            assert person.roles == {"viewer"}
            assert "act" not in person.rights


async def test_what_is_done_is_written_down(tmp_path: Path) -> None:
    """Who, to whom, from where; a name that is nobody's is not, for it may be a password."""
    async with people() as found:
        await found.add("ann", ["nurse"], PASSWORD, "root", address="10.0.0.9")
        await found.sign_in("ann", "wrong", "10.0.0.1")
        await found.sign_in(PASSWORD, "", "10.0.0.2")
        signed = await session(found)
        text, token = await found.issue_token("ann", ["read"], 3, "ann", address="10.0.0.1")
        await found.revoke(token.id, "ann", owner="ann", address="10.0.0.1")
        await found.sign_out(signed.person, "10.0.0.1")
        await found.set_password("ann", PASSWORD, "root")
        await found.set_disabled("ann", True, "root", address="10.0.0.9")
        rows = [(r.what, r.name, r.by, r.address, r.detail) for r in await found.audit()][::-1]
        assert rows == [
            ("added", "ann", "root", "10.0.0.9", "roles nurse"),
            ("refused", "ann", "", "10.0.0.1", "name or password wrong"),
            ("refused", "", "", "10.0.0.2", "name or password wrong"),
            ("signed-in", "ann", "ann", "10.0.0.1", ""),
            ("token-issued", "ann", "ann", "10.0.0.1", f"{token.id}, scopes read, 3 days"),
            ("token-revoked", "ann", "ann", "10.0.0.1", token.id),
            ("signed-out", "ann", "ann", "10.0.0.1", ""),
            ("password-set", "ann", "root", "", ""),
            ("disabled", "ann", "root", "10.0.0.9", "0 sessions and 0 tokens ended"),
        ]
        assert text.split("_", 2)[2] not in str(rows)
        newest = await found.audit(limit=1)
        older = await found.audit(before=newest[0].number, limit=1)
        assert (newest[0].what, older[0].what) == ("disabled", "password-set")


async def test_tries_that_come_too_early_are_written_down_together() -> None:
    """A flood of them is no flood of commits."""
    clock = Clock()
    async with people(None, clock) as found:
        for _ in range(105):
            await found.sign_in("ann", "wrong", "10.0.0.1")
        clock.move(0.5)
        await found.sign_in("ann", "wrong", "10.0.0.1")
        assert found.early == 101

        async def early() -> list[str]:
            return [row.detail for row in await found.audit() if "wait was over" in row.detail]

        assert await early() == ["a try before its wait was over"]
        clock.move(10)
        for _ in range(2):
            await found.sign_in("ann", "wrong", "10.0.0.1")
        assert (await early())[0] == snapshot(
            "a try before its wait was over (101 such since the last row)"
        )


async def test_a_hash_with_other_parameters_is_renewed(tmp_path: Path) -> None:
    """At the next sign-in, when the password is known."""
    path = tmp_path / "store.sqlite3"
    old = argon2.PasswordHasher(time_cost=2, memory_cost=8, parallelism=1)
    async with People(path, hasher=old) as found:
        await found.add("ann", ["nurse"], PASSWORD, "test")
    async with people(path) as found:
        await session(found)
        await session(found)
    file = PeopleFile(path)
    row = file.password_of("ann")
    file.close()
    assert row is not None
    assert "t=1" in row[1]


def test_passwords_are_argon2id_as_strong_as_the_library_says() -> None:
    """64 MiB and three passes, on one core: the monitor has the others."""
    hashed = Passwords().hash(PASSWORD, "ann")
    found = argon2.extract_parameters(hashed)
    assert found.type is argon2.Type.ID
    assert found.memory_cost >= 64 * 1_024
    assert found.time_cost >= 3
    assert found.parallelism == 1
    passwords = Passwords(WEAK)
    assert passwords.is_right("zwölf Zeichen", passwords.hash("zwo\u0308lf Zeichen", "ann"))
    assert not passwords.is_right(PASSWORD, None)
    with pytest.raises(StoreError, match="hash of a password cannot be used"):
        passwords.is_right(PASSWORD, "no hash")


async def test_the_time_of_a_refusal_tells_nothing() -> None:
    """The median of a refusal of nobody and of a wrong password differ by less than half.

    Without the work that is done for nobody they would differ by a factor of ten and more.
    """
    clock = Clock()
    hasher = argon2.PasswordHasher(time_cost=2, memory_cost=16 * 1_024, parallelism=1)
    async with People(None, now_ms=clock, hasher=hasher) as found:
        await found.add("ann", ["nurse"], PASSWORD, "test")
        await found.add("bob", ["nurse"], PASSWORD, "test")
        await found.set_disabled("bob", True, "test")
        took: dict[str, list[float]] = {"ann": [], "bob": [], "nobody": []}
        for number in range(15):
            for name, times in took.items():
                clock.move(3_600)
                begun = time.perf_counter()
                refused = await found.sign_in(name, "wrong", f"10.0.0.{number}")
                times.append(time.perf_counter() - begun)
                assert refused == Refusal("wrong")
    # The shortest is what the work takes; the rest is what else the machine does.
    shortest = [min(times) for times in took.values()]
    assert max(shortest) < 1.5 * min(shortest), {k: statistics.median(v) for k, v in took.items()}


async def test_the_event_loop_goes_on_while_passwords_are_hashed() -> None:
    """And what waits for it is bounded: more are told to come again."""
    hasher = argon2.PasswordHasher(time_cost=4, memory_cost=32 * 1_024, parallelism=1)
    async with People(None, hasher=hasher) as found:
        await found.add("ann", ["nurse"], PASSWORD, "test")
        longest, last, is_over = 0.0, time.perf_counter(), False

        async def watch() -> None:
            nonlocal longest, last
            while not is_over:
                await asyncio.sleep(0.001)
                now = time.perf_counter()
                longest, last = max(longest, now - last), now

        watching = asyncio.create_task(watch())
        begun = time.perf_counter()
        tries = [found.sign_in(f"n{n}", "wrong", f"10.0.{n}.1") for n in range(60)]
        results = await asyncio.gather(*tries)
        took = time.perf_counter() - begun
        is_over = True
        await watching
    whys = [result.why for result in results if isinstance(result, Refusal)]
    assert len(whys) == 60
    assert whys.count("wrong") == people_store.WAITING_MAX
    assert whys.count("busy") == 60 - people_store.WAITING_MAX
    assert longest < took / 2


async def test_a_person_of_no_session_signs_out_nobody() -> None:
    """Signing out ends the session that it comes from and no other."""
    async with people() as found:
        await found.add("ann", ["nurse"], PASSWORD, "test")
        first, second = await session(found), await session(found)
        await found.sign_out(Person("ann", frozenset({"nurse"}), "session"), "")
        await found.sign_out(first.person, "")
        assert await found.of_session(first.secret) is None
        assert await found.of_session(second.secret) is not None
