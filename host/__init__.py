"""What every process needs of the machine it runs on: files, environment, logs, signals, time.

The rooms below it never look at these, the rooms above it get them from here.
"""
