"""Keeps what strict YAML was read into: a run reads the same octets a hundred times, and no node ever changes."""

from functools import lru_cache
from typing import Final

from broker.files import strict_yaml

KEPT: Final = 256


def pytest_configure() -> None:
    """Let a document that was sound be read once in this process; one with faults is read anew."""
    setattr(strict_yaml, "read", lru_cache(KEPT)(strict_yaml.read))  # noqa: B010 - a function that keeps is of another type
