"""The limits: what is beyond them is refused before anything is sent."""

import pytest

from infusion.errors import ConfigError
from simulator.load.plan import COUNT_MAX, Plan, check, is_loopback, parts_of


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "localhost"])
def test_this_machine_may_be_put_under_load(host: str) -> None:
    assert is_loopback(host)
    check(Plan(host=host), owns_broker=False)


@pytest.mark.parametrize("host", ["192.0.2.1", "broker.example", "localhost.example", "0.0.0.0"])
def test_another_machine_only_with_the_word_of_its_owner(host: str) -> None:
    with pytest.raises(ConfigError, match="--i-own-this-broker"):
        check(Plan(host=host), owns_broker=False)
    check(Plan(host=host), owns_broker=True)


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (Plan(count=COUNT_MAX, interval_ms=5), "messages a second"),
        (Plan(count=2, processes=3), "only 2 pumps"),
        (Plan(ca_file="ca.pem"), "--tls"),
        (Plan(password="p"), "--username"),
        (Plan(count=COUNT_MAX, interval_ms=60_000, processes=32), "--ifaddr"),
    ],
)
def test_a_plan_beyond_a_limit_is_refused(plan: Plan, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        check(plan, owns_broker=True)


def test_more_source_addresses_have_more_ports() -> None:
    addresses = tuple(f"127.0.0.{number}" for number in range(1, 21))
    check(
        Plan(count=COUNT_MAX, interval_ms=60_000, processes=32, source_addresses=addresses),
        owns_broker=True,
    )


def test_a_gateway_needs_fewer_ports() -> None:
    check(Plan(count=COUNT_MAX, interval_ms=60_000, gateway=100), owns_broker=True)


def test_every_pump_has_one_generator() -> None:
    parts = parts_of(Plan(count=10, processes=3), start_ms=0, first_boot=1)
    assert [part.pumps for part in parts] == [4, 3, 3]
    assert len({part.site for part in parts}) == 3
