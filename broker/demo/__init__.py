"""Simulated WAYF, NemLog-in, library, patron API and mailbox around a real broker."""
