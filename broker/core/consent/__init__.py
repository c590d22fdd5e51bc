"""Disclosure to a service, and the consent that it needs."""
