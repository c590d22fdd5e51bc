"""Koha: its REST API for borrowers, and SIP2 for PINs."""
