"""Keeps the RSA keys that tests make from one run to the next: each took a large part of a second to find.

No process is given a key twice, so that two keys of a test, or of all that lives beside it, are never the same.
Whether a key is sound is looked at once in a process: a tenth of a second, each time that a broker was put together.
Of a key that this process was given by the stock it was seen when the key was made, number by number.
"""

import os
import secrets
import sys
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPrivateNumbers
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

Make = Callable[[int, int], RSAPrivateKey]
MAKE: Final[Make] = rsa.generate_private_key
LOAD: Final = load_pem_private_key
FOR_OWNER: Final = 0o600


class Stock:
    """Keys in a folder, by size and number, made where there is none of that number yet."""

    def __init__(self, folder: Path, make: Make = MAKE) -> None:
        """Give nothing yet."""
        self.folder, self.make = folder, make
        self.given: Counter[int] = Counter()
        self.numbers: set[RSAPrivateNumbers] = set()

    def generate(self, public_exponent: int, key_size: int) -> RSAPrivateKey:
        """Give the next key, as ``rsa.generate_private_key`` does."""
        if public_exponent != 65537:
            return self.make(public_exponent, key_size)
        self.given[key_size] += 1
        path = self.folder / f"{key_size}-{self.given[key_size]}.der"
        if not path.exists():
            self._keep(path, self.make(public_exponent, key_size))
        # Whether it is a key was seen when it was made.
        found = load_der_private_key(path.read_bytes(), None, unsafe_skip_rsa_key_validation=True)
        assert isinstance(found, RSAPrivateKey)
        self.numbers.add(found.private_numbers())
        return found

    def _keep(self, path: Path, key: RSAPrivateKey) -> None:
        """Write a key whole or not at all: the other worker may be at the same number."""
        draft = path.with_suffix(f".{secrets.token_hex(8)}")
        octets = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FOR_OWNER)
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
        draft.replace(path)


class Sound:
    """The PEM files of keys that were sound: octet by octet, so that one that was changed is looked at anew."""

    def __init__(self, made: Collection[RSAPrivateNumbers] = ()) -> None:
        """Know none but those of the numbers that were ``made``."""
        self.known: set[bytes] = set()
        self.made = made

    def load(self, data: bytes, password: bytes | None, **more: Any) -> Any:
        """Load a key as ``load_pem_private_key`` does, anew each time; ValueError if it is not sound."""
        octets = bytes(data)
        skipped = more.pop("unsafe_skip_rsa_key_validation", False)
        found = LOAD(octets, password, unsafe_skip_rsa_key_validation=True, **more)
        if skipped or octets in self.known:
            return found
        if not self._was_made(found):
            found = LOAD(octets, password, **more)
        self.known.add(octets)
        return found

    def _was_made(self, key: Any) -> bool:
        """Say whether each number is that of one key that was made: who changes any of them is refused."""
        return isinstance(key, RSAPrivateKey) and key.private_numbers() in self.made


def exchange(load: Callable[..., Any]) -> None:
    """Let every module load keys by ``load``: those that have the library's function by now, and those to come."""
    for module in list(sys.modules.values()):
        if vars(module).get("load_pem_private_key") is LOAD:
            module.__dict__["load_pem_private_key"] = load


def pytest_configure(config: pytest.Config) -> None:
    """Give keys of the stock to whatever asks the library for a new one in this process."""
    made: Collection[RSAPrivateNumbers] = ()
    if hasattr(config, "cache"):
        stock = Stock(config.cache.mkdir("rsa-keys"))
        made = stock.numbers
        setattr(rsa, "generate_private_key", stock.generate)  # noqa: B010 - it has one more argument, which nobody names
    exchange(Sound(made).load)
