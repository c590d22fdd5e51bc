"""The simulated WAYF hub and NemLog-in."""
