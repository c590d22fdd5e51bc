"""Keep the RSA keys of tests in pytest's cache folder: making one and validating one take a tenth of a second each.

A process gets each key once, so that two keys of a test always differ.
"""

import secrets
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from broker.adapters.saml.keys import key_ring
from broker.adapters.saml.xml_security import signature

MAKE: Final = rsa.generate_private_key
_GIVEN: Final[Counter[int]] = Counter()
_VALID: Final[set[bytes]] = set()


def generate(folder: Path, public_exponent: int, key_size: int) -> RSAPrivateKey:
    """Return the next stored key of this size, as ``rsa.generate_private_key`` does."""
    _GIVEN[key_size] += 1
    path = folder / f"{key_size}-{_GIVEN[key_size]}.pem"
    if not path.exists():
        draft = path.with_suffix(f".{secrets.token_hex(8)}")
        key = MAKE(public_exponent, key_size)
        draft.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        draft.replace(path)
    octets = path.read_bytes()
    _VALID.add(octets)
    found = load(octets)
    assert isinstance(found, RSAPrivateKey)
    return found


def load(data: bytes, password: bytes | None = None) -> Any:
    """Load a key; validate it unless this process got exactly this file from the store."""
    return load_pem_private_key(data, password, unsafe_skip_rsa_key_validation=bytes(data) in _VALID)


def pytest_configure(config: pytest.Config) -> None:
    """Serve the requests of this process for RSA keys from the store."""
    if hasattr(config, "cache"):
        vars(rsa)["generate_private_key"] = partial(generate, config.cache.mkdir("rsa-keys"))
        for module in (signature, key_ring):
            vars(module)["load_pem_private_key"] = load
