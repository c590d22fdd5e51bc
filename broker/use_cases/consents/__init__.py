"""Receipts of consent, and a person's choices over them."""
