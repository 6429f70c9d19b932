"""`python -m dripwatch` is `dripwatch`."""

from dripwatch.cli import main

main(prog_name="dripwatch")
