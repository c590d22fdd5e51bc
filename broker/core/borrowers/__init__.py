"""Borrowers: the wanted borrower, the change that leads to it, and PINs."""
