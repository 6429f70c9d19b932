"""The patients on the pumps: what heparin does in each, driven by what truly reached them.

This is truth. Nobody on the ward sees it but through a specimen (simulator/clinic/laboratory.py).
The model of level and aPTT is infusion/heparin.py, with variability between patients and, as an
Ornstein-Uhlenbeck series x of standard deviation 1, within one:

    clearance = typical · condition · e^(0.34·z) · trend(t) · e^(σ·x(t))

Slow things (x, trend, platelets, haemoglobin, bleeding) move on a grid of ten minutes from the
start and stand still between, so that how long the steps of `advance` are cannot matter to them.
Chance number k of a patient depends on the patient's key and k alone (`physics.uniforms`).

Sources of variability: reference heparin.md §5.2, from Jia 2015 (CV of clearance 36 %) and
Al-Sallami 2016 (50 %), corr(clearance, V) 0.75 there and 0.5 here; slope and baseline of the aPTT
correlate with 0.905 (companion of Whitfield and Levy), 0.8 here. Marks as in haematology.py.
"""

import math
from collections.abc import Mapping

import numpy as np
from msgspec import Struct

from infusion import heparin
from infusion.units import MS_PER_HOUR, MS_PER_MINUTE
from simulator.haematology import Blood, approach, bleeding_chance, hours_between, inr
from simulator.physics import Floats, Keys, uniforms
from simulator.story.entries import Patient

TICK_MS = 10 * MS_PER_MINUTE
_TICK_H = TICK_MS / MS_PER_HOUR
# Which children of a run's seed belong to patients; any number that no other purpose has.
_SPAWN = 0x70617469
# Series of one patient's chance: number = tick × _SERIES + which.
_SERIES = 4
_NOISE, _BLEEDS, _HOW_FAST, _HOW_LONG = range(_SERIES)
_NEVER = math.inf
_HALF_WIDTH = math.sqrt(3.0)  # a uniform number on ±√3 has standard deviation 1

# §5.2: spread between patients, and [A] spread and time constant within one (0.20 to 0.30, 12 to
# 24 h).
_ELIMINATION_SD, _VOLUME_SD, _ELIMINATION_VOLUME_CORRELATION = 0.34, 0.20, 0.5
_BASELINE_SD, _SLOPE_SD, _BASELINE_SLOPE_CORRELATION = 0.09, 0.22, 0.8
_BASELINE_LIMITS_S = (24.0, 40.0)
_WITHIN_SD, _WITHIN_TIME_H = 0.25, 18.0
_WITHIN_KEPT = math.exp(-_TICK_H / _WITHIN_TIME_H)
_WITHIN_NEW = math.sqrt(1.0 - _WITHIN_KEPT**2)


class Traits(Struct, frozen=True, kw_only=True, eq=False):
    """Who n patients are, before anything happens; every array has shape (n,).

    The heparin constants have size, own deviation and conditions in them, but no noise. Times are
    Unix ms or infinity for never; `aptt_slope_factor` multiplies the laboratory's reagent slope.
    """

    keys: Keys
    weight_kg: Floats
    volume_ml_kg: Floats
    clearance_ml_h_kg: Floats
    vmax_iu_kg_h: Floats
    km_iu_ml: Floats
    aptt_baseline_s: Floats
    aptt_slope_factor: Floats
    anti_xa_factor: Floats
    within: Floats
    platelets_g_l: Floats
    haemoglobin_g_dl: Floats
    hit_from_ms: Floats
    hit_fall: Floats
    warfarin_from_ms: Floats
    inr_final: Floats


class Bleeding(Struct, frozen=True):
    """A bleeding that began: whose, when, and how fast haemoglobin falls by it."""

    index: int
    at_ms: int
    g_dl_day: float


class PatientTruth(Struct, frozen=True, kw_only=True):
    """What is so in one patient now, for the truth that grades a monitor."""

    anti_xa_iu_ml: float
    aptt_s: float
    clearance_share: float
    platelets_g_l: float
    haemoglobin_g_dl: float
    inr: float
    is_bleeding: bool
    has_hit: bool


