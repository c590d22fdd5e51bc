"""The simulated identity providers: the WAYF hub and NemLog-in."""
