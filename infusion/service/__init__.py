"""The home infusion service around the pump: what is provided, used, due, and accounted for.

Pure like the rest of the core. Evidence and reminders for testing and training, never a claim and
never clinical advice.
"""
