"""What is typed wrong, and orders that nobody follows. Every size and time is ours [A]."""

from typing import Any

from msgspec.structs import replace

from dripwatch.trial.hazard import Bed, Planted, at, at_order
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE
from simulator.story import actions as do
from simulator.story import orders as rx
from simulator.story.entries import Entry
from simulator.story.orders import NEVER
from simulator.story.reading import Offset

# Pounds in a kilogram, as a rounded factor that people type.
POUNDS = 2.2
WEIGHT_MAX_KG = 200.0
USER = "nurse-7"


def _typed(bed: Bed, *wrong: Entry) -> Planted:
    """Something wrong is typed, and put right at the end."""
    right = at(do.ProgramOrder, bed, bed.until_ms, user="nurse-8", override=True)
    return Planted(onset_ms=bed.at_ms, until_ms=bed.until_ms, actions=(*wrong, right))


def _rate(bed: Bed, **keys: Any) -> Planted:
    given: dict[str, Any] = {"user": USER, "bypass_library": True, **keys}
    return _typed(bed, at(do.ProgramRate, bed, bed.at_ms, **given))


def tenfold(bed: Bed) -> Planted:
    """A zero too many, past the library."""
    return _rate(bed, factor=10.0)


def tenth(bed: Bed) -> Planted:
    """A zero too few."""
    return _rate(bed, factor=0.1)


def units_for_ml(bed: Bed) -> Planted:
    """The order's IU/h typed into the field for mL/h; the pump takes what it can give at most."""
    return _rate(bed, rate_ml_h=bed.rate_ml_h * bed.concentration_iu_ml)


def hard_limit(bed: Bed) -> Planted:
    """A dose beyond the hard limit of the library, 35 IU/kg/h."""
    return _rate(bed, dose_iu_kg_h=bed.uniform(36.0, 60.0))


def library_bypass(bed: Bed) -> Planted:
    """The right rate, a little rounded, programmed past the library."""
    return _rate(bed, factor=1.01)


def rate_slip(bed: Bed) -> Planted:
    """Another rate within all limits: two digits in the wrong order, a line read wrongly."""
    factor = bed.one_of(bed.uniform(0.5, 0.85), bed.uniform(1.15, 1.6))
    return _rate(bed, factor=factor, bypass_library=False, override=True)


def pounds_for_kg(bed: Bed) -> Planted:
    """The dose weight in pounds, and the dose by weight kept: 2.2 times as much."""
    return _typed(bed, _weight(bed, min(bed.weight_kg * POUNDS, WEIGHT_MAX_KG), "dose"))


def wrong_weight(bed: Bed) -> Planted:
    """Another patient's weight; the rate stays, so that the next dose by weight is wrong."""
    factor = bed.one_of(bed.uniform(0.6, 0.85), bed.uniform(1.15, 1.6))
    return _typed(bed, _weight(bed, min(bed.weight_kg * factor, WEIGHT_MAX_KG), "rate"))


def _weight(bed: Bed, weight_kg: float, keeps: str) -> Entry:
    return at(
        do.ProgramWeight,
        bed,
        bed.at_ms,
        weight_kg=round(weight_kg, 1),
        keeps=keeps,
        user=USER,
        bypass_library=True,
    )


def labelled_bag(bed: Bed) -> Planted:
    """A bag of half or double strength, typed in as its label says; the rate stays."""
    wrong = bed.concentration_iu_ml * bed.one_of(0.5, 2.0)
    keys = {"concentration_iu_ml": wrong, "bypass_library": True, "user": USER}
    return Planted(
        onset_ms=bed.at_ms,
        until_ms=bed.until_ms,
        actions=(
            at(do.ChangeBag, bed, bed.at_ms, **keys),
            at(
                do.ChangeBag,
                bed,
                bed.until_ms,
                concentration_iu_ml=bed.concentration_iu_ml,
                override=True,
            ),
        ),
    )


def typed_concentration(bed: Bed) -> Planted:
    """The right bag, and another concentration typed in."""
    wrong = bed.concentration_iu_ml * bed.one_of(0.4, 0.5)
    typed = at(do.ProgramConcentration, bed, bed.at_ms, concentration_iu_ml=wrong, user=USER)
    return _typed(bed, typed)


def unlabelled_bag(bed: Bed) -> Planted:
    """The label says what was ordered, the bag holds half or double."""
    wrong = bed.concentration_iu_ml * bed.one_of(0.5, 2.0)
    right = bed.concentration_iu_ml
    return Planted(
        onset_ms=bed.at_ms,
        until_ms=bed.until_ms,
        actions=(
            at(do.ChangeBag, bed, bed.at_ms, concentration_iu_ml=wrong, programmed_iu_ml=right),
            at(do.ChangeBag, bed, bed.until_ms, concentration_iu_ml=right),
        ),
    )


def bolus_twice(bed: Bed) -> Planted:
    """A bolus is ordered and given, and somebody else gives it again."""
    dose_iu = round(bed.uniform(25.0, 60.0) * bed.weight_kg, -2)
    duration_s = 600.0
    again_ms = bed.at_ms + round(bed.uniform(14.0, 30.0)) * MS_PER_MINUTE
    order = at_order(
        rx.OrderBolus,
        bed,
        bed.at_ms,
        dose_iu=dose_iu,
        duration_s=duration_s,
        applied_after="00:02",
    )
    second = at(
        do.GiveBolus,
        bed,
        again_ms,
        dose_iu=dose_iu,
        duration_s=duration_s,
        user=USER,
        bypass_library=True,
    )
    # What was given too much acts on after the pump has given it.
    until_ms = again_ms + round(duration_s) * 1_000 + 20 * MS_PER_MINUTE
    return Planted(onset_ms=again_ms, until_ms=until_ms, orders=(order,), actions=(second,))


