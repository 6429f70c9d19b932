"""Who may do what, as values: roles and rights, passwords, tokens, and how tries are slowed down.

Nothing here reads a clock, a file or chance; `monitor/people_store.py` keeps people, and
`monitor/web/guard.py` stands at the door.

**Roles and rights.** A table (`RIGHTS`). Who looks after people does not act on alerts by that
alone, so that an administrator's cookie cannot silence a pump; a person may have both roles.

**Sessions.** A session ends `SESSION_MS` after it began: a shift of 12 h and its hand-over [A].
When nobody used it for `IDLE_MS`, it may still read and no longer act: a page of alerts must not go
dark because nobody touched it, and nobody may act in the name of who walked away from it [A].

**Tries.** Failed sign-ins are counted by name and by address, and each further one must wait twice
as long. Nobody is locked out for good: that would let anybody lock a nurse out of her alerts. For
the same reason an address from which a name has signed in before is counted by itself, so that
guesses from elsewhere do not slow her down (OWASP calls the like a device cookie) [A].
"""

import hashlib
import hmac
import ipaddress
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct
from msgspec.structs import replace

from infusion.errors import ConfigError
from infusion.prescription import NAME_PATTERN
from infusion.tables import nearest
from infusion.units import MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND

Role = Literal["viewer", "nurse", "pharmacist", "admin"]
Right = Literal["read", "act", "result", "report", "order", "confirm", "people", "metrics"]
How = Literal["session", "token", "link"]

ALL_ROLES: tuple[Role, ...] = get_args(Role)
ALL_RIGHTS: tuple[Right, ...] = get_args(Right)

_WATCH: frozenset[Right] = frozenset({"read", "metrics"})
_CARE: frozenset[Right] = _WATCH | {"act", "result", "report", "order", "confirm"}
RIGHTS: Mapping[Role, frozenset[Right]] = {
    "viewer": _WATCH,
    "nurse": _CARE,
    "pharmacist": _CARE,
    "admin": _WATCH | {"people"},
}
# What is left of a session that nobody used for a while.
IDLE_RIGHTS = _WATCH

IDLE_MS = 60 * MS_PER_MINUTE
SESSION_MS = 13 * MS_PER_HOUR
LINK_MINUTES = 10
LINK_MINUTES_MAX = 24 * 60
# A link by which somebody sets a new password: long enough to be sent and read. [A]
RESET_MINUTES = 60
TOKEN_DAYS = 30
TOKEN_DAYS_MAX = 366

# NIST SP 800-63B-4 asks for 15 characters where a password is all there is and 8 beside a second
# factor, takes at least 64, and forbids rules of composition [V2]. 12 is ours [A]: tries are slowed
# down here and 64 MiB of argon2id lie before each guess at a stolen file; raise it where you must.
PASSWORD_MIN = 12
PASSWORD_MAX = 128
# What a password has apart from its owner's name and from words that anybody here would try.
PASSWORD_REST_MIN = 8
PASSWORD_DIFFERENT_MIN = 5
_WORDS_OF_THE_PLACE = ("dripwatch", "heparin", "password")

PersonName = Annotated[str, Meta(pattern=NAME_PATTERN, max_length=64)]


class Person(Struct, frozen=True):
    """Somebody who is signed in, and by what. `scopes` bounds a token's rights (None: does not)."""

    name: str
    roles: frozenset[Role]
    how: How
    scopes: frozenset[Right] | None = None
    # Unix ms; when the session or token ends.
    expires_ms: int = 0
    # Nobody used the session for a while: it only reads.
    is_idle: bool = False
    # The digest of the session's or token's secret: which one this is.
    credential: bytes = b""

    @property
    def rights(self) -> frozenset[Right]:
        """All that this person may do now."""
        rights = rights_of(self.roles)
        if self.scopes is not None:
            rights &= self.scopes
        return rights & IDLE_RIGHTS if self.is_idle else rights


def rights_of(roles: Iterable[Role]) -> frozenset[Right]:
    """What all these roles together may do."""
    return frozenset[Right]().union(*(RIGHTS[role] for role in roles))


def may(person: Person, right: Right) -> bool:
    """Whether a person may do this."""
    return right in person.rights


