"""People for the page and the API: everything that `monitor/people_file.py` does, off the event
loop, with passwords checked and tries slowed down.

The file has one thread. Passwords have another, and one only: argon2id takes tens of MiB and a
core for a while, on purpose, and the monitor needs the rest of both. What waits for it is bounded.

The same work is done for a name that nobody has as for a wrong password, so that the time of a
refusal does not tell which names there are.
"""

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, Self, TypeVar

import argon2
from msgspec import Struct

from infusion.errors import ConfigError, StoreError
from infusion.units import MS_PER_SECOND
from monitor.people import (
    LINK_MINUTES,
    PASSWORD_MAX,
    RESET_MINUTES,
    Person,
    Role,
    Throttle,
    check_password,
    digest,
    normal,
    read_name,
    read_roles,
    succeeded,
    tried,
    wait_ms,
)
from monitor.people_file import PeopleFile
from monitor.people_tables import PEOPLE_TABLES, PeopleAudit, Session, Token, User, wall_ms

__all__ = ["PEOPLE_TABLES", "Passwords", "People", "Refusal", "Session", "Token", "User"]

T = TypeVar("T")

# Passwords that may wait to be looked at, about two seconds of work.
WAITING_MAX = 16
BUSY_WAIT_MS = 2 * MS_PER_SECOND
TOGETHER_MS = 10 * MS_PER_SECOND


class Refusal(Struct, frozen=True):
    """Why nobody was signed in. `wait_ms` is how long to wait before a try is looked at."""

    why: Literal["wrong", "too-early", "busy"]
    wait_ms: int = 0


def default_hasher() -> argon2.PasswordHasher:
    """Three passes over 64 MiB, as in RFC 9106's second choice [V2], but in one lane instead of
    four [A]: a sign-in may take one core, and the monitor has the others."""
    return argon2.PasswordHasher(time_cost=3, memory_cost=64 * 1_024, parallelism=1)


class Passwords:
    """argon2id by the reference library."""

    def __init__(self, hasher: argon2.PasswordHasher | None = None) -> None:
        self._hasher = hasher if hasher is not None else default_hasher()
        # Checked where there is no hash to check, for the time that it takes.
        self._nobody = self._hasher.hash("nobody has this password")

    def hash(self, password: str, name: str) -> str:
        """The hash of a new password. Raises ConfigError for one that is not good enough."""
        check_password(password, name)
        return self._hasher.hash(normal(password))

    def is_right(self, password: str, stored: str | None) -> bool:
        """Whether it is the password of a hash; never without one. Raises StoreError."""
        try:
            self._hasher.verify(stored if stored is not None else self._nobody, normal(password))
        except argon2.exceptions.VerifyMismatchError:
            return False
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError) as error:
            raise StoreError(f"store: the hash of a password cannot be used: {error}") from None
        return stored is not None

    def renewed(self, password: str, stored: str) -> str | None:
        """A hash with the parameters of today where the stored one has others."""
        if not self._hasher.check_needs_rehash(stored):
            return None
        return self._hasher.hash(normal(password))


