"""The ways on which alerts leave the monitor."""