def roles_with(right: Right) -> list[Role]:
    """The roles that have a right, in the order of the table."""
    return [role for role in ALL_ROLES if right in RIGHTS[role]]


def read_name(text: str) -> str:
    """The name of a person. Raises ConfigError that says what one looks like."""
    if not re.match(NAME_PATTERN, text):
        raise ConfigError(
            f"{text[:80]!r} is no name of a person; give 1 to 64 letters, digits, '.', '_' or '-',"
            " the first a letter or digit, such as a.jones"
        )
    return text


def read_roles(words: Collection[str]) -> frozenset[Role]:
    """Roles as they are written. Raises ConfigError for none, and for one that there is not."""
    if not words:
        raise ConfigError(f"a person needs a role; give one or more of {', '.join(ALL_ROLES)}")
    for word in words:
        if word not in ALL_ROLES:
            raise ConfigError(f"{word[:80]!r} is no role; {nearest(word, ALL_ROLES)}")
    return frozenset(role for role in ALL_ROLES if role in words)


def read_scopes(words: Collection[str], roles: Iterable[Role]) -> frozenset[Right]:
    """The scopes of a token for somebody with these roles.

    Raises ConfigError for none, for one that there is not, and for more than the owner may.
    """
    if not words:
        raise ConfigError(f"a token needs a scope; give one or more of {', '.join(ALL_RIGHTS)}")
    owned = rights_of(roles)
    for word in words:
        if word not in ALL_RIGHTS:
            raise ConfigError(f"{word[:80]!r} is no scope; {nearest(word, ALL_RIGHTS)}")
        if word not in owned:
            given = ", ".join(right for right in ALL_RIGHTS if right in owned)
            raise ConfigError(
                f"a token does no more than its owner, who does not have {word!r}, but {given}"
            )
    return frozenset(right for right in ALL_RIGHTS if right in words)


# --- passwords -----------------------------------------------------------------------------------


def normal(password: str) -> str:
    """A password as it is hashed: the same however a keyboard composes its letters (NFKC)."""
    return unicodedata.normalize("NFKC", password)


def check_password(password: str, name: str) -> None:
    """Raises ConfigError that says what is wrong with a new password.

    Length alone is asked for, and that it is not what anybody would try first: the name, words of
    the place, few different characters.
    """
    password = normal(password)
    if len(password) < PASSWORD_MIN:
        raise ConfigError(
            f"the password has {len(password)} characters; give at least {PASSWORD_MIN}: a few"
            " words in a row are easy to remember"
        )
    if len(password) > PASSWORD_MAX:
        raise ConfigError(
            f"the password has {len(password)} characters; at most {PASSWORD_MAX} are taken"
        )
    rest = password.casefold()
    for word in sorted((name.casefold(), *_WORDS_OF_THE_PLACE), key=len, reverse=True):
        rest = rest.replace(word, "")
    if len(rest) < PASSWORD_REST_MIN:
        raise ConfigError(
            "the password is little more than the name, or a word that anybody would try; give"
            f" at least {PASSWORD_REST_MIN} characters of something else"
        )
    if len(set(rest)) < PASSWORD_DIFFERENT_MIN:
        raise ConfigError("the password repeats a few characters; give something less regular")


# --- secrets and tokens --------------------------------------------------------------------------

TOKEN_PREFIX = "dw_"
_TOKEN = re.compile(r"dw_([0-9a-f]{12})_([A-Za-z0-9_-]{43})", re.ASCII)


def digest(secret: str) -> bytes:
    """What is stored of a secret that was drawn by chance: with 256 bits of it, SHA-256 is enough.

    A password is no such secret; it goes through argon2id.
    """
    return hashlib.sha256(secret.encode()).digest()


def is_secret(secret: str, stored: bytes) -> bool:
    """Whether a secret is the one whose digest is stored, in a time that does not tell."""
    return hmac.compare_digest(digest(secret), stored)


def token_text(number: str, secret: str) -> str:
    """A token as its owner gets it. `dw_` lets a scanner find one that was published."""
    return f"{TOKEN_PREFIX}{number}_{secret}"


def read_token(text: str) -> tuple[str, str] | None:
    """The id and the secret of a token; None for anything else."""
    match = _TOKEN.fullmatch(text)
    return (match[1], match[2]) if match else None


