"""Faults that tests switch on in any simulated library system."""
