"""Signed metadata feeds: fetches, verifies and stores them."""
