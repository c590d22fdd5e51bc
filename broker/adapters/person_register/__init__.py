"""Registers of persons, which return addresses."""
