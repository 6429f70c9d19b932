"""People in the monitor's SQLite file: users, sessions, tokens, one-time links.

Of every secret that was drawn by chance only the digest is kept, of a password its argon2id hash
(made in monitor/people_store.py). Roles are read from the user's row at each request, so a change
holds at once, and a user who is disabled has neither session nor token from that commit on, in
every process on the file.
"""

import secrets
import sqlite3

from infusion.errors import ConfigError
from infusion.units import MS_PER_MINUTE
from monitor.people import (
    IDLE_MS,
    LINK_MINUTES_MAX,
    SESSION_MS,
    How,
    Person,
    Role,
    digest,
    read_name,
)
from monitor.people_tables import (
    Session,
    User,
    to_roles,
    to_words,
)
from monitor.people_tokens import TOUCH_MS, TokenTable

USERS_MAX = 1_000
# Of more, the ones that were longest not used end.
SESSIONS_EACH_MAX = 10
LINKS_MAX = 100


class PeopleFile(TokenTable):
    """All that is asked of the tables. Every call blocks.

    A refusal that its caller can mend is a ConfigError, whatever the file refuses a StoreError.
    """

    # --- users -----------------------------------------------------------------------------------

    def users(self) -> list[User]:
        """All users, by name."""
        with self.reading() as database:
            rows = database.execute(
                "SELECT name, roles, created_ms, origin, disabled_ms, signed_in_ms FROM users"
                " ORDER BY name"
            ).fetchall()
        return [User(row[0], to_roles(row[1]), *row[2:]) for row in rows]

    def user(self, name: str) -> User | None:
        """One user, by a name in any case."""
        return next((user for user in self.users() if user.name.lower() == name.lower()), None)

    def password_of(self, name: str) -> tuple[str, str] | None:
        """The name as it is written, and the hash, of a user who may sign in by a password."""
        with self.reading() as database:
            row = database.execute(
                "SELECT name, password FROM users WHERE name = ? AND password IS NOT NULL"
                " AND disabled_ms IS NULL",
                (name,),
            ).fetchone()
        return (row[0], row[1]) if row else None

    def add(
        self,
        name: str,
        roles: frozenset[Role],
        password: str | None,
        by: str,
        *,
        origin: str = "",
        subject: str = "",
        address: str = "",
    ) -> None:
        """Add a user; sessions that a one-time link gave to the same name end.

        `password` is a hash. Raises ConfigError where there is one of that name.
        """
        read_name(name)
        with self.writing() as database:
            (count,) = database.execute("SELECT COUNT(*) FROM users").fetchone()
            if count >= USERS_MAX:
                raise ConfigError(f"there are {count} users already; no more are kept")
            try:
                database.execute(
                    "INSERT INTO users (name, roles, password, origin, subject, created_ms)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    (name, to_words(roles), password, origin, subject, self.now_ms()),
                )
            except sqlite3.IntegrityError:
                raise ConfigError(f"there is a user {name!r} already; give another name") from None
            self._end_sessions(database, name)
            self.note(database, "added", name, by, address, f"roles {to_words(roles)}")

    def set_disabled(self, name: str, is_disabled: bool, by: str, address: str = "") -> User:
        """Disable a user, who loses all sessions and tokens with it, or enable one again.

        Raises ConfigError where there is no such user.
        """
        with self.writing() as database:
            found = self.written(database, name)
            when = self.now_ms() if is_disabled else None
            database.execute("UPDATE users SET disabled_ms = ? WHERE name = ?", (when, found))
            detail = ""
            if is_disabled:
                sessions = self._end_sessions(database, found)
                tokens = database.execute("DELETE FROM tokens WHERE name = ?", (found,)).rowcount
                detail = f"{sessions} sessions and {tokens} tokens ended"
            what = "disabled" if is_disabled else "enabled"
            self.note(database, what, found, by, address, detail)
        user = self.user(found)
        assert user is not None
        return user

    def set_roles(self, name: str, roles: frozenset[Role], by: str) -> User:
        """Give a user other roles, from the next request on. Raises ConfigError for no such one."""
        with self.writing() as database:
            found = self.written(database, name)
            words = to_words(roles)
            database.execute("UPDATE users SET roles = ? WHERE name = ?", (words, found))
            self.note(database, "roles-set", found, by, "", f"roles {words}")
        user = self.user(found)
        assert user is not None
        return user

    def set_password(
        self, name: str, password: str, by: str, *, address: str = "", keep: bytes = b""
    ) -> None:
        """Set a user's hash. All sessions end but `keep`. Raises ConfigError for no such user."""
        with self.writing() as database:
            found = self.written(database, name)
            database.execute("UPDATE users SET password = ? WHERE name = ?", (password, found))
            database.execute("DELETE FROM sessions WHERE name = ? AND id != ?", (found, keep))
            self.note(database, "password-set", found, by, address, "")

    def rehash(self, name: str, password: str) -> None:
        """The same password hashed with newer parameters."""
        with self.writing() as database:
            database.execute("UPDATE users SET password = ? WHERE name = ?", (password, name))

    def external(self, name: str, roles: frozenset[Role], origin: str, subject: str) -> str:
        """The user whom an issuer vouches for, made or brought up to date; the name as written.

        Raises ConfigError where the name is somebody else's, or disabled.
        """
        with self.reading() as database:
            row = database.execute(
                "SELECT name, origin, subject, disabled_ms FROM users WHERE name = ?", (name,)
            ).fetchone()
        if row is None:
            self.add(name, roles, None, origin, origin=origin, subject=subject)
            return name
        if (row[1], row[2]) != (origin, subject):
            raise ConfigError(f"the name {name!r} belongs to another user of this monitor")
        if row[3] is not None:
            raise ConfigError(f"the user {row[0]} is disabled; an administrator can enable it")
        with self.writing() as database:
            database.execute("UPDATE users SET roles = ? WHERE name = ?", (to_words(roles), row[0]))
        return str(row[0])

    # --- sessions --------------------------------------------------------------------------------

    def begin(self, name: str, address: str, *, old: str | None = None) -> Session:
        """Begin a session of a user; the one that the browser had before ends, with its id.

        Raises ConfigError for somebody who is no user, or disabled by now.
        """
        with self.writing() as database:
            found = self.written(database, name)
            row = database.execute(
                "SELECT roles, disabled_ms FROM users WHERE name = ?", (found,)
            ).fetchone()
            if row[1] is not None:
                raise ConfigError(f"the user {found} is disabled; an administrator can enable it")
            now = self.now_ms()
            database.execute("UPDATE users SET signed_in_ms = ? WHERE name = ?", (now, found))
            session = self._begin(database, found, frozenset(to_roles(row[0])), "session", old)
            self.note(database, "signed-in", found, found, address, "")
        return session

    def _begin(
        self,
        database: sqlite3.Connection,
        name: str,
        roles: frozenset[Role],
        how: How,
        old: str | None,
    ) -> Session:
        now = self.now_ms()
        database.execute("DELETE FROM sessions WHERE expires_ms <= ?", (now,))
        if old is not None:
            database.execute("DELETE FROM sessions WHERE id = ?", (digest(old),))
        secret = secrets.token_urlsafe(32)
        expires = now + SESSION_MS
        database.execute(
            "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?)",
            (digest(secret), name, how, to_words(roles), now, expires),
        )
        database.execute(
            "DELETE FROM sessions WHERE name = ? AND id NOT IN (SELECT id FROM sessions"
            " WHERE name = ? ORDER BY used_ms DESC, expires_ms DESC LIMIT ?)",
            (name, name, SESSIONS_EACH_MAX),
        )
        person = Person(name, roles, how, expires_ms=expires, credential=digest(secret))
        return Session(secret, person)

    def session(self, credential: bytes, *, is_use: bool = True) -> Person | None:
        """Who has the session with this digest of its secret; None when it is over.

        `is_use` counts as somebody using it. A session that was idle too long stays so.
        """
        now = self.now_ms()
        with self.reading() as database:
            row = database.execute(
                "SELECT s.name, s.how, CASE s.how WHEN 'link' THEN s.roles ELSE u.roles END,"
                " s.used_ms, s.expires_ms FROM sessions s LEFT JOIN users u ON u.name = s.name"
                " WHERE s.id = ? AND s.expires_ms > ?"
                " AND (s.how = 'link' OR (u.name IS NOT NULL AND u.disabled_ms IS NULL))",
                (credential, now),
            ).fetchone()
        if row is None:
            return None
        name, how, roles, used_ms, expires_ms = row
        is_idle = now - used_ms >= IDLE_MS
        if is_use and not is_idle and now - used_ms >= TOUCH_MS:
            with self.writing() as database:
                database.execute("UPDATE sessions SET used_ms = ? WHERE id = ?", (now, credential))
        return Person(
            name,
            frozenset(to_roles(roles)),
            how,
            expires_ms=expires_ms,
            is_idle=is_idle,
            credential=credential,
        )

    def end(self, person: Person, address: str) -> None:
        """End one session: somebody signs out."""
        with self.writing() as database:
            database.execute("DELETE FROM sessions WHERE id = ?", (person.credential,))
            self.note(database, "signed-out", person.name, person.name, address, "")

    def _end_sessions(self, database: sqlite3.Connection, name: str) -> int:
        return database.execute("DELETE FROM sessions WHERE name = ?", (name,)).rowcount

    # --- one-time links --------------------------------------------------------------------------

    def make_link(self, name: str, roles: frozenset[Role], minutes: int) -> str:
        """The secret of a link that signs in once, as somebody who is no user.

        Raises ConfigError where a user has that name: nobody acts in another one's name.
        """
        read_name(name)
        if not 1 <= minutes <= LINK_MINUTES_MAX:
            raise ConfigError(f"a link for {minutes} minutes; give 1 to {LINK_MINUTES_MAX}")
        with self.writing() as database:
            if database.execute("SELECT 1 FROM users WHERE name = ?", (name,)).fetchone():
                raise ConfigError(f"there is a user {name!r}, who signs in by a password")
            secret, _ = self._add_link(database, name, to_words(roles), minutes)
            self.note(database, "link-made", name, "monitor", "", f"roles {to_words(roles)}")
        return secret

    def is_link(self, secret: str) -> bool:
        """Whether a link would still sign in; it is not used up by asking."""
        with self.reading() as database:
            row = database.execute(
                "SELECT 1 FROM links WHERE id = ? AND expires_ms > ? AND roles != ''",
                (digest(secret), self.now_ms()),
            ).fetchone()
        return row is not None

    def use_link(self, secret: str, address: str, *, old: str | None = None) -> Session | None:
        """Begin the session of a link, which is used up by it; None when it is no more."""
        with self.writing() as database:
            row = database.execute(
                "DELETE FROM links WHERE id = ? AND expires_ms > ? AND roles != ''"
                " RETURNING name, roles",
                (digest(secret), self.now_ms()),
            ).fetchone()
            if row is None:
                return None
            name, roles = row[0], frozenset(to_roles(row[1]))
            if database.execute("SELECT 1 FROM users WHERE name = ?", (name,)).fetchone():
                self.note(database, "refused", name, name, address, "a link in a user's name")
                return None
            session = self._begin(database, name, roles, "link", old)
            self.note(database, "signed-in", name, name, address, "by a one-time link")
        return session

    def _add_link(
        self, database: sqlite3.Connection, name: str, roles: str, minutes: int
    ) -> tuple[str, int]:
        secret = secrets.token_urlsafe(32)
        now = self.now_ms()
        expires_ms = now + minutes * MS_PER_MINUTE
        database.execute("DELETE FROM links WHERE expires_ms <= ?", (now,))
        link = (digest(secret), name, roles, expires_ms)
        database.execute("INSERT INTO links VALUES (?, ?, ?, ?)", link)
        database.execute(
            "DELETE FROM links WHERE id NOT IN"
            " (SELECT id FROM links ORDER BY expires_ms DESC LIMIT ?)",
            (LINKS_MAX,),
        )
        return secret, expires_ms

    # --- new passwords ---------------------------------------------------------------------------

    def begin_reset(self, name: str, by: str, minutes: int, address: str) -> tuple[str, int]:
        """The secret of a link by which a user sets a new password, and until when it is good.

        The old password and all sessions are over at once. A link of this kind gives no roles.
        Raises ConfigError for no such user, and for one whose password is not kept here.
        """
        with self.writing() as database:
            found = self.written(database, name)
            row = database.execute("SELECT origin FROM users WHERE name = ?", (found,)).fetchone()
            if row[0]:
                raise ConfigError(f"{found} signs in by {row[0]}, which looks after the password")
            database.execute("UPDATE users SET password = NULL WHERE name = ?", (found,))
            self._end_sessions(database, found)
            database.execute("DELETE FROM links WHERE name = ? AND roles = ''", (found,))
            made = self._add_link(database, found, "", minutes)
            self.note(database, "reset-begun", found, by, address, f"a link for {minutes} min")
        return made

    def reset_of(self, secret: str) -> str | None:
        """Whose new password a link would set; it is not used up by asking."""
        with self.reading() as database:
            row = database.execute(
                "SELECT u.name FROM links l JOIN users u ON u.name = l.name"
                " WHERE l.id = ? AND l.expires_ms > ? AND l.roles = '' AND u.disabled_ms IS NULL",
                (digest(secret), self.now_ms()),
            ).fetchone()
        return None if row is None else str(row[0])

    def end_reset(self, secret: str, password: str, address: str) -> str | None:
        """Set the hash by a link, which is used up by it; whose it is, None when it is no more."""
        with self.writing() as database:
            row = database.execute(
                "DELETE FROM links WHERE id = ? AND expires_ms > ? AND roles = '' RETURNING name",
                (digest(secret), self.now_ms()),
            ).fetchone()
            if row is None:
                return None
            name = self.written(database, row[0])
            database.execute("UPDATE users SET password = ? WHERE name = ?", (password, name))
            self._end_sessions(database, name)
            self.note(database, "password-set", name, name, address, "by a link")
        return name
