"""Starts the demo: writes its folder, serves the simulated parties, runs the broker."""
