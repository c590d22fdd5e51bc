"""The simulated services of the library."""
