"""Tokens of programs in the monitor's SQLite file; of each only the digest of its secret is kept.

What a token may do is what its scopes and its owner's roles of today have in common, so a role that
is taken away is taken from all tokens with it.
"""

import secrets
from collections.abc import Collection

from infusion.errors import ConfigError
from infusion.units import MS_PER_DAY, MS_PER_MINUTE
from monitor.people import (
    TOKEN_DAYS_MAX,
    Person,
    digest,
    is_secret,
    read_scopes,
    read_token,
    token_text,
)
from monitor.people_tables import PeopleDatabase, Token, to_rights, to_roles, to_words

TOKENS_EACH_MAX = 20
NOTE_MAX = 80
# Using a session or a token is written down no more often than this: a commit is not free.
TOUCH_MS = MS_PER_MINUTE


class TokenTable(PeopleDatabase):
    """All that is asked of the table of tokens. Every call blocks."""

    def issue_token(
        self, name: str, scopes: Collection[str], days: int, by: str, *, note: str, address: str
    ) -> tuple[str, Token]:
        """A new token, whose text is known to nobody later, and its row.

        Raises ConfigError for scopes that its owner does not have, and days that are too many.
        """
        if not 1 <= days <= TOKEN_DAYS_MAX:
            raise ConfigError(f"a token for {days} days; give 1 to {TOKEN_DAYS_MAX}")
        if len(note) > NOTE_MAX or not note.isprintable():
            raise ConfigError(f"the note of a token is one line of at most {NOTE_MAX} characters")
        number, secret, now = secrets.token_hex(6), secrets.token_urlsafe(32), self.now_ms()
        with self.writing() as database:
            found = self.written(database, name)
            roles, disabled_ms = database.execute(
                "SELECT roles, disabled_ms FROM users WHERE name = ?", (found,)
            ).fetchone()
            if disabled_ms is not None:
                raise ConfigError(f"the user {found} is disabled; an administrator can enable it")
            allowed = read_scopes(scopes, to_roles(roles))
            database.execute("DELETE FROM tokens WHERE expires_ms <= ?", (now,))
            (count,) = database.execute(
                "SELECT COUNT(*) FROM tokens WHERE name = ?", (found,)
            ).fetchone()
            if count >= TOKENS_EACH_MAX:
                raise ConfigError(f"{found} has {count} tokens; revoke one first")
            expires = now + days * MS_PER_DAY
            database.execute(
                "INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
                (number, digest(secret), found, to_words(allowed), note, now, expires),
            )
            detail = f"{number}, scopes {to_words(allowed)}, {days} days"
            self.note(database, "token-issued", found, by, address, detail)
        row = Token(number, found, to_rights(to_words(allowed)), now, expires, note)
        return token_text(number, secret), row

    def token(self, text: str) -> Person | None:
        """Who sends this token; None when it is wrong, over, revoked, or its owner disabled."""
        parts = read_token(text)
        if parts is None:
            return None
        number, secret = parts
        now = self.now_ms()
        with self.reading() as database:
            row = database.execute(
                "SELECT t.secret, u.name, u.roles, t.scopes, t.expires_ms, t.used_ms"
                " FROM tokens t JOIN users u ON u.name = t.name"
                " WHERE t.id = ? AND t.expires_ms > ? AND u.disabled_ms IS NULL",
                (number, now),
            ).fetchone()
        if row is None or not is_secret(secret, row[0]):
            return None
        stored, name, roles, scopes, expires_ms, used_ms = row
        if used_ms is None or now - used_ms >= TOUCH_MS:
            with self.writing() as database:
                database.execute("UPDATE tokens SET used_ms = ? WHERE id = ?", (now, number))
        return Person(
            name,
            frozenset(to_roles(roles)),
            "token",
            frozenset(to_rights(scopes)),
            expires_ms,
            credential=stored,
        )

    def tokens(self, name: str) -> list[Token]:
        """Somebody's tokens that are not over, oldest first."""
        with self.reading() as database:
            rows = database.execute(
                "SELECT id, name, scopes, created_ms, expires_ms, note, used_ms FROM tokens"
                " WHERE name = ? AND expires_ms > ? ORDER BY created_ms, id",
                (name, self.now_ms()),
            ).fetchall()
        return [Token(row[0], row[1], to_rights(row[2]), *row[3:]) for row in rows]

    def revoke(self, number: str, by: str, *, owner: str | None = None, address: str = "") -> None:
        """Revoke a token by its id, with `owner` only one of theirs.

        Raises ConfigError where there is none.
        """
        with self.writing() as database:
            row = database.execute(
                "DELETE FROM tokens WHERE id = ? AND (? IS NULL OR name = ?) RETURNING name",
                (number, owner, owner),
            ).fetchone()
            if row is None:
                raise ConfigError(f"there is no token {number[:64]!r}; its id is between the two _")
            self.note(database, "token-revoked", row[0], by, address, number)