class Patients:
    """n patients on one clock; every array has shape (n,)."""

    def __init__(self, traits: Traits, start_ms: int, blood: Blood | None = None) -> None:
        """Patients without any heparin yet, at `start_ms`."""
        size = len(traits.keys)
        self.traits = traits
        self.blood = blood or Blood()
        self.start_ms = start_ms
        self.now_ms = start_ms
        self.level_iu_ml = np.zeros(size)
        self.platelets_g_l = traits.platelets_g_l.copy()
        self.haemoglobin_g_dl = traits.haemoglobin_g_dl.copy()
        self.hit_from_ms = traits.hit_from_ms.copy()
        self.hit_fall = traits.hit_fall.copy()
        self.bleeding_until_ms = np.full(size, -_NEVER)
        self.bleeding_g_dl_h = np.zeros(size)
        self._trend = np.ones(size)
        self._trend_from_ms = np.full(size, _NEVER)
        self._trend_length_ms = np.ones(size)
        self._trend_fall = np.zeros(size)
        self._within = traits.within.copy()
        self._share = np.ones(size)
        self._clearance = np.empty(size)
        self._vmax = np.empty(size)
        self._tick = 0
        self._bleedings: list[Bleeding] = []
        self._set_elimination()

    def __len__(self) -> int:
        """How many there are."""
        return len(self.level_iu_ml)

    def advance(self, dose_iu: Floats, to_ms: int) -> None:
        """Move on to `to_ms`, while `dose_iu` (shape (n,), at least 0) reaches them evenly."""
        length_ms = to_ms - self.now_ms
        if length_ms <= 0:
            assert length_ms == 0, "patients do not grow younger"
            return
        rate_iu_kg_h = dose_iu / (self.traits.weight_kg * (length_ms / MS_PER_HOUR))
        while self.now_ms < to_ms:
            tick_ms = self.start_ms + (self._tick + 1) * TICK_MS
            until_ms = min(to_ms, tick_ms)
            traits, dt_h = self.traits, (until_ms - self.now_ms) / MS_PER_HOUR
            ways = (traits.volume_ml_kg, self._clearance, self._vmax, traits.km_iu_ml)
            self.level_iu_ml = heparin.step(self.level_iu_ml, rate_iu_kg_h, dt_h, *ways, exp=np.exp)
            self.now_ms = until_ms
            if until_ms == tick_ms:
                self._tick += 1
                self._move_slowly()

    def take_bleedings(self) -> list[Bleeding]:
        """The bleedings that began since the last call, in order of time."""
        bleedings, self._bleedings = self._bleedings, []
        return bleedings

    # --- what a scenario does ------------------------------------------------------------------

    def begin_clearance_fall(self, index: int, share: float, length_h: float) -> None:
        """From now on the clearance falls by `share` of what it is, evenly over `length_h`.

        A negative share lets it rise. It stays where it ends.
        """
        self._trend[index] *= self._fallen(index)
        self._trend_from_ms[index] = self.now_ms
        self._trend_length_ms[index] = length_h * MS_PER_HOUR
        self._trend_fall[index] = share

    def begin_hit(self, index: int, fall: float | None = None) -> None:
        """Platelets begin to fall now, in the end by the share `fall` of the count before."""
        self.hit_from_ms[index] = self.now_ms
        if fall is not None:
            self.hit_fall[index] = fall

    def begin_bleeding(self, index: int, g_dl_day: float, length_h: float) -> None:
        """A bleeding begins now; another one that goes on becomes this one."""
        self.bleeding_until_ms[index] = self.now_ms + length_h * MS_PER_HOUR
        self.bleeding_g_dl_h[index] = g_dl_day / 24.0
        self._bleedings.append(Bleeding(index, self.now_ms, g_dl_day))

    # --- what is so ----------------------------------------------------------------------------

    def inr(self, index: int) -> float:
        """The true INR now."""
        hours = hours_between(float(self.traits.warfarin_from_ms[index]), self.now_ms)
        return inr(hours, float(self.traits.inr_final[index]))

    def aptt_s(self, index: int, reagent_slope_ml_iu: float) -> float:
        """The true aPTT now as a reagent sees it, above what a machine can read too."""
        return float(
            heparin.aptt_s(
                float(self.level_iu_ml[index]),
                float(self.traits.aptt_baseline_s[index]),
                float(self.traits.aptt_slope_factor[index]) * reagent_slope_ml_iu,
                cap_s=_NEVER,
            )
        )

    def truth(self, index: int) -> PatientTruth:
        """What is so in one patient now; the aPTT by the typical reagent."""
        return PatientTruth(
            anti_xa_iu_ml=float(self.level_iu_ml[index]),
            aptt_s=min(self.aptt_s(index, heparin.CLINICAL.aptt_slope_ml_iu), heparin.APTT_CAP_S),
            clearance_share=float(self._share[index]),
            platelets_g_l=float(self.platelets_g_l[index]),
            haemoglobin_g_dl=float(self.haemoglobin_g_dl[index]),
            inr=self.inr(index),
            is_bleeding=bool(self.bleeding_until_ms[index] > self.now_ms),
            has_hit=bool(self.hit_from_ms[index] <= self.now_ms),
        )

    # --- slow things ---------------------------------------------------------------------------

    def _fallen(self, index: int | slice = slice(None)) -> Floats:
        passed_ms = self.now_ms - self._trend_from_ms[index]
        share = np.clip(passed_ms / self._trend_length_ms[index], 0.0, 1.0)
        return np.asarray(1.0 - self._trend_fall[index] * share)

    def _set_elimination(self) -> None:
        self._share = self._trend * self._fallen() * np.exp(_WITHIN_SD * self._within)
        self._clearance = self.traits.clearance_ml_h_kg * self._share
        self._vmax = self.traits.vmax_iu_kg_h * self._share

    def _move_slowly(self) -> None:
        """One tick: noise and trend of the clearance, platelets, haemoglobin, new bleedings."""
        keys, first = self.traits.keys, self._tick * _SERIES
        chance = (uniforms(keys, first + _NOISE) * 2.0 - 1.0) * _HALF_WIDTH
        self._within = _WITHIN_KEPT * self._within + _WITHIN_NEW * chance
        self._set_elimination()
        self._move_platelets()
        bleeds = self.bleeding_until_ms > self.now_ms - TICK_MS
        self.haemoglobin_g_dl -= np.where(bleeds, self.bleeding_g_dl_h * _TICK_H, 0.0)
        np.maximum(
            self.haemoglobin_g_dl, self.blood.haemoglobin_min_g_dl, out=self.haemoglobin_g_dl
        )
        begins = uniforms(keys, first + _BLEEDS) < bleeding_chance(
            self.level_iu_ml, _TICK_H, self.blood
        )
        for index in np.flatnonzero(begins & ~bleeds).tolist():
            how_fast, how_long = (
                float(uniforms(keys[index : index + 1], first + series)[0])
                for series in (_HOW_FAST, _HOW_LONG)
            )
            low, high = self.blood.bleeding_g_dl_day
            shortest, longest = self.blood.bleeding_h
            # Most bleedings are slow: the square leans to the low end.
            self.begin_bleeding(
                index, low + (high - low) * how_fast**2, shortest + (longest - shortest) * how_long
            )

    def _move_platelets(self) -> None:
        """Towards the nadir while there is HIT and heparin, else back to the patient's count."""
        has_hit = self.hit_from_ms < self.now_ms
        if not has_hit.any():
            return
        falls = has_hit & (self.level_iu_ml > 0.02)
        usual, blood = self.traits.platelets_g_l, self.blood
        target = np.where(falls, usual * (1.0 - self.hit_fall), usual)
        time_h = np.where(falls, blood.hit_fall_time_h, blood.recovery_time_h)
        self.platelets_g_l = approach(self.platelets_g_l, target, time_h, _TICK_H)


