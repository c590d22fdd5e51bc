"""Keeps what strict YAML was read into: a run reads the same octets a hundred times, and no node ever changes."""

import sys
from functools import lru_cache
from typing import Final

from broker.files import strict_yaml

KEPT: Final = 256


def pytest_configure() -> None:
    """Let a document that was sound be read once in this process; one with faults is read anew."""
    read = strict_yaml.read
    kept = lru_cache(KEPT)(read)
    for module in list(sys.modules.values()):
        if vars(module).get("read") is read:
            module.__dict__["read"] = kept
