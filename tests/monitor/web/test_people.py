"""Roles, names, passwords and tokens as values; and that tries are slowed down, whatever comes."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infusion.errors import ConfigError
from monitor.people import (
    ALL_RIGHTS,
    ALL_ROLES,
    FORGET_MS,
    FREE_BY_ADDRESS,
    FREE_BY_NAME,
    IDLE_RIGHTS,
    KEYS_MAX,
    KNOWN_MS,
    RIGHTS,
    WAIT_MAX_MS,
    Key,
    Person,
    Right,
    Role,
    Throttle,
    check_password,
    digest,
    is_secret,
    may,
    origin_of,
    read_name,
    read_roles,
    read_scopes,
    read_token,
    rights_of,
    roles_with,
    succeeded,
    token_text,
    tried,
    wait_ms,
)

NOW = 1_790_000_000_000
# The table once more, as the people who work with it would say it.
SAID = {
    "viewer": {"read", "metrics"},
    "nurse": {"read", "metrics", "act", "result", "report", "order", "confirm"},
    "pharmacist": {"read", "metrics", "act", "result", "report", "order", "confirm"},
    "admin": {"read", "metrics", "people"},
}


# --- rights --------------------------------------------------------------------------------------


@pytest.mark.parametrize("right", ALL_RIGHTS)
@pytest.mark.parametrize("role", ALL_ROLES)
def test_each_role_and_each_right(role: Role, right: Right) -> None:
    """By session, by token of this scope, of another scope, and after nobody was there."""
    allowed = right in SAID[role]
    session = Person("ann", frozenset({role}), "session")
    assert may(session, right) == allowed
    assert may(Person("ann", frozenset({role}), "token", frozenset({right})), right) == allowed
    others = frozenset(ALL_RIGHTS) - {right}
    assert not may(Person("ann", frozenset({role}), "token", others), right)
    idle = Person("ann", frozenset({role}), "session", is_idle=True)
    assert may(idle, right) == (allowed and right in {"read", "metrics"})
    assert (role in roles_with(right)) == allowed


def test_roles_add_up_and_no_role_is_no_right() -> None:
    """Who is both may both; who is nothing may nothing."""
    assert rights_of({"nurse", "admin"}) == RIGHTS["nurse"] | RIGHTS["admin"]
    assert rights_of(()) == frozenset()
    assert rights_of({"viewer"}) >= IDLE_RIGHTS


@pytest.mark.parametrize("name", ["ann", "A.Jones-2", "0x", "a" * 64])
def test_names(name: str) -> None:
    """As the names of pumps and sites."""
    assert read_name(name) == name


@pytest.mark.parametrize(
    "name", ["", " ann", "ann\n", "a b", "-a", "a" * 65, "<b>", "é", "a/b", "../a", "a\0"]
)
def test_what_is_no_name(name: str) -> None:
    """It says what one looks like."""
    with pytest.raises(ConfigError, match=r"is no name of a person; give 1 to 64 .* a\.jones"):
        read_name(name)


def test_roles_and_scopes_are_read_with_hints() -> None:
    """The nearest one, or all there are."""
    assert read_roles(["admin", "nurse", "nurse"]) == {"nurse", "admin"}
    with pytest.raises(ConfigError, match="needs a role; give one or more of viewer, nurse"):
        read_roles([])
    with pytest.raises(ConfigError, match="'nurs' is no role; did you mean 'nurse'"):
        read_roles(["nurs"])
    assert read_scopes(["read"], ["viewer"]) == {"read"}
    with pytest.raises(ConfigError, match="needs a scope"):
        read_scopes([], ["viewer"])
    with pytest.raises(ConfigError, match="'reed' is no scope; did you mean 'read'"):
        read_scopes(["reed"], ["viewer"])
    with pytest.raises(ConfigError, match=r"no more than its owner, .* 'act', but read, metrics"):
        read_scopes(["read", "act"], ["viewer"])


# --- passwords and tokens ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "zwölf Zeichen",
        "x7#kq02mvp-L",
        "heparin and a green sofa",
        "abcdefgh ijkl" * 9,
    ],
)
def test_good_passwords(password: str) -> None:
    """Length is enough; anything printable, spaces too."""
    check_password(password, "ann")


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "0 characters; give at least 12"),
        ("elevenchars", "11 characters; give at least 12"),
        ("ab" * 65, "130 characters; at most 128"),
        ("annannannann", "little more than the name"),
        ("Ann.Dripwatch.2026", "little more than the name"),
        ("PASSWORDpassword1", "little more than the name"),
        ("aaaaaaaaaaaaaaaa", "repeats a few"),
        ("121212121212", "repeats a few"),
        # Composed, these are six letters.
        ("a\u0308" * 6, "6 characters"),
    ],
)
def test_bad_passwords_say_why(password: str, why: str) -> None:
    """Each by its own reason."""
    with pytest.raises(ConfigError, match=re.escape(why)):
        check_password(password, "Ann")


def test_a_token_is_read_as_it_is_written() -> None:
    """Anything else is no token."""
    secret = "A_-" + "b" * 40
    text = token_text("0123456789ab", secret)
    assert text == f"dw_0123456789ab_{secret}"
    assert read_token(text) == ("0123456789ab", secret)
    for bad in ("", text[:-1], text + "x", text + "\n", text.upper(), "x" + text, "dw__" + secret):
        assert read_token(bad) is None
    assert is_secret(secret, digest(secret))
    assert not is_secret(secret + "x", digest(secret))


@given(st.text())
def test_no_text_breaks_the_reading_of_a_token(text: str) -> None:
    """It is a token or None."""
    assert read_token(text) is None or text.startswith("dw_")


# --- tries ---------------------------------------------------------------------------------------


def test_a_name_waits_twice_as_long_after_each_failure() -> None:
    """From one second after the fifth, up to a quarter of an hour, and then is forgotten."""
    throttle, now, waits = Throttle(), NOW, []
    for number in range(20):
        # Each from another address: it is the name that counts.
        address = f"10.0.{number}.1"
        waits.append(wait_ms(throttle, "ann", address, now))
        now += waits[-1]
        throttle = tried(throttle, "ann", address, now)
    assert waits[:5] == [0] * 5
    assert waits[5:] == [min(1_000 << n, WAIT_MAX_MS) for n in range(15)]
    assert wait_ms(throttle, "bob", "10.9.9.9", now) == 0
    assert wait_ms(throttle, "ann", "10.9.9.9", now + FORGET_MS) == 0


def test_an_address_waits_whatever_names_it_tries() -> None:
    """After twenty names a wait, for any name, from there."""
    throttle = Throttle()
    for number in range(FREE_BY_ADDRESS):
        assert wait_ms(throttle, f"n{number}", "10.0.0.1", NOW) == 0
        throttle = tried(throttle, f"n{number}", "10.0.0.1", NOW)
    assert wait_ms(throttle, "another", "10.0.0.1", NOW) == 1_000
    assert wait_ms(throttle, "another", "10.0.0.2", NOW) == 0


def test_guesses_from_elsewhere_do_not_keep_a_nurse_out() -> None:
    """From where she has signed in before she is counted by herself, and is slowed down there."""
    throttle = succeeded(tried(Throttle(), "ann", "10.0.0.1", NOW), "ann", "10.0.0.1", NOW)
    for number in range(40):
        throttle = tried(throttle, "ann", f"10.1.{number}.1", NOW)
    assert wait_ms(throttle, "ann", "10.2.2.2", NOW) == WAIT_MAX_MS
    assert wait_ms(throttle, "ann", "10.0.0.1", NOW) == 0
    for _ in range(FREE_BY_NAME):
        throttle = tried(throttle, "ann", "10.0.0.1", NOW)
    assert wait_ms(throttle, "ann", "10.0.0.1", NOW) == 1_000
    later = NOW + KNOWN_MS
    assert wait_ms(tried(throttle, "ann", "10.7.7.7", later), "ann", "10.0.0.1", later) == 0


def test_one_account_of_ones_own_does_not_clear_an_address() -> None:
    """A success takes back one failure of the address, its own."""
    throttle = Throttle()
    for number in range(FREE_BY_ADDRESS):
        throttle = tried(throttle, f"n{number}", "10.0.0.1", NOW)
    now = NOW + 1_000
    throttle = succeeded(tried(throttle, "mine", "10.0.0.1", now), "mine", "10.0.0.1", now)
    assert wait_ms(throttle, "n1", "10.0.0.1", now) == 1_000


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix:" + "x" * 100, ("unix:" + "x" * 100)[:64]),
    ],
)
def test_what_addresses_are_counted_by(address: str, origin: str) -> None:
    """A subscriber of IPv6 has 2^64 addresses, and one count."""
    assert origin_of(address) == origin


names = st.sampled_from(["ann", "bob", "cy"])
addresses = st.sampled_from(["10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2"])
steps = st.lists(
    st.tuples(names, addresses, st.integers(-5_000, 20 * 60_000), st.booleans()), max_size=60
)


@given(steps)
def test_waits_are_bounded_and_end_by_themselves(
    taken: Sequence[tuple[str, str, int, bool]],
) -> None:
    """Whatever was tried, and however the clock went: at most a quarter of an hour, and no try is
    let in for free that is over the limit of its name and its address."""
    throttle, now = Throttle(), NOW
    for name, address, step, is_right in taken:
        now += step
        wait = wait_ms(throttle, name, address, now)
        assert 0 <= wait <= WAIT_MAX_MS
        assert wait_ms(throttle, name, address, now + wait) == 0
        if wait == 0:
            before = throttle
            throttle = tried(throttle, name, address, now)
            assert throttle is not before
            if is_right:
                throttle = succeeded(throttle, name, address, now)
                by_name = ("name", name, origin_of(address))
                assert by_name not in throttle.tries
    for name, address, _, _ in taken:
        assert wait_ms(throttle, name, address, now + WAIT_MAX_MS) == 0


@given(st.integers(1, 200), st.integers(0, 3_600_000))
def test_a_guesser_gets_few_guesses(seconds: int, start: int) -> None:
    """One that tries as soon as it may has, n seconds on, had five and the logarithm of n."""
    throttle, now, count = Throttle(), NOW + start, 0
    end = now + seconds * 1_000
    while now <= end:
        now += wait_ms(throttle, "ann", f"10.0.0.{count}", now)
        if now <= end:
            throttle = tried(throttle, "ann", f"10.0.0.{count}", now)
            count += 1
    assert count <= FREE_BY_NAME + seconds.bit_length()


def test_the_memory_is_bounded_and_keeps_what_was_tried_most() -> None:
    """A flood of names that are tried once does not wash out one that is attacked."""
    throttle = Throttle()
    for _ in range(8):
        throttle = tried(throttle, "ann", "10.0.0.1", NOW)
    for number in range(KEYS_MAX):
        address = f"10.{number >> 8 & 255}.{number & 255}.1"
        throttle = tried(throttle, f"n{number}", address, NOW + 1 + number)
    assert len(throttle.tries) == KEYS_MAX
    assert wait_ms(throttle, "ann", "10.99.0.1", NOW) == 8_000
    known: dict[Key, int] = {("n", str(number)): NOW + number for number in range(KEYS_MAX)}
    full = succeeded(Throttle(known=known), "ann", "10.0.0.1", NOW * 2)
    assert len(full.known) == KEYS_MAX
    assert ("n", "0") not in full.known
    assert ("ann", "10.0.0.1") in full.known