def bolus_unordered(bed: Bed) -> Planted:
    """A bolus that nobody ordered."""
    bolus = at(
        do.GiveBolus,
        bed,
        bed.at_ms,
        dose_iu=round(bed.uniform(20.0, 70.0) * bed.weight_kg, -2),
        duration_s=600.0,
        user=USER,
        override=True,
    )
    return Planted(onset_ms=bed.at_ms, until_ms=bed.until_ms, actions=(bolus,))


def change_not_applied(bed: Bed) -> Planted:
    """The dose is changed, and for hours nobody programs the pump."""
    factor = bed.one_of(bed.uniform(0.55, 0.8), bed.uniform(1.25, 1.5))
    dose = round(min(bed.dose_iu_kg_h * factor, 25.0), 1)
    order = at_order(
        rx.OrderRate,
        bed,
        bed.at_ms,
        dose_iu_kg_h=dose,
        applied_after=str(Offset(bed.until_ms - bed.at_ms)),
    )
    return Planted(onset_ms=bed.at_ms, until_ms=bed.until_ms, orders=(order,))


def hold_not_begun(bed: Bed) -> Planted:
    """A hold is ordered, and the pump runs through it."""
    order = at_order(rx.OrderHold, bed, bed.at_ms, until=Offset(bed.until_ms), applied_after=NEVER)
    return Planted(onset_ms=bed.at_ms, until_ms=bed.until_ms, orders=(order,))


def restart_in_hold(bed: Bed) -> Planted:
    """A hold is begun as ordered, and somebody starts the pump in the middle of it."""
    length_ms = bed.until_ms - bed.at_ms
    order = at_order(
        rx.OrderHold, bed, bed.at_ms, until=Offset(bed.until_ms), applied_after="00:02"
    )
    again_ms = bed.at_ms + round(length_ms * bed.uniform(0.2, 0.6)) // 1_000 * 1_000
    start = at(do.Start, bed, again_ms, user=USER)
    return Planted(onset_ms=again_ms, until_ms=bed.until_ms, orders=(order,), actions=(start,))


def hold_overrun(bed: Bed) -> Planted:
    """A hold is over, and nobody starts the pump again."""
    hold_ms = round(bed.uniform(20.0, 60.0)) * MS_PER_MINUTE
    over_ms = min(bed.at_ms + hold_ms, bed.until_ms - 30 * MS_PER_MINUTE)
    order = at_order(rx.OrderHold, bed, bed.at_ms, until=Offset(over_ms), applied_after=NEVER)
    pause = at(do.Pause, bed, bed.at_ms + 2 * MS_PER_MINUTE, user=USER)
    start = at(do.Start, bed, bed.until_ms, user=USER)
    return Planted(onset_ms=over_ms, until_ms=bed.until_ms, orders=(order,), actions=(pause, start))


def runs_on_after_stop(bed: Bed) -> Planted:
    """The therapy is stopped, and the pump runs on."""
    order = at_order(rx.OrderStop, bed, bed.at_ms, applied_after=NEVER)
    pause = at(do.Pause, bed, bed.until_ms, user=USER)
    return Planted(onset_ms=bed.at_ms, until_ms=bed.until_ms, orders=(order,), actions=(pause,))


def pause_forgotten(bed: Bed) -> Planted:
    """Somebody pauses the pump, and goes away."""
    return _stands(bed, at(do.Pause, bed, bed.at_ms))


def standby_forgotten(bed: Bed) -> Planted:
    """A standby for a shower; its end is called by the pump, and nobody hears.

    Until its end it is what somebody meant it to be, and looks like any other shower.
    """
    minutes = round(bed.uniform(10.0, 25.0))
    stands = _stands(bed, at(do.Standby, bed, bed.at_ms, minutes=minutes))
    return replace(stands, onset_ms=bed.at_ms + minutes * MS_PER_MINUTE)


def _stands(bed: Bed, entry: Entry) -> Planted:
    start = at(do.Start, bed, bed.until_ms)
    return Planted(
        onset_ms=bed.at_ms, until_ms=bed.until_ms, actions=(entry, start), is_unattended=True
    )


def kvo_forgotten(bed: Bed) -> Planted:
    """The volume to be infused is over, the pump keeps the vein open, and nobody comes."""
    hours = bed.uniform(0.1, 0.25)
    volume_ml = max(0.5, round(bed.rate_ml_h * hours, 1))
    kvo_ms = bed.at_ms + round(volume_ml / bed.rate_ml_h * MS_PER_HOUR)
    more = at(do.ProgramVtbi, bed, bed.until_ms, volume_ml=round(bed.rate_ml_h * 40.0, 1))
    return Planted(
        onset_ms=kvo_ms,
        until_ms=bed.until_ms,
        actions=(at(do.ProgramVtbi, bed, bed.at_ms, volume_ml=volume_ml), more),
        is_unattended=True,
    )
