"""Several processes share the pumps: which messages concern which, and whose store is whose."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from infusion.errors import ConfigError
from infusion.messages import MONITOR_SITE, AlertChange, Kind, Topic
from infusion.monitor import Monitor
from link import Link, Message
from monitor.intake import LinkIntake
from monitor.partition import WHOLE, Partition, check_layout, parts
from monitor.ports import Entry
from monitor.runner import step
from tests.monitor.streams import ward

PUMPS = [f"P-{number:04}" for number in range(4_000)]


@pytest.mark.parametrize("of", [1, 2, 3, 7])
def test_each_pump_has_one_part_and_they_are_about_equal(of: int) -> None:
    found: Counter[int] = Counter()
    for pump in PUMPS:
        owners = [part.number for part in parts(of) if part.owns(f"home/{pump}")]
        assert len(owners) == 1
        found[owners[0]] += 1
        for kind in (Kind.TELEMETRY, Kind.EVENT, Kind.PRESENCE, Kind.ACT):
            topic = str(Topic(kind, "home", pump))
            assert [part.number for part in parts(of) if part.takes(topic)] == owners
    assert max(found.values()) < 1.15 * len(PUMPS) / of


def test_the_part_of_a_pump_never_changes() -> None:
    """A store would not be found again: these are what crc32 gives."""
    owners = [
        next(part.number for part in parts(4) if part.owns(f"home/P-0{number}"))
        for number in range(1, 7)
    ]
    assert owners == [3, 1, 3, 2, 4, 2]


def test_what_no_pump_owns_goes_to_all() -> None:
    topics = [str(Topic(kind, "home", "T-01")) for kind in (Kind.ORDER, Kind.LAB, Kind.REPORT)]
    topics.append(str(Topic(Kind.MONITOR_PRESENCE, MONITOR_SITE, "m1-2")))
    for topic in topics:
        assert all(part.takes(topic) for part in parts(5))
    # A site that only begins like that of the monitors is one like any other.
    presence = str(Topic(Kind.PRESENCE, f"{MONITOR_SITE}-ward", "P-01"))
    assert sum(part.takes(presence) for part in parts(5)) == 1


class PaperLink:
    """What a link has received; what is acknowledged."""

    def __init__(self, *batches: list[Message]) -> None:
        self.batches = list(batches)
        self.acknowledged: list[Message] = []

    async def receive(self, limit: int) -> list[Message]:
        return self.batches.pop(0)

    def acknowledge(self, messages: Sequence[Message]) -> None:
        self.acknowledged += messages


async def test_what_others_own_is_acknowledged_and_passed_over() -> None:
    """A batch without anything of ours costs no commit; of another only ours is taken."""
    part = Partition(1, 2)
    ours = next(pump for pump in PUMPS if part.owns(f"home/{pump}"))
    theirs = next(pump for pump in PUMPS if not part.owns(f"home/{pump}"))
    own, other = (
        Message(str(Topic(Kind.TELEMETRY, "home", pump)), b"{}", 1, token=1)
        for pump in (ours, theirs)
    )
    paper = PaperLink([other, other], [other, own, other, own])
    link: Link = paper  # type: ignore[assignment]  # two verbs of a link are all it needs
    intake = LinkIntake(link, lambda: 1_000, part)
    batch = await intake.take()
    assert paper.acknowledged == [other, other]
    assert [entry.topic for entry in batch.entries] == [own.topic, own.topic]
    assert intake.passed_over == 4
    intake.done(batch)
    assert paper.acknowledged == [other, other, other, own, other, own]


@pytest.mark.parametrize("of", [2, 3])
def test_all_parts_together_say_what_one_says(of: int) -> None:
    """Every message to the parts that take it: what they say, added up, is what one monitor says."""
    entries = [Entry(at_ms, topic, payload, "1") for at_ms, topic, payload in ward()]
    whole, _ = step(Monitor(), entries)
    said = []
    for part in parts(of):
        monitor = Monitor()
        monitor.owns = part.owns
        said += step(monitor, [entry for entry in entries if part.takes(entry.topic)])[0]
        assert all(part.owns(key) for key in monitor.pumps)
        # Each knows all orders and results, since a therapy may move to one of its pumps.
        assert len(monitor.therapies.records) == 7
    assert sorted(map(repr, said)) == sorted(map(repr, whole))


def test_a_therapy_on_pumps_of_two_parts_is_found() -> None:
    """P-06 gives what is ordered for P-01, which another part judges."""
    entries = []
    for at_ms, topic, payload in ward():
        said_by = payload.replace(b'"T-06"', b'"T-01"') if "/P-06/" in topic else payload
        entries.append(Entry(at_ms, topic, said_by, "1"))
    of_first, of_sixth = parts(2)
    assert of_first.owns("home/P-01")
    assert of_sixth.owns("home/P-06")
    monitor = Monitor()
    monitor.owns = of_sixth.owns
    said, refused = step(monitor, [entry for entry in entries if of_sixth.takes(entry.topic)])
    assert not refused
    rules = {each.alert.rule for each in said if isinstance(each, AlertChange)}
    assert "therapy-on-two-pumps" in rules
    whole, _ = step(Monitor(), entries)
    assert set(map(repr, said)) <= set(map(repr, whole))


def test_a_store_of_another_number_of_workers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ward.sqlite3"
    assert WHOLE.store(path) == path
    second = Partition(2, 4).store(path)
    assert second.name == "ward.2-of-4.sqlite3"
    second.touch()
    check_layout(path, 4)
    for of in (1, 2):
        with pytest.raises(ConfigError, match=r"ward\.2-of-4\.sqlite3 was written by another"):
            check_layout(path, of)
    second.unlink()
    path.touch()
    check_layout(path, 1)
    with pytest.raises(ConfigError, match=r"start as many as then"):
        check_layout(path, 4)
