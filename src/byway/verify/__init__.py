"""The exact tests that rules bring along, run on this machine."""
