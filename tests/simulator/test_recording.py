"""A test of recordings: exact bytes, deterministic files, cut and broken ones, a full disk."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infusion.errors import ConfigError
from infusion.messages import Kind
from simulator.recording import Header, Recorder, read_recording
from simulator.stream import Connect, Disconnect, Outgoing, Output
from tests.simulator.bench import START_MS, fleet, shipped_scenario, whole
from tests.virtual import Trial

HEADER = Header(start_ms=START_MS, scenario="test")


def record(path: Path, outputs: list[Output], header: Header = HEADER) -> None:
    recorder = Recorder(str(path), header)
    recorder.write(outputs)
    recorder.close()


VALUES = st.one_of(
    st.builds(
        Outgoing,
        session=st.text(max_size=8),
        topic=st.text(max_size=8),
        payload=st.binary(max_size=40) | st.text().map(str.encode),
        qos=st.sampled_from([0, 1]),
        retain=st.booleans(),
        time_ms=st.integers(START_MS, START_MS + 100_000),
        kind=st.sampled_from(Kind),
        contract=st.sampled_from(["1", "2"]),
    ),
    st.builds(
        Connect,
        session=st.text(max_size=8),
        time_ms=st.integers(START_MS, START_MS + 100_000),
        will_topic=st.none() | st.just("t"),
        will_payload=st.binary(max_size=9),
        client=st.none() | st.just("P-01"),
    ),
    st.builds(
        Disconnect,
        session=st.text(max_size=8),
        time_ms=st.integers(START_MS, START_MS + 100_000),
        clean=st.booleans(),
        taken_over=st.booleans(),
    ),
)


@settings(max_examples=60, deadline=None)
@given(outputs=st.lists(VALUES, max_size=20))
def test_every_value_comes_back_as_it_was(
    outputs: list[Output], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("recording") / "r.gz"
    record(path, outputs)
    recording = read_recording(str(path))
    assert recording.header == HEADER
    assert list(recording) == outputs
    assert recording.cut_line is None
    assert recording.footer is not None
    assert recording.footer.messages == sum(isinstance(each, Outgoing) for each in outputs)


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    _, outputs = whole(shipped_scenario("demo"))
    record(tmp_path / "one.gz", outputs)
    record(tmp_path / "other-name.gz", outputs)
    data = (tmp_path / "one.gz").read_bytes()
    assert data == (tmp_path / "other-name.gz").read_bytes()
    assert data[4:8] == bytes(4), "the header of gzip has no time"
    assert len(data) < 100 * len(outputs)


def test_a_monitor_raises_the_same_alerts_from_a_recording(tmp_path: Path) -> None:
    """In virtual time, tick by tick: the core cannot tell a recording from the fleet."""
    story = shipped_scenario("demo")
    until_ms = START_MS + story.header.duration.ms
    live = Trial(fleet(story)).run(until_ms)
    path = tmp_path / "r.gz"
    record(path, fleet(story).advance(until_ms))
    played = Trial(fleet(story))
    played.fleet = Played(path)  # type: ignore[assignment]
    played.run(until_ms)
    assert played.changes == live.changes
    assert len(played.changes) > 5
    assert played.said == live.said


class Played:
    """A recording in the place of a fleet."""

    def __init__(self, path: Path) -> None:
        self.now_ms = START_MS
        self._outputs = list(read_recording(str(path)))

    def advance(self, to_ms: int) -> list[Output]:
        """What was said up to a time."""
        due = [each for each in self._outputs if each.time_ms <= to_ms]
        self._outputs = self._outputs[len(due) :]
        return due

    def close(self) -> list[Output]:
        """Nothing more."""
        return []


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_is_read_up_to_there(tmp_path: Path, share: float) -> None:
    _, outputs = whole(shipped_scenario("demo"))
    path = tmp_path / "r.gz"
    record(path, outputs)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    recording = read_recording(str(path))
    found = list(recording)
    assert found == outputs[: len(found)]
    assert len(found) > len(outputs) * share * 0.7
    assert recording.footer is None
    assert recording.cut_line == len(found) + 2


def test_a_process_that_is_killed_leaves_what_was_flushed(tmp_path: Path) -> None:
    _, outputs = whole(shipped_scenario("demo"))
    path = tmp_path / "r.gz"
    recorder = Recorder(str(path), HEADER)
    recorder.write(outputs)
    # No footer, no end of the gzip stream; a flush is at most two seconds old.
    recording = read_recording(str(path))
    found = list(recording)
    assert recording.cut_line is not None
    assert outputs[len(found) - 1].time_ms >= outputs[-1].time_ms - 12_000
    recorder.abandon()


def lines(path: Path, *texts: str) -> None:
    path.write_bytes(gzip.compress("".join(f"{text}\n" for text in texts).encode()))


HEAD = '{"format":"dripwatch-recording","version":1,"start_ms":1}'


@pytest.mark.parametrize(
    ("texts", "error"),
    [
        (['{"format":"x","version":1,"start_ms":1}'], "line 1: 'x' is no recording of Dripwatch"),
        (
            ['{"format":"dripwatch-recording","version":2,"start_ms":1}'],
            "line 1: version 2 is unknown; 1 can be read",
        ),
        ([HEAD, '{"do":"say"}'], "line 2: .*missing required field"),
        ([HEAD, "nonsense"], "line 2: .*malformed"),
        (
            [
                HEAD,
                '{"do":"say","time_ms":1,"session":"s","topic":"t","base64":"*","kind":"event"}',
            ],
            "line 2: a payload is no base64",
        ),
        (
            [HEAD, '{"do":"end","end_ms":1,"messages":1,"connects":0,"disconnects":0}'],
            r"line 2: the footer counts \(1, 0, 0\), but \(0, 0, 0\) came",
        ),
        ([HEAD, "x" * 1_048_577], "line 2: the line is longer than"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_its_line(
    tmp_path: Path, texts: list[str], error: str
) -> None:
    path = tmp_path / "bad.gz"
    lines(path, *texts)
    with pytest.raises(ConfigError, match=rf"recording {path}: {error}"):
        list(read_recording(str(path)))


def test_unknown_keys_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "r.gz"
    lines(
        path,
        HEAD[:-1] + ',"new":1}',
        '{"do":"disconnect","time_ms":1,"session":"s","clean":true,"new":[1]}',
        '{"do":"end","end_ms":1,"messages":0,"connects":0,"disconnects":1,"new":{}}',
    )
    assert list(read_recording(str(path))) == [Disconnect("s", 1, clean=True)]


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plain.txt"
    path.write_text("hello")
    with pytest.raises(ConfigError, match="it is not compressed by gzip"):
        read_recording(str(path))
    with pytest.raises(ConfigError, match="No such file"):
        read_recording(str(tmp_path / "none"))
    path.write_bytes(b"")
    with pytest.raises(ConfigError, match="cut off before its header"):
        read_recording(str(path))


def test_a_damaged_file_is_named_with_its_line(tmp_path: Path) -> None:
    _, outputs = whole(shipped_scenario("demo"))
    path = tmp_path / "r.gz"
    record(path, outputs)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 40] = b"\xff" * 40
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"r.gz: line \d+: "):
        list(read_recording(str(path)))


def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="recording /dev/full: No space left on device"):
        Recorder("/dev/full", HEADER)
    with pytest.raises(ConfigError, match=r"none/r.gz: No such file"):
        Recorder(str(tmp_path / "none" / "r.gz"), HEADER)