# --- who they are ----------------------------------------------------------------------------


def draw_patients(
    weight_kg: Floats,
    *,
    seed: int,
    start_ms: int,
    described: Mapping[int, Patient] | None = None,
    blood: Blood | None = None,
) -> Patients:
    """The patients of a seed, one for each weight; `described` by index overrides what is drawn.

    Each purpose has its own series, of which patient k takes number k: the same in every fleet
    that has a patient k, whatever else is drawn.
    """
    blood = blood or Blood()
    described = described or {}
    size = len(weight_kg)
    z = _Normals(seed, size)
    elimination = np.exp(_ELIMINATION_SD * z.take("elimination"))
    volume = np.exp(
        _VOLUME_SD
        * _correlated(z.take("elimination"), z.take("volume"), _ELIMINATION_VOLUME_CORRELATION)
    )
    slope = np.exp(
        _SLOPE_SD * _correlated(z.take("baseline"), z.take("slope"), _BASELINE_SLOPE_CORRELATION)
    )
    baseline = heparin.CLINICAL.aptt_baseline_s * np.exp(_BASELINE_SD * z.take("baseline"))
    reading = np.ones(size)
    typical = {name: np.full(size, value) for name, value in _constants("clinical").items()}
    counts = _counts(z, blood, start_ms)
    for index, patient in described.items():
        for name, value in _constants(patient.pharmacokinetics).items():
            typical[name][index] = value
        if patient.elimination_factor is not None:
            elimination[index] = patient.elimination_factor
        for word in patient.conditions:
            condition = heparin.CONDITIONS[word.replace("-", "_")]
            elimination[index] *= condition.elimination_factor
            volume[index] *= condition.volume_factor
            slope[index] *= condition.aptt_slope_factor
            reading[index] *= condition.anti_xa_factor
        _describe_counts(counts, index, patient, start_ms)
    own = heparin.individual(
        heparin.Parameters(**typical), weight_kg, elimination, volume, aptt_slope_factor=1.0
    )
    traits = Traits(
        keys=z.chance("keys").integers(0, 2**64, size=size, dtype=np.uint64),
        weight_kg=np.asarray(weight_kg, dtype=np.float64),
        volume_ml_kg=own.volume_ml_kg,
        clearance_ml_h_kg=own.clearance_ml_h_kg,
        vmax_iu_kg_h=own.vmax_iu_kg_h,
        km_iu_ml=own.km_iu_ml,
        aptt_baseline_s=np.clip(baseline, *_BASELINE_LIMITS_S),
        aptt_slope_factor=slope,
        anti_xa_factor=reading,
        within=z.take("within"),
        **counts,
    )
    return Patients(traits, start_ms, blood)


