"""The stock of RSA keys gives each key once a process, and the same keys to the next; one seen sound is loaded fast."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from broker.adapters.saml.gate import signature
from broker.adapters.saml.keys import key_ring
from tests.plugins import rsa_keys
from tests.plugins.rsa_keys import LOAD, MAKE, Sound, Stock

SMALL = 1024


def test_a_process_is_given_no_key_twice(tmp_path: Path) -> None:
    """Two that must differ in a test do, and the next run is given the same ones without making any."""
    first, made = Stock(tmp_path), []
    keys = [first.generate(65537, SMALL).private_numbers() for _ in range(2)]
    assert keys[0] != keys[1]
    later = Stock(tmp_path, lambda *asked: made.append(asked) or MAKE(*asked))  # type: ignore[func-returns-value]
    assert [later.generate(65537, SMALL).private_numbers() for _ in range(2)] == keys
    assert made == []
    assert later.generate(65537, SMALL).private_numbers() not in keys
    assert made == [(65537, SMALL)]


def test_a_key_is_its_owner_s_and_of_the_size_that_was_asked_for(tmp_path: Path) -> None:
    """Sizes are kept apart; no file of it is open to others, and none is left half written."""
    stock = Stock(tmp_path)
    assert [stock.generate(65537, size).key_size for size in (SMALL, 2048, SMALL)] == [SMALL, 2048, SMALL]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1024-1.der", "1024-2.der", "2048-1.der"]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def pem(key: RSAPrivateKey) -> bytes:
    """Write a key as files hold it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_a_key_that_was_sound_is_loaded_anew_each_time() -> None:
    """No two that load it share an object."""
    octets = pem(MAKE(65537, 1024))
    sound = Sound()
    first, second = (sound.load(octets, password=None) for _ in range(2))
    assert first is not second
    assert first.private_numbers() == second.private_numbers()


def test_a_key_that_is_not_sound_is_refused_each_time() -> None:
    """Also where all but one number is that of a key that was sound, and after somebody has loaded it unseen."""
    key = MAKE(65537, 1024)
    sound = Sound({key.private_numbers()})
    sound.load(pem(key), password=None)
    numbers = key.private_numbers()
    changed = rsa.RSAPrivateNumbers(
        p=numbers.p,
        q=numbers.q,
        d=numbers.d + 2,
        dmp1=numbers.dmp1,
        dmq1=numbers.dmq1,
        iqmp=numbers.iqmp,
        public_numbers=numbers.public_numbers,
    )
    octets = pem(changed.private_key(unsafe_skip_rsa_key_validation=True))
    assert sound.load(octets, password=None, unsafe_skip_rsa_key_validation=True)
    for _ in range(2):
        with pytest.raises(ValueError, match="Invalid private key"):
            sound.load(octets, password=None)


def test_a_key_of_the_stock_is_known_to_be_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its numbers, in whatever file it is found; any other is looked at."""
    stock = Stock(tmp_path)
    sound = Sound(stock.numbers)
    looked: list[bool] = []

    def load(data: bytes, password: bytes | None, *, unsafe_skip_rsa_key_validation: bool = False) -> Any:
        looked.append(not unsafe_skip_rsa_key_validation)
        return LOAD(data, password, unsafe_skip_rsa_key_validation=unsafe_skip_rsa_key_validation)

    monkeypatch.setattr(rsa_keys, "LOAD", load)
    for key in (stock.generate(65537, SMALL), MAKE(65537, SMALL)):
        sound.load(pem(key), password=None)
    assert looked == [False, False, True]


def test_the_rooms_load_keys_so() -> None:
    """The function is exchanged in what reads a broker's keys, whenever that was loaded."""
    for room in (key_ring, signature):
        assert isinstance(vars(room)["load_pem_private_key"].__self__, Sound)
