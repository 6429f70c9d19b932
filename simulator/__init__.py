"""Simulated infusion pumps: physics of a fleet, the discrete pump, scenarios, and publishing.

For testing and training only: not a medical device, and no physiological claim.
"""