# --- tries ---------------------------------------------------------------------------------------

# Failures before the first wait. A ward behind one address mistypes more often than one person.
FREE_BY_NAME = 5
FREE_BY_ADDRESS = 20
FIRST_WAIT_MS = 1 * MS_PER_SECOND
WAIT_MAX_MS = 15 * MS_PER_MINUTE
# A count is forgotten when nothing was tried for so long.
FORGET_MS = MS_PER_HOUR
KNOWN_MS = 30 * MS_PER_DAY
# Bounds the memory, for counts and for known addresses each. Of too many counts the smallest goes,
# of equal ones the oldest: a flood of names tried once cannot wash out a name tried often.
KEYS_MAX = 4_096

Key = tuple[str, ...]


class Tries(Struct, frozen=True):
    """How often something was tried in vain, and when last (Unix ms)."""

    count: int
    last_ms: int


class Throttle(Struct, frozen=True):
    """The failed tries of late, and from where each name has signed in. A value: nothing changes
    it, each function gives the next one."""

    tries: Mapping[Key, Tries] = {}
    # (name, address) → when it last signed in from there.
    known: Mapping[Key, int] = {}


def origin_of(address: str) -> str:
    """What addresses are counted by: an IPv6 address by its /64, which is one subscriber's."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)


def wait_ms(throttle: Throttle, name: str, address: str, now_ms: int) -> int:
    """How long a try must still wait; 0: it may go ahead."""
    return max(
        _wait_ms(throttle.tries.get(key), free, now_ms)
        for key, free in _keys(throttle, name, address, now_ms)
    )


def tried(throttle: Throttle, name: str, address: str, now_ms: int) -> Throttle:
    """Count a try, as failed, before its password is looked at: many at once are counted all."""
    tries = dict(throttle.tries)
    for key, _ in _keys(throttle, name, address, now_ms):
        old = tries.pop(key, None)
        count = 0 if old is None or _is_forgotten(old, now_ms) else old.count
        if len(tries) >= KEYS_MAX:
            del tries[min(tries, key=lambda each: (tries[each].count, tries[each].last_ms))]
        tries[key] = Tries(count + 1, now_ms)
    return replace(throttle, tries=tries)


def succeeded(throttle: Throttle, name: str, address: str, now_ms: int) -> Throttle:
    """Take back what `tried` counted: the name's failures, and one of the address.

    Not all of the address's, or one account of one's own would clear guesses at all others.
    """
    by_name, by_address = (key for key, _ in _keys(throttle, name, address, now_ms))
    tries = dict(throttle.tries)
    tries.pop(by_name, None)
    old = tries.get(by_address)
    if old is not None and old.count > 1:
        tries[by_address] = replace(old, count=old.count - 1)
    else:
        tries.pop(by_address, None)
    known = dict(throttle.known)
    known.pop((name, origin_of(address)), None)
    if len(known) >= KEYS_MAX:
        del known[min(known, key=lambda each: known[each])]
    known[name, origin_of(address)] = now_ms
    return Throttle(tries, known)


def _keys(throttle: Throttle, name: str, address: str, now_ms: int) -> tuple[tuple[Key, int], ...]:
    """What a try is counted by, and how many failures each may have before the first wait."""
    name, origin = name[:64], origin_of(address)
    since = throttle.known.get((name, origin))
    is_known = since is not None and now_ms - since < KNOWN_MS
    by_name = ("name", name, origin) if is_known else ("name", name)
    return (by_name, FREE_BY_NAME), (("address", origin), FREE_BY_ADDRESS)


def _wait_ms(tries: Tries | None, free: int, now_ms: int) -> int:
    if tries is None or tries.count < free or _is_forgotten(tries, now_ms):
        return 0
    # 2 to the 10th seconds is above the longest wait already.
    wait = min(WAIT_MAX_MS, FIRST_WAIT_MS << min(tries.count - free, 10))
    # A clock that was set back makes nobody wait longer than that.
    return max(0, min(wait, tries.last_ms + wait - now_ms))


def _is_forgotten(tries: Tries, now_ms: int) -> bool:
    return now_ms - tries.last_ms >= FORGET_MS
