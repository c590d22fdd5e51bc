"""Connectors to library systems, each found by its entry point."""
