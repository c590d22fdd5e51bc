"""The digest that names a set of policy files, and what differs between two sets."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import TypeVar

T = TypeVar("T")


def digest(files: Mapping[str, bytes]) -> str:
    """Return the SHA-256 over names and bytes, with their lengths in front, sorted by name."""
    total = hashlib.sha256()
    for name, octets in sorted(files.items()):
        for part in (name.encode(), octets):
            length = len(part).to_bytes(8, "big")
            total.update(length + part)
    return total.hexdigest()


def changes(before: Mapping[str, T], after: Mapping[str, T]) -> tuple[str, ...]:
    """Return what differs between files, or between the parts of a site, in words by name."""
    return tuple(_changes(before, after))


def _changes(before: Mapping[str, T], after: Mapping[str, T]) -> Iterator[str]:
    for name in sorted({*before, *after}):
        if name not in before:
            yield f"{name} added"
        elif name not in after:
            yield f"{name} removed"
        elif before[name] != after[name]:
            yield f"{name} changed"
