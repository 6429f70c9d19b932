"""The pure core: prescriptions, messages, the dose account, rules and the life of alerts.

Values in, values out. Nothing here knows a clock, a socket, a file, chance or a log.
"""
