"""`python -m simulator` is `dripwatch simulate`."""

from simulator.cli import command

command(prog_name="python -m simulator")
