"""Sets of policy files in the store: whole or none, under the digest that they hash to."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from shutil import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.adapters.stores.encrypted_store import EncryptedStore
from broker.adapters.stores.sqlite import SqliteStore
from broker.core.errors import StoreUnavailable
from broker.core.policy.set_digest import digest
from broker.core.ports import Key, Write
from broker.use_cases.policies.stored_sets import StoredSets, packed, unpacked
from tests.plugins.drawn import drawn

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
FILES = {"student.yaml": b"version: 1\n", "employee.yaml": bytes(range(256))}


@pytest.fixture
def store(tmp_path: Path, empty_store: Path) -> SqliteStore:
    """Give an empty store."""
    return SqliteStore(Path(copy(empty_store, tmp_path / "broker.db")))


@settings(max_examples=drawn(40))
@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=4), st.binary(max_size=20), max_size=4))
def test_what_is_packed_is_unpacked(files: dict[str, bytes]) -> None:
    """Any names and any octets come back as they were."""
    assert unpacked(packed(files)) == files


@settings(max_examples=drawn(40))
@given(st.text("Ab0-{", max_size=30))
def test_a_text_that_is_not_whole_is_no_set(text: str) -> None:
    """Nothing else raises, whatever the store holds."""
    whole = packed(FILES)
    for broken in (text, whole[: len(text)], whole + text, text + whole):
        assert unpacked(broken) in (None, FILES)


def test_a_set_is_read_as_it_was_kept(store: SqliteStore) -> None:
    """Under its digest; another digest names none."""
    sets = StoredSets(store)
    assert sets.keep(FILES, NOW) == digest(FILES)
    assert sets.read(digest(FILES), NOW) == FILES
    assert sets.read("0" * 64, NOW) is None


def many() -> Mapping[str, bytes]:
    """Give a thousand files of three kilobytes that hardly compress."""
    drawn = random.Random(0)
    return {f"{number}.yaml": drawn.randbytes(1500).hex().encode() for number in range(1000)}


def test_a_thousand_files_are_a_few_records(store: SqliteStore) -> None:
    """No record is of a size that holds up a store, and reading puts them together in their order."""
    files = many()
    StoredSets(store).keep(files, NOW)
    pieces = list(store.list("policy", f"set/{digest(files)}", NOW))
    assert 2 < len(pieces) < 20
    assert max(len(kept.value) for _, kept in pieces) < 300_000
    assert StoredSets(store).read(digest(files), NOW) == files


@pytest.mark.long("spoils every piece of a set in turn")
def test_a_set_that_lost_a_piece_is_none_until_it_is_kept_again(store: SqliteStore) -> None:
    """What is left of it is not taken for a set; keeping it again makes it whole."""
    files = many()
    sets = StoredSets(store)
    name = sets.keep(files, NOW)
    store.drop(Key("policy", f"set/{name}", "0001"))
    assert sets.read(name, NOW) is None
    sets.keep(files, NOW)
    assert sets.read(name, NOW) == files


def tampered(store: SqliteStore, key: Key) -> None:
    """Change an octet of a record where it lies."""
    kept = store.get(key, NOW)
    assert kept
    broken = kept._replace(value=kept.value[:-1] + bytes([kept.value[-1] ^ 1]), version="another")
    assert store.put(key, broken, kept.version, NOW)


@pytest.mark.long("spoils every piece of a set in turn")
@pytest.mark.parametrize("pieces", [["0000"], ["0001"], ["0000", "0001", "0002"]])
def test_a_piece_that_does_not_open_makes_the_set_none_until_it_is_kept_again(
    store: SqliteStore, pieces: list[str]
) -> None:
    """It is replaced unopened: the digest says what it has to hold, and no other set is touched."""
    files = many()
    sets = StoredSets(EncryptedStore(store, {"k": bytes(32)}, "k"))
    other = sets.keep(FILES, NOW)
    name = sets.keep(files, NOW)
    for piece in pieces:
        tampered(store, Key("policy", f"set/{name}", piece))
    assert sets.read(name, NOW) is None
    assert (sets.fault(name, NOW), sets.fault("0" * 64, NOW)) == ("is not whole in the store", "is not in the store")
    assert sets.keep(files, NOW) == name
    assert (sets.read(name, NOW), sets.fault(name, NOW)) == (files, "")
    assert sets.read(other, NOW) == FILES


def test_a_set_that_another_key_sealed_is_written_by_ours(store: SqliteStore) -> None:
    """Where the key is lost the files are not: whoever has them makes the set whole."""
    name = StoredSets(EncryptedStore(store, {"old": bytes(32)}, "old")).keep(FILES, NOW)
    sets = StoredSets(EncryptedStore(store, {"new": bytes(32)}, "new"))
    assert sets.read(name, NOW) is None
    sets.keep(FILES, NOW)
    assert sets.read(name, NOW) == FILES


def test_a_set_is_kept_only_where_it_reads_as_it_was_written(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two that write it anew at once one may drop what the other has written: it is looked at again."""
    sets = StoredSets(store)
    put_many, puts = SqliteStore.put_many, []

    def lossy(self: SqliteStore, first: Write, *rest: Any, **options: Any) -> bool:
        stands = put_many(self, first, *rest, **options)
        puts.append(first.key)
        if len(puts) in lost:
            self.drop(first.key)
        return stands

    monkeypatch.setattr(SqliteStore, "put_many", lossy)
    lost = range(1, 2)
    assert sets.keep(FILES, NOW) == digest(FILES)
    assert sets.read(digest(FILES), NOW) == FILES
    lost = range(100)
    with pytest.raises(StoreUnavailable):
        sets.keep({"other.yaml": b"1"}, NOW)


def test_another_set_under_its_name_is_not_taken_for_it(store: SqliteStore) -> None:
    """What is read is hashed: a name alone says nothing."""
    sets = StoredSets(store)
    other = sets.keep({"other.yaml": b"1"}, NOW)
    found = store.get(Key("policy", f"set/{other}", "0000"), NOW)
    assert found
    store.put(Key("policy", f"set/{digest(FILES)}", "0000"), found, None, NOW)
    assert sets.read(digest(FILES), NOW) is None
    assert sets.keep(FILES, NOW) == digest(FILES)
    assert sets.read(digest(FILES), NOW) == FILES
