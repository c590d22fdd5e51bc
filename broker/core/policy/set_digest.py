"""The digest that names a set of policy files."""

import hashlib
from collections.abc import Mapping


def digest(files: Mapping[str, bytes]) -> str:
    """Return the SHA-256 over names and bytes, with their lengths in front, sorted by name."""
    total = hashlib.sha256()
    for name, octets in sorted(files.items()):
        for part in (name.encode(), octets):
            length = len(part).to_bytes(8, "big")
            total.update(length + part)
    return total.hexdigest()
