"""Checks the demo: logs every persona in over HTTP and compares the outcome."""
