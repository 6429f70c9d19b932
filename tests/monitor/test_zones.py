"""Time zones as tables: the same instants that zoneinfo itself knows."""

import zoneinfo
from bisect import bisect_right
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infusion.errors import ConfigError
from monitor.zones import offsets

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Pacific/Apia",
)
TABLES = {name: offsets(name) for name in ZONES}


@given(
    name=st.sampled_from(ZONES),
    at=st.datetimes(datetime(2020, 1, 2), datetime(2059, 12, 31)),  # noqa: DTZ001 - set below
)
def test_the_table_says_what_the_zone_says(name: str, at: datetime) -> None:
    """At any minute, the newest entry of the table is the zone's own offset."""
    at = at.replace(second=0, microsecond=0, tzinfo=UTC)
    table = TABLES[name]
    place = bisect_right([from_ms for from_ms, _ in table], round(at.timestamp() * 1000)) - 1
    minutes = table[place][1] if table else 0
    assert timedelta(minutes=minutes) == at.astimezone(zoneinfo.ZoneInfo(name)).utcoffset()


def test_summer_time_begins_at_its_very_minute() -> None:
    """Berlin, 29 March 2026, 01:00 UTC: from one hour ahead to two."""
    change_ms = round(datetime(2026, 3, 29, 1, tzinfo=UTC).timestamp() * 1000)
    assert (change_ms, 120) in TABLES["Europe/Berlin"]
    assert TABLES["UTC"] == ()


@pytest.mark.parametrize("name", ["Europe/Berln", "", "../../etc/passwd", "no such zone at all"])
def test_a_zone_that_is_none_is_named(name: str) -> None:
    """A slip of the pen gets the nearest zone; a path is no zone."""
    with pytest.raises(ConfigError, match="is no time zone") as caught:
        offsets(name)
    if name == "Europe/Berln":
        assert "did you mean 'Europe/Berlin'?" in str(caught.value)
