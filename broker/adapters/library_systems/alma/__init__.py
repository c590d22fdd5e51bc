"""Alma: its REST API for users."""
