"""Borrower accounts: what is wanted of one, and what has to change for it."""
