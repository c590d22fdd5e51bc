"""Borrower accounts: looked up, wished for, made in the library system, and cases for staff."""
