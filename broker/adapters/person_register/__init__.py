"""Registers of persons, which return addresses and residence."""
