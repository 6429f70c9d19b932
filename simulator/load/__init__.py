"""`dripwatch load`: the traffic of pumps at rates that hurt brokers, measured truthfully.

The parent (`run.py`) starts generators and a receiver, each a process of its own, and adds up what
they tell once a second. `plan.py` is what is asked for and its limits, `traffic.py` what the pumps
say and when it is meant to leave; `generator.py` sends it, on the sessions of `link/lean.py`.
`receiver.py` and `ledger.py` hold what came against what was sent, `latency.py` counts how long
things took, `verdict.py` judges.
"""