class People:
    """Who may do what, on a monitor's file; `path` None keeps them in memory.

    Used as an async context manager. Raises StoreError throughout, and ConfigError for what its
    caller can mend.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        now_ms: Callable[[], int] = wall_ms,
        hasher: argon2.PasswordHasher | None = None,
    ) -> None:
        self._path = path
        self._now_ms = now_ms
        self._hasher = hasher
        self._throttle = Throttle()
        self._file_thread = ThreadPoolExecutor(1, thread_name_prefix="people")
        self._hash_thread = ThreadPoolExecutor(1, thread_name_prefix="passwords")
        self._waiting = 0
        # Tries that came too early.
        self.early = 0
        # By kind: refusals that are not yet written down, and when some were (`note_refused`).
        self._unsaid: dict[str, tuple[int, int]] = {}
        self._file: PeopleFile
        self._passwords: Passwords

    async def __aenter__(self) -> Self:
        self._file = await self._run(lambda: PeopleFile(self._path, now_ms=self._now_ms))
        self._passwords = await self._hashed(lambda: Passwords(self._hasher))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._run(self._file.close)
        self._hash_thread.shutdown()
        self._file_thread.shutdown()

    # --- signing in ------------------------------------------------------------------------------

    async def sign_in(
        self, name: str, password: str, address: str, *, old: str | None = None
    ) -> Session | Refusal:
        """Sign somebody in from an address; `old` is the secret of the session that ends by it."""
        found = await self._checked(name, password, address, "name or password wrong")
        if isinstance(found, Refusal):
            return found
        try:
            return await self._run(lambda: self._file.begin(found, address, old=old))
        except ConfigError:
            # Disabled while the password was looked at.
            return Refusal("wrong")

    async def change_password(
        self, person: Person, password: str, new: str, address: str
    ) -> Refusal | None:
        """Change one's own password by giving the old one; all other sessions end.

        Raises ConfigError for a new one that is not good enough.
        """
        check_password(new, person.name)
        found = await self._checked(person.name, password, address, "old password wrong")
        if isinstance(found, Refusal):
            return found
        await self.set_password(
            person.name, new, person.name, address=address, keep=person.credential
        )
        return None

    async def _checked(self, name: str, password: str, address: str, wrong: str) -> str | Refusal:
        """The name as it is written if the password is right. Every try is counted, as failed,
        before anything is awaited: many at once get no further than one after the other."""
        key, now = name.casefold(), self._now_ms()
        wait = wait_ms(self._throttle, key, address, now)
        if wait > 0:
            self.early += 1
            await self.note_refused("early", "a try before its wait was over", address)
            return Refusal("too-early", wait)
        if self._waiting >= WAITING_MAX:
            return Refusal("busy", BUSY_WAIT_MS)
        self._throttle = tried(self._throttle, key, address, now)
        self._waiting += 1
        try:
            found = await self._right_name(name, password)
        finally:
            self._waiting -= 1
        if found is None:
            await self._refuse(name, address, wrong)
            return Refusal("wrong")
        self._throttle = succeeded(self._throttle, key, address, self._now_ms())
        return found

    async def _right_name(self, name: str, password: str) -> str | None:
        """The name as it is written, if the password is right; the same work if there is none."""
        if len(password) > PASSWORD_MAX:
            return None
        row = await self._run(lambda: self._file.password_of(name))
        stored = row[1] if row is not None else None
        if not await self._hashed(lambda: self._passwords.is_right(password, stored)):
            return None
        assert row is not None
        newer = await self._hashed(lambda: self._passwords.renewed(password, row[1]))
        if newer is not None:
            await self._run(lambda: self._file.rehash(row[0], newer))
        return row[0]

    async def _refuse(self, name: str, address: str, detail: str) -> None:
        """Write a refusal down; a name that is nobody's is left out, for it may be a password that
        was typed into the wrong field."""

        def work() -> None:
            user = self._file.user(name)
            self._file.say("refused", user.name if user else "", "", address, detail)

        await self._run(work)

    async def note_refused(self, kind: str, detail: str, address: str) -> None:
        """Write down a refusal of a kind that anybody can have as often as they like: the first,
        and then all of a while together, or a flood of them would be a flood of commits to the
        file that the monitor keeps its state in."""
        now = self._now_ms()
        count, said_ms = self._unsaid.get(kind, (0, 0))
        self._unsaid[kind] = (count + 1, said_ms)
        if now - said_ms >= TOGETHER_MS:
            self._unsaid[kind] = (0, now)
            if count:
                detail = f"{detail} ({count + 1} such since the last row)"
            await self._run(lambda: self._file.say("refused", "", "", address, detail))

    async def begin_external(
        self,
        name: str,
        roles: Collection[str],
        *,
        origin: str,
        subject: str,
        address: str,
        old: str | None = None,
    ) -> Session:
        """Begin a session of somebody whom an OpenID Connect issuer vouches for.

        Raises ConfigError where the name is somebody else's here, or disabled.
        """
        allowed = read_roles(roles)

        def work() -> Session:
            found = self._file.external(name, allowed, origin, subject)
            return self._file.begin(found, address, old=old)

        return await self._run(work)

    async def make_link(
        self, name: str, roles: Collection[Role], minutes: int = LINK_MINUTES
    ) -> str:
        """The secret of a one-time link (`monitor.web.sign_in.link_path` makes a path of it)."""
        allowed = read_roles(roles)
        return await self._run(lambda: self._file.make_link(name, allowed, minutes))

    async def is_link(self, secret: str) -> bool:
        """Whether a link would still sign in."""
        return await self._run(lambda: self._file.is_link(secret))

    async def use_link(
        self, secret: str, address: str, *, old: str | None = None
    ) -> Session | None:
        """Begin the session of a link, which is used up by it; None when it is no more."""
        return await self._run(lambda: self._file.use_link(secret, address, old=old))

    # --- who it is -------------------------------------------------------------------------------

    async def of_session(self, secret: str, *, is_use: bool = True) -> Person | None:
        """Who has a session; None when it is over. `is_use` counts as somebody using it."""
        return await self._run(lambda: self._file.session(digest(secret), is_use=is_use))

    async def of_token(self, text: str) -> Person | None:
        """Who sends a token; None when it is wrong, over or revoked."""
        return await self._run(lambda: self._file.token(text))

    async def sign_out(self, person: Person, address: str) -> None:
        """End this session."""
        await self._run(lambda: self._file.end(person, address))

    # --- looking after people --------------------------------------------------------------------

    async def users(self) -> list[User]:
        """All users, by name."""
        return await self._run(self._file.users)

    async def add(
        self, name: str, roles: Collection[str], password: str, by: str, *, address: str = ""
    ) -> User:
        """Add a user with a password."""
        allowed = read_roles(roles)
        read_name(name)
        hashed = await self._new_hash(password, name)
        await self._run(lambda: self._file.add(name, allowed, hashed, by, address=address))
        user = await self._run(lambda: self._file.user(name))
        assert user is not None
        return user

    async def set_disabled(
        self, name: str, is_disabled: bool, by: str, *, address: str = ""
    ) -> User:
        """Disable a user, who loses sessions and tokens by it, or enable one."""
        return await self._run(
            lambda: self._file.set_disabled(name, is_disabled, by, address=address)
        )

    async def set_password(
        self, name: str, password: str, by: str, *, address: str = "", keep: bytes = b""
    ) -> None:
        """Set a user's password; all sessions end but `keep`."""
        hashed = await self._new_hash(password, name)
        await self._run(
            lambda: self._file.set_password(name, hashed, by, address=address, keep=keep)
        )

    async def begin_reset(self, name: str, by: str, address: str) -> tuple[str, int]:
        """Somebody else's password is over: the secret of a link that sets a new one, and until
        when (Unix ms)."""
        return await self._run(lambda: self._file.begin_reset(name, by, RESET_MINUTES, address))

    async def reset_of(self, secret: str) -> str | None:
        """Whose new password a link would set; None when it is no more."""
        return await self._run(lambda: self._file.reset_of(secret))

    async def end_reset(
        self, secret: str, password: str, address: str, *, old: str | None = None
    ) -> Session | None:
        """Set a new password by a link and sign in with it; None when the link is no more."""
        name = await self.reset_of(secret)
        if name is None:
            return None
        hashed = await self._new_hash(password, name)

        def work() -> Session | None:
            if self._file.end_reset(secret, hashed, address) is None:
                return None
            return self._file.begin(name, address, old=old)

        return await self._run(work)

    async def issue_token(
        self,
        name: str,
        scopes: Collection[str],
        days: int,
        by: str,
        *,
        note: str = "",
        address: str = "",
    ) -> tuple[str, Token]:
        """A new token: its text, which nobody can look up later, and its row."""
        return await self._run(
            lambda: self._file.issue_token(name, scopes, days, by, note=note, address=address)
        )

    async def tokens(self, name: str) -> list[Token]:
        """Somebody's tokens that are not over, oldest first."""
        return await self._run(lambda: self._file.tokens(name))

    async def revoke(
        self, number: str, by: str, *, owner: str | None = None, address: str = ""
    ) -> None:
        """Revoke a token by its id, with `owner` only one of theirs."""
        await self._run(lambda: self._file.revoke(number, by, owner=owner, address=address))

    async def audit(self, *, before: int | None = None, limit: int = 100) -> list[PeopleAudit]:
        """What was done about people, newest first."""
        return await self._run(lambda: self._file.audit(before=before, limit=limit))

    # --- threads ---------------------------------------------------------------------------------

    async def _new_hash(self, password: str, name: str) -> str:
        return await self._hashed(lambda: self._passwords.hash(password, name))

    async def _hashed(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._hash_thread, work)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._file_thread, work)
