"""Local time for a core that knows no time zones: a table of offsets, and days of the week."""

MINUTES_OF_DAY = 24 * 60
# 1970-01-01 was a Thursday; Monday is 0.
EPOCH_WEEKDAY = 3

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

# From this instant (Unix milliseconds) on, local time is so many minutes ahead of UTC.
Offset = tuple[int, int]
