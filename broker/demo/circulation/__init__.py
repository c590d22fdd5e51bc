"""Loans, the library's desk, and self-service machines (SIP2), for any simulated system."""
