"""Borrower accounts: looked up, wished for, made in the library system once, and cases for staff."""
