"""The page, and the HTTP API: what the monitor knows, for people with a browser and for programs.

`ward.py` is the only way from here into the monitor. `app.py` puts the routes together.
"""
