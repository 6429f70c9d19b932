"""The composition root: the command line, and everything that joins pumps and monitor."""
