"""Borrower accounts: found, requested, made in the library system, and cases for staff."""
