"""Every number that a rule compares with, in one Struct: what it is, and where it comes from.

A number can be changed for a site, a therapy or a patient in `config/alerts.toml`; the defaults
are these. Marks: [V] read in the source, [V2] read in a secondary source, [D] derived from such,
[A] a proposal of this project. GIP is the Generic Infusion Pump safety requirements.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from infusion.units import MS_PER_MINUTE

Minutes = Annotated[float, Meta(ge=0, le=10_080)]
Hours = Annotated[float, Meta(ge=0, le=720)]
Days = Annotated[float, Meta(ge=0, le=365)]
Share = Annotated[float, Meta(ge=0, le=1)]
Factor = Annotated[float, Meta(ge=1, le=100)]
Level = Annotated[float, Meta(ge=0, le=10)]
Count = Annotated[int, Meta(ge=1, le=1_000)]
Amount = Annotated[float, Meta(ge=0, le=100_000)]

# A pump is missed after this many of its intervals, and never before the first level. [A]
SILENT_INTERVALS = 6
SILENT_MS = 5 * MS_PER_MINUTE
# Who speaks under a pump's name is followed once the voice that was followed so far has been silent
# for this share of the time until a pump is missed: three minutes of five. Longer than a message
# may be late, and so short that a pump which speaks is never called silent. [A]
OTHER_SILENT_SHARE = 0.6
# How long something seen once (a counter fault, a foreign identity) stays a hazard. Counted in
# what the pump has told since: silence resolves nothing. [A]
SEEN_MS = 15 * MS_PER_MINUTE


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The numbers; see the head of this file. Shares are fractions of what is ordered."""

    # --- the rate as programmed, against the order --------------------------------------------
    # Pump accuracy is 5 to 6 %: CADD-Solis manual p.74 [V]; H08 proposes ±5 % [A].
    rate_tolerance: Share = 0.05
    # Beyond so many times the order, or so many times less, the mistake is gross [A].
    rate_gross: Factor = 2.0
    # How long somebody has to carry out a changed rate (M04 [A]), a hold or stop, a bolus [A].
    change_grace_min: Minutes = 30.0
    hold_grace_min: Minutes = 10.0
    bolus_grace_min: Minutes = 45.0
    # After so long a bolus that nobody gave is no longer one that was ordered [A].
    bolus_void_min: Minutes = 240.0
    # A pump may be programmed so long before the order's own instant [A].
    early_grace_min: Minutes = 5.0
    # A label says it exactly; the rest is for rounding [A].
    concentration_tolerance: Share = 0.01
    # H08 [A].
    weight_tolerance: Share = 0.10
    # The hard limits of the simulator's default drug library, heparin.md §1.6 [A].
    dose_min_iu_kg_h: Amount = 1.0
    dose_max_iu_kg_h: Amount = 35.0
    dose_max_iu_h: Amount = 4_000.0
    # M12 [A]; off where a site does not have its pumps ask for it.
    double_check_required: bool = False
    # L02 [A].
    overrides_max: Count = 2

    # --- the flow, by the counter -------------------------------------------------------------
    # GIP 1.2.2 and 1.2.3: more than 10 % for more than 15 minutes [V2].
    flow_tolerance: Share = 0.10
    # A flow this many times the programmed rate is free flow (H02 [A]).
    free_flow_factor: Factor = 5.0
    # H02: the reservoir is lower by this share than the counter explains [A].
    reservoir_missing_share: Share = 0.20
    # L01: 24 h delivered against ordered [A]; pumps are specified to ±6 % [V].
    day_tolerance: Share = 0.10
    # A counter may rest between two strokes before it is called frozen. [A]
    frozen_volume_ml: Amount = 0.1

    # --- the level in the blood that the dose makes -------------------------------------------
    # ρ = level by the delivered dose ÷ level by the ordered dose: H01, H04, M01 [A].
    level_ratio_high: Factor = 1.5
    level_ratio_low: Share = 0.5
    level_ratio_off: Share = 0.20

    # --- line, reservoir, battery -------------------------------------------------------------
    # M05 proposes 4 h: then a notice comes, the alert later; docs/detection.md says why [A].
    reservoir_notice_min: Minutes = 240.0
    reservoir_alert_min: Minutes = 30.0
    battery_notice_min: Minutes = 120.0
    battery_alert_min: Minutes = 30.0
    # CADD-Solis ±6 % (90/90) [V manual p.74], when the pump does not say better.
    pump_accuracy: Share = 0.06
    # L07 [A].
    occlusions_max: Count = 3
    # L06: bag hang time, a site's own rule [M]; 0.9 % saline in plastic is stable for 24 h [V].
    bag_hang_h: Hours = 24.0

    # --- laboratory ---------------------------------------------------------------------------
    # Which table speaks for the therapy; a name in config/nomograms.
    nomogram: str = "michigan_vte"
    # The test that the protocol goes by; "any" is anti-Xa where the laboratory does it, else aPTT.
    level_test: Literal["any", "anti-xa", "aptt"] = "any"
    # Whether results are missed before the first has come: what no laboratory is known to do, it
    # cannot be late with [A].
    laboratory_expected: bool = False
    # anti-Xa 0.3 to 0.7 IU/mL (Michigan VTE [V]); aPTT 1.5 to 2.5 times the control [M].
    anti_xa_low_iu_ml: Level = 0.30
    anti_xa_high_iu_ml: Level = 0.70
    aptt_low_s: Amount = 45.0
    aptt_high_s: Amount = 75.0
    # What a ratio is to: the middle of 25 to 36 s (Whitfield and Levy [V]).
    aptt_control_s: Amount = 30.0
    # M08: a physician hears of two in a row beyond these (Michigan [V]).
    far_low_iu_ml: Level = 0.20
    far_high_iu_ml: Level = 1.0
    # H06: median of North American laboratories is 100 s (NASCOLA 2011 [V]); 1.0 at Michigan [V].
    critical_aptt_s: Amount = 100.0
    critical_anti_xa_iu_ml: Level = 1.0
    critical_platelets_g_l: Amount = 50.0
    # H05: ≥ 2 g/dL (Durham [V]). H07, M09: 4Ts (ASH 2018 [V]).
    haemoglobin_fall_g_dl: Amount = 2.0
    platelets_fall_high: Share = 0.50
    platelets_fall_medium: Share = 0.30
    platelets_low_g_l: Amount = 100.0
    # M07: 6 h after start and change, daily when settled (Raschke, Michigan [V]); +1 h, +3 h [A].
    level_due_h: Hours = 6.0
    level_settled_h: Hours = 24.0
    level_overdue_h: Hours = 1.0
    level_overdue_high_h: Hours = 3.0
    # What is drawn is known only when it results: an hour at the median, and most within this [A].
    level_turnaround_h: Hours = 2.5
    # L04: day 4 to 14, every 2 to 3 days (ASH 2018 [V]).
    platelets_from_day: Days = 4.0
    platelets_until_day: Days = 14.0
    platelets_every_h: Hours = 72.0
    platelets_overdue_h: Hours = 12.0
    # A reading that is told at low priority: on either side 1.88 standard deviations, so that the
    # 1.96 by which patients vary (95 % [D]) are met whatever the account is off by [A].
    disagreement_chance_low: Share = 0.03
    # M10 [A], M11 (Hull 1997: within 24 h [V]).
    disagreement_iu_ml: Level = 0.25
    disagreement_share: Share = 0.50
    # And a reading so far out has to be this unlikely, or this when off the laboratory's scale; so
    # many times likelier must a wrong strength be than a patient who changed, to be told at all
    # and, where it is twice the dose or more, at high priority [A].
    disagreement_chance: Share = 0.003
    disagreement_chance_off_scale: Share = 0.02
    strength_likelihood: Factor = 25.0
    strength_likelihood_high: Factor = 100.0
    therapeutic_within_h: Hours = 24.0
    # The level that is foreseen: how far, how surely, and how fresh a result must bear it [A].
    forecast_h: Hours = 2.0
    forecast_chance: Share = 0.80
    forecast_anchor_h: Hours = 12.0
    # L03: so far beyond its range an aPTT has to be that anti-Xa calls in range [A].
    discordance_share: Share = 0.10
    # L05: weekly (Option Care/ASHP [V]).
    visit_every_h: Hours = 168.0
    visit_overdue_h: Hours = 24.0
    # What was planned for a time is missed so long after it [A].
    visit_late_h: Hours = 4.0
    delivery_late_h: Hours = 4.0
    # A complaint that nobody repeated or took back is no news after this; a bleeding stays [A].
    complaint_h: Hours = 72.0


DEFAULTS = Thresholds()
