"""Faults that a simulated library system has on demand, whichever system it is."""
