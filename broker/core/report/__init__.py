"""The record for the data protection officer: who gets what, by what may really leave."""