# Each purpose's place among the children of the seed; new ones go to the end.
_PURPOSES = (
    "keys", "elimination", "volume", "baseline", "slope", "within",
    "platelets", "haemoglobin", "hit", "hit-onset", "hit-fall", "inr",
)  # fmt: skip


class _Normals:
    """Chance for a purpose, the same however often and in whichever order it is asked for."""

    def __init__(self, seed: int, size: int) -> None:
        self.seed = seed
        self.size = size

    def chance(self, purpose: str) -> np.random.Generator:
        place = (_SPAWN, _PURPOSES.index(purpose))
        return np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(self.seed, spawn_key=place))
        )

    def take(self, purpose: str) -> Floats:
        """Standard normal numbers, shape (n,)."""
        return self.chance(purpose).standard_normal(self.size)

    def between(self, purpose: str, limits: tuple[float, float]) -> Floats:
        """Numbers uniform between two limits, shape (n,)."""
        return self.chance(purpose).uniform(*limits, self.size)


def _correlated(z: Floats, other: Floats, correlation: float) -> Floats:
    """Standard normal numbers with this correlation to `z`, made of independent `other`."""
    return correlation * z + math.sqrt(1.0 - correlation**2) * other


def _constants(name: str) -> dict[str, float]:
    typical = {"clinical": heparin.CLINICAL, "volunteer": heparin.VOLUNTEER}[name]
    return {field: getattr(typical, field) for field in typical.__struct_fields__}


def _counts(z: _Normals, blood: Blood, start_ms: int) -> dict[str, Floats]:
    """Blood counts at the start, who gets HIT and when, and what the INR ends at."""
    onset_ms = start_ms + z.between("hit-onset", blood.hit_onset_day) * 24.0 * MS_PER_HOUR
    gets_hit = z.between("hit", (0.0, 1.0)) < blood.hit_share
    haemoglobin = blood.haemoglobin_sd_g_dl * z.take("haemoglobin")
    inr_final = blood.inr_median * np.exp(blood.inr_log_sd * z.take("inr"))
    return {
        "platelets_g_l": z.between("platelets", blood.platelets_g_l),
        "haemoglobin_g_dl": np.clip(blood.haemoglobin_mean_g_dl + haemoglobin, 9.0, 17.5),
        "hit_from_ms": np.where(gets_hit, np.floor(onset_ms), _NEVER),
        "hit_fall": z.between("hit-fall", blood.hit_fall),
        "warfarin_from_ms": np.full(z.size, _NEVER),
        "inr_final": np.clip(inr_final, *blood.inr_limits),
    }


def _describe_counts(
    counts: dict[str, Floats], index: int, patient: Patient, start_ms: int
) -> None:
    if patient.platelets_g_l is not None:
        counts["platelets_g_l"][index] = patient.platelets_g_l
    if patient.haemoglobin_g_dl is not None:
        counts["haemoglobin_g_dl"][index] = patient.haemoglobin_g_dl
    if patient.hit_onset is not None:
        counts["hit_from_ms"][index] = start_ms + patient.hit_onset.ms
    if patient.warfarin_from is not None:
        counts["warfarin_from_ms"][index] = start_ms + patient.warfarin_from.ms
