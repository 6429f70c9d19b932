"""Telemetry out of templates and arrays says what each pump, read alone, would have said."""

import msgspec

from simulator.stream import Outgoing, Output
from tests.simulator.bench import START_MS, fleet, scenario

STORY = """
duration = "02:00"
pumps = 12
auto_restarts = 2
near_end_min = 10

[[patient]]
pump = "P-02"
vtbi_ml = 9
[[patient]]
pump = "P-03"
reservoir_ml = 14

"""
HAPPENINGS = (
    ("fault", "P-01", 'do = "occlusion"\nuntil = "00:40"'),
    ("fault", "P-04", 'do = "occlusion"\nresistance_factor = 8\nuntil = "00:50"'),
    ("fault", "P-05", 'do = "stuck-sensor"\nsensor = "pressure"\nuntil = "00:45"'),
    ("fault", "P-05", 'do = "height"\ncm = 30\nuntil = "00:50"'),
    ("fault", "P-06", 'do = "air"\nul_per_ml = 20\nbubble_ul = 30\nuntil = "00:30"'),
    ("fault", "P-07", 'do = "offline"\nuntil = "00:35"'),
    ("fault", "P-07", 'do = "clock-drift"\nppm = 200\nuntil = "01:00"'),
    ("fault", "P-08", 'do = "silence"\nbackfill = true\nuntil = "00:35"'),
    ("fault", "P-08", 'do = "counter-frozen"\nuntil = "00:50"'),
    ("fault", "P-09", 'do = "battery"\nlevel = 0.05\nuntil = "01:30"'),
    ("fault", "P-10", 'do = "siphon"\nhead_cm = 50\nuntil = "00:40"'),
    ("fault", "P-10", 'do = "reboot"'),
    ("fault", "P-11", 'do = "flow-drift"\nshare_per_hour = -0.1\nuntil = "01:10"'),
    ("action", "P-11", 'do = "pause"'),
    ("action", "P-12", 'do = "bolus"\ndose_iu = 1000\nduration_s = 600'),
    ("action", "P-12", 'do = "lock"'),
)


def story() -> str:
    """All of that, two minutes apart."""
    text = STORY
    for number, (table, pump, keys) in enumerate(HAPPENINGS):
        at = f"00:{5 + number:02d}"
        text += f'[[{table}]]\nat = "{at}"\npump = "{pump}"\n{keys}\n\n'
    return text


def payloads(outputs: list[Output]) -> list[tuple[str, int, str, object]]:
    return [
        (output.session, output.time_ms, output.topic, msgspec.json.decode(output.payload))
        for output in outputs
        if isinstance(output, Outgoing)
    ]


def test_every_message_is_the_same_told_one_by_one() -> None:
    """Every voice is taken away before each step in one of two fleets that are else the same."""
    read = scenario(story())
    quick, slow = fleet(read, interval_s=5.0), fleet(read, interval_s=5.0)
    said_quick: list[Output] = []
    said_slow: list[Output] = []
    for second in range(75 * 60):
        said_quick += quick.advance(START_MS + second * 1000)
        said_slow += slow.advance(START_MS + second * 1000)
        slow.forget_voices()
    assert payloads(said_quick) == payloads(said_slow)
    assert len(said_quick) > 75 * 60 / 5 * 8
