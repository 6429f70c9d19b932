"""Quantities and conversions, and the one place where rounding is decided.

Names end in their unit: `_ml` millilitres, `_nl` nanolitres, `_iu` international units of heparin,
`_ml_h`, `_iu_h`, `_iu_kg_h` rates, `_ms` milliseconds (Unix time, or a length where the name says
so), `_s` seconds.

Volumes are counted as whole nanolitres (1 nL = 1e-6 mL): sums of volumes are exact, and a volume
on the wire has at most six decimals. Doses and rates are floats, rounded only when they leave.
"""

MS_PER_SECOND = 1_000
MS_PER_MINUTE = 60_000
MS_PER_HOUR = 3_600_000
MS_PER_DAY = 24 * MS_PER_HOUR
NL_PER_ML = 1_000_000


def nanolitres(volume_ml: float) -> int:
    """Whole nanolitres nearest to a volume in mL."""
    return round(volume_ml * NL_PER_ML)


def millilitres(volume_nl: int) -> float:
    """A volume in mL, with at most six decimals."""
    return volume_nl / NL_PER_ML


def dose_iu(volume_nl: int, concentration_iu_ml: float) -> float:
    """The dose in a volume: IU = mL × IU/mL."""
    return volume_nl * concentration_iu_ml / NL_PER_ML


def flow_ml_h(volume_nl: int, length_ms: int) -> float:
    """The mean flow that moves a volume in a length of time, which must be above zero."""
    return volume_nl / NL_PER_ML * MS_PER_HOUR / length_ms


def dose_rate_iu_h(dose_rate_iu_kg_h: float, weight_kg: float) -> float:
    """A weight-based dose rate for one patient: IU/h = IU/kg/h × kg."""
    return dose_rate_iu_kg_h * weight_kg


def pump_rate_ml_h(dose_rate_iu_h: float, concentration_iu_ml: float) -> float:
    """The pump rate that gives a dose rate: mL/h = IU/h ÷ IU/mL."""
    return dose_rate_iu_h / concentration_iu_ml


def dose_rate_iu_kg_h(rate_ml_h: float, concentration_iu_ml: float, weight_kg: float) -> float:
    """The weight-based dose rate that a pump rate gives."""
    return rate_ml_h * concentration_iu_ml / weight_kg


def round_dose_iu(dose: float) -> float:
    """A dose as it is shown and published: thousandths of an IU."""
    return round(dose, 3)


def round_rate(rate: float) -> float:
    """A rate (mL/h, IU/h or IU/kg/h) as it is shown and published: four decimals."""
    return round(rate, 4)
