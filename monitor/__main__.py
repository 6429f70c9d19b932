"""`python -m monitor` is `dripwatch monitor`."""

from monitor.cli import command

command(prog_name="python -m monitor")
