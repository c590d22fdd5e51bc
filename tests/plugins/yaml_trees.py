"""Keeps what strict YAML was read into: a run reads the same octets a hundred times, and no node ever changes.

So with the policies in it, which are made of a file's name, its octets and its folder's name, and of nothing else.
"""

import sys
from functools import lru_cache
from typing import Final

from broker.files import strict_yaml
from broker.files.policies import compiled_files

KEPT: Final = 256


def pytest_configure() -> None:
    """Let a document that was sound be read once in this process; one with faults is read anew."""
    read = strict_yaml.read
    kept = lru_cache(KEPT)(read)
    for module in list(sys.modules.values()):
        if vars(module).get("read") is read:
            module.__dict__["read"] = kept
    compiled = lru_cache(KEPT)(compiled_files._read)
    setattr(compiled_files, "_read", compiled)  # noqa: B010 - a function, which mypy takes for what it was
