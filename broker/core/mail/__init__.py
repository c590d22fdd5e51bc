"""Mails: the values in their texts, and the codes that are mailed."""
