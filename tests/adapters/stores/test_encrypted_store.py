"""Encryption of the store: secrecy, changed values, and rotation of keys."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.adapters.stores.encrypted_store import EncryptedStore
from broker.adapters.stores.open_store import open_store
from broker.core.errors import StoreUnavailable
from broker.core.ports import Kept, Key, NewerRelease, Store, Write

NOW = datetime(2031, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
OLD, NEW = bytes(range(32)), bytes(range(1, 33))
MARKER = b"0101010000-and-more-that-nobody-may-read"
KEY = Key("person", "g", "n")


@pytest.fixture
def bare(tmp_path: Path) -> Store:
    """Give the store beneath the seal."""
    return open_store("sqlite:broker.db", tmp_path)


def _put(store: Store, key: Key = KEY, value: bytes = MARKER) -> None:
    found = store.get(key, NOW)
    assert store.put(key, Kept(value, f"{len(value)}", LATER, NOW), found and found.version, NOW)


def test_the_file_holds_no_plaintext(bare: Store, tmp_path: Path) -> None:
    """Files, keys and errors of the store show nothing of a value."""
    _put(EncryptedStore(bare, {"k1": OLD}, "k1"))
    octets = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"person" in octets
    assert MARKER[:10] not in octets


def test_the_same_value_never_looks_the_same(bare: Store) -> None:
    """Two records of one value, and one record written twice, share no ciphertext: each write draws its nonce."""
    sealed, seen = EncryptedStore(bare, {"k1": OLD}, "k1"), set()
    for number in range(20):
        _put(sealed, Key("reference", str(number % 2)), MARKER + bytes(number // 2))
        found = bare.get(Key("reference", str(number % 2)), NOW)
        assert found is not None
        seen.add(found.value[4:24])
    assert len(seen) == 20


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (Key("reference", "g", "n"), Key("reference", "g", "m")),
        (Key("reference", "g", "n"), Key("reference", "h", "n")),
        (Key("reference", "g", "n"), Key("session", "g", "n")),
        (Key("reference", "g/n", ""), Key("reference", "g", "n/")),
        (Key("reference", "gn", ""), Key("reference", "g", "n")),
    ],
)
def test_a_record_moved_to_another_key_is_refused(bare: Store, source: Key, target: Key) -> None:
    """An attacker who can write to the store cannot give one person's record to another."""
    sealed = EncryptedStore(bare, {"k1": OLD}, "k1")
    _put(sealed, source)
    found = bare.get(source, NOW)
    assert found is not None
    bare.put(target, found, None, NOW)
    with pytest.raises(StoreUnavailable) as refused:
        sealed.get(target, NOW)
    assert refused.value.http == 503
    assert source.group not in str(refused.value).split()


class _One(Store):
    """A store with one record, which an attacker has written."""

    def __init__(self) -> None:
        self.kept: Kept | None = None

    def get_many(self, keys: Sequence[Key], now: datetime) -> "list[Kept | None]":  # noqa: ARG002
        return [self.kept]

    def put_many(self, first: Write, others: Sequence[Write], now: datetime, *, durable: bool = False) -> bool:  # noqa: ARG002
        self.kept = first.kept
        return True


def _bent(octets: bytes, place: int, bit: int) -> bytes:
    place %= len(octets)
    return octets[:place] + bytes([octets[place] ^ 1 << bit]) + octets[place + 1 :]


@given(st.binary(max_size=60), st.integers(0, 10_000), st.integers(0, 7))
def test_a_flipped_bit_is_refused(value: bytes, place: int, bit: int) -> None:
    """In schema, key id, nonce or ciphertext."""
    one = _One()  # type: ignore[abstract]
    sealed = EncryptedStore(one, {"k1": OLD, "k0": OLD}, "k1")
    sealed.put(KEY, Kept(value, "1", LATER), None, NOW)
    assert one.kept is not None
    assert sealed.get(KEY, NOW) == Kept(value, "1", LATER)
    one.kept = one.kept._replace(value=_bent(one.kept.value, place, bit))
    with pytest.raises(StoreUnavailable):
        sealed.get(KEY, NOW)


@pytest.mark.parametrize("length", [0, 1, 4, 30])
def test_a_value_cut_short_is_refused(bare: Store, length: int) -> None:
    """A value of which only the beginning is left is a refusal, never an error of another kind."""
    sealed = EncryptedStore(bare, {"k1": OLD}, "k1")
    _put(sealed)
    found = bare.get(KEY, NOW)
    assert found is not None
    bare.put(KEY, found._replace(value=found.value[:length], version="cut"), found.version, NOW)
    with pytest.raises(StoreUnavailable):
        sealed.get(KEY, NOW)


def test_a_seal_of_a_newer_release_says_so(bare: Store) -> None:
    """Alone and in a list, whose other records are read, also between damaged ones."""
    sealed = EncryptedStore(bare, {"k1": OLD}, "k1")
    other = KEY._replace(name="other")
    _put(sealed)
    _put(sealed, other)
    found = bare.get(KEY, NOW)
    assert found
    bare.put(KEY, found._replace(value=b"\x02" + found.value[1:], version="2"), found.version, NOW)
    with pytest.raises(NewerRelease, match="written by a newer release"):
        sealed.get(KEY, NOW)
    for name in ("a", "z"):
        assert bare.put(KEY._replace(name=name), Kept(b"", "damaged", LATER), None, NOW)
    listed, read = sealed.list(KEY.kind, None, NOW), []
    with pytest.raises(NewerRelease):  # noqa: PT012 - the last of the list raises
        for key, _ in listed:
            read.append(key)
    assert read == [other]


def test_keys_change_without_a_break(bare: Store) -> None:
    """A new key reads one reload before it writes; an old one reads for as long as it is kept, and no longer."""
    steps: list[tuple[Mapping[str, bytes], str]] = [
        ({"old": OLD}, "old"),
        ({"old": OLD, "new": NEW}, "old"),
        ({"old": OLD, "new": NEW}, "new"),
    ]
    stores = [EncryptedStore(bare, keys, writes) for keys, writes in steps]
    for number, writer in enumerate(stores):
        key = Key("reference", str(number))
        _put(writer, key)
        # A reload reaches the workers one by one: each step must read what its neighbours write.
        for reader in stores[max(0, number - 1) : number + 2]:
            found = reader.get(key, NOW)
            assert found is not None
            assert found.value == MARKER
    without = EncryptedStore(bare, {"new": NEW}, "new")
    assert without.get(Key("reference", "2"), NOW) is not None
    with pytest.raises(StoreUnavailable):
        without.get(Key("reference", "0"), NOW)


def test_a_key_of_the_same_id_that_is_another_is_refused(bare: Store) -> None:
    """A wrong key under the right id opens nothing."""
    _put(EncryptedStore(bare, {"k1": OLD}, "k1"))
    with pytest.raises(StoreUnavailable):
        EncryptedStore(bare, {"k1": NEW}, "k1").get(KEY, NOW)


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.get(KEY, NOW),
        lambda store: list(store.list("person", "g", NOW)),
        lambda store: list(store.list("person", None, NOW)),
        lambda store: store.claim("person", None, "c", NOW, NOW),
    ],
)
def test_every_way_to_read_opens_the_seal(bare: Store, ask: Callable[[Store], object]) -> None:
    """No method hands out a value whose seal did not open."""
    _put(bare, KEY, b"never sealed")
    with pytest.raises(StoreUnavailable):
        ask(EncryptedStore(bare, {"k1": OLD}, "k1"))
