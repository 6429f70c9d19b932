"""Air and battery, where a number is published."""

import math

from benchmarks.validation.bench import pumps_of, shipped, told
from benchmarks.validation.rows import Row, Section
from infusion.messages import Event, Kind, decode, parse_topic
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE
from simulator.physics import step
from simulator.physics.air import Air
from simulator.physics.power import battery_slope_per_ms
from simulator.stream import Outgoing

GIP = "Generic Infusion Pump requirements"
# The charge with which pumps are unplugged: it lasts for half an hour.
UNPLUGGED = 0.06


def alarm_ul(name: str, bubbles_ul: float, every_s: int, hours: float) -> float:
    """Bubbles of a size come evenly: what the detector has seen in its window at the alarm."""
    state = pumps_of(shipped(name), 1)
    state.drive_ml_h[0] = 60.0
    air = state.air.setdefault(0, Air())
    # A mL a minute: places on the pumped axis are minutes.
    count = round(hours * 3600.0 / every_s)
    air.bubbles = [(number * every_s / 60.0, bubbles_ul) for number in range(1, count)]
    for _ in range(round(hours * 360.0)):
        if step(state, 10.0)[0]:
            return air.seen_ul
    return math.inf


def smallest_ul(name: str, *, alarms: bool) -> float:
    """The smallest single bubble, in whole microlitres, that alarms or that is seen at all."""
    for size_ul in range(10, 501):
        air = Air(bubbles=[(0.5, float(size_ul))])
        air.move(shipped(name), 0, 1.0, 1.0)
        if air.is_over if alarms else air.seen_ul > 0.0:
            return float(size_ul)
    return math.inf


def air_rows() -> list[Row]:
    """Bubbles that must be found, and those that must not annoy."""
    rows = []
    for name in ("ambulatory", "large-volume"):
        rows.append(
            Row(
                name=f"{name}: smallest bubble that is seen",
                published="50 to 200 µL; below 50 is nuisance",
                source="ECRI FAQ 1998",
                mark="V",
                ours=smallest_ul(name, alarms=False),
                unit="µL",
                band=(50.0, 200.0),
                digits=0,
            )
        )
        rows.append(
            Row(
                name=f"{name}: bubbles of 60 µL every 30 s, seen in 15 min at the alarm",
                published="> 1 mL in a rolling 15 min",
                source="Alaris GP",
                mark="V",
                ours=alarm_ul(name, 60.0, 30, 1.0),
                unit="µL",
                band=(1000.0, 1060.0),
                digits=0,
            )
        )
        quiet = alarm_ul(name, 60.0, 60, 2.0)
        rows.append(
            Row(
                name=f"{name}: the same every 60 s (900 µL in 15 min), alarms in two hours",
                published="none",
                source="Alaris GP",
                mark="V",
                ours=float(quiet < math.inf),
                band=(0.0, 0.0),
                digits=0,
            )
        )
    rows.append(
        Row(
            name="ambulatory: smallest single bubble that alarms",
            published="> 200 µL",
            source=f"{GIP} 1.9.1",
            mark="V2",
            ours=smallest_ul("ambulatory", alarms=True),
            unit="µL",
            band=(200.5, 201.5),
            digits=0,
        )
    )
    return rows


def battery_alarms_min(name: str) -> dict[str, float]:
    """A pump is unplugged with 6 % of its charge; minutes until each alarm begins."""
    profile = shipped(name)
    dose = profile.battery_rate_ml_h * profile.concentration_iu_ml
    story = (
        'pumps = 1\nduration = "02:00"\n[[patient]]\npump = "P-01"\nreservoir_ml = 500\n'
        f'dose_iu_h = {dose}\n[[fault]]\nat = "00:01"\npump = "P-01"\ndo = "battery"\n'
        f"level = {UNPLUGGED}\n"
    )
    fleet = told(story, profile, step_s=5.0)
    start_ms = fleet.now_ms + MS_PER_MINUTE
    found: dict[str, float] = {}
    for output in fleet.advance(fleet.now_ms + MS_PER_HOUR):
        if isinstance(output, Outgoing) and output.kind is Kind.EVENT:
            event = decode(parse_topic(output.topic), output.payload)
            assert isinstance(event, Event)
            if event.alarm is not None and event.phase == "start":
                found.setdefault(event.alarm, (event.time_ms - start_ms) / MS_PER_MINUTE)
    return found


def battery_rows() -> list[Row]:
    """Load, charge and the two thresholds of GIP."""
    rows = []
    for name in ("ambulatory", "syringe", "large-volume"):
        profile = shipped(name)
        load, charge = (
            100.0 * abs(battery_slope_per_ms(profile, on_mains=on_mains)) * MS_PER_HOUR
            for on_mains in (False, True)
        )
        alarms = battery_alarms_min(name)
        flat_min = 100.0 * UNPLUGGED / load * 60.0
        low = flat_min - alarms.get("battery-low", math.nan)
        depleted = flat_min - alarms.get("battery-depleted", math.nan)
        for words, published, source, value, unit, band in (
            ("load on battery", "12.5 %/h", "B. Braun simulator", load, "%/h", (12.4, 12.6)),
            ("charging on mains", "+40 %/h", "B. Braun simulator", charge, "%/h", (39.6, 40.4)),
            ("run time left at battery low", "15 min", f"{GIP} 5.1", low, "min", (14.8, 15.2)),
            ("run time left at depleted", "5 min", f"{GIP} 5.1", depleted, "min", (4.8, 5.2)),
        ):
            rows.append(
                Row(
                    name=f"{name}: {words}",
                    published=published,
                    source=source,
                    mark="V2",
                    ours=value,
                    unit=unit,
                    band=band,
                    digits=1,
                )
            )
    return rows


def section(*, quick: bool) -> Section:
    """The part of the report on air and battery; it has one size."""
    del quick
    return Section(
        "Air and battery",
        "Bubbles move through the line with what is pumped. The battery's minutes are those of a "
        "pump that is unplugged with 6 % of its charge, at the rate for which its life is given.",
        air_rows() + battery_rows(),
        [],
    )
