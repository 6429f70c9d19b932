"""Rules that say the same kind of thing, by their keys: what hides others, hides them together."""

SILENCE = ("no-telemetry", "pump-offline")
IDENTITY = ("two-pumps-one-name", "replayed-messages", "identity-mismatch", "clock-step")
# What is programmed wrong, the grossest first.
PROGRAMMED = (
    "wrong-concentration",
    "wrong-weight",
    "delivering-on-hold",
    "rate-not-as-ordered",
    "order-not-applied",
    "outside-limits",
    "library-bypassed",
)
FLOWS = ("free-flow-seen", "over-delivery", "under-delivery", "level-off-course")
# What leads the level in the blood off its course, beside what is programmed wrong, the alarms of
# a pump that stops it, and silence.
LEVEL_CAUSES = (
    "free-flow-seen",
    "over-delivery",
    "under-delivery",
    "hold-overrun",
    "not-delivering",
    "counter-frozen",
    "counter-fault",
    "two-pumps-one-name",
    "occlusion-forming",
)
