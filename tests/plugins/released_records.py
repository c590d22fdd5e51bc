"""Records of each release, kept in files that every later release must read.

``python -m tests.plugins.released_records`` writes the file of the present version. Run it for each release, and again if
a record changes before the release has its tag. The file of a tagged release never changes.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from datetime import UTC, date, datetime
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from broker.adapters.stores.encrypted_store import EncryptedStore
from broker.core.events.broker_events import TraceFacts
from broker.core.login.transaction import Arrival, Transaction
from broker.core.logout.logout_state import Logout
from broker.core.logout.sessions import Session
from broker.core.mail.mailed_codes import CodesEnded, StoredCodes
from broker.core.person_record import PersonRecord
from broker.core.ports import Key, StoredRecord
from broker.core.retention import RecordKind
from broker.use_cases.library_system.setup_check import CheckedSetup
from broker.use_cases.logout.sessions import Ended, Pointer
from broker.use_cases.staff.staff_sessions import StaffBinding, StaffSession
from broker.use_cases.storage.fleet import ProcessStatus
from broker.use_cases.storage.mail_outbox import QueuedMail
from broker.use_cases.storage.person_keys import KeyFingerprint
from broker.use_cases.storage.person_records import IndexEntry
from broker.use_cases.storage.records import dump
from tests.plugins.memory_store import MemoryStore

FOLDER: Final = Path(__file__).parents[1] / "use_cases" / "storage" / "released"
TYPES: Final[Mapping[type, RecordKind]] = {
    Arrival: "arrival",
    CodesEnded: "code",
    Ended: "session",
    IndexEntry: "index",
    KeyFingerprint: "index",
    Logout: "logout",
    PersonRecord: "person",
    Pointer: "session",
    ProcessStatus: "machine",
    CheckedSetup: "figures",
    QueuedMail: "mail",
    Session: "session",
    StaffBinding: "session",
    StaffSession: "session",
    StoredCodes: "code",
    TraceFacts: "reference",
    Transaction: "transaction",
}
# Stored as octets without a version: a key of the audit log, and a link of its chain.
OCTETS: Final[Mapping[str, RecordKind]] = {"audit": "audit", "machine": "machine"}
_AT: Final = datetime(2026, 11, 25, 12, 30, 15, 123456, tzinfo=UTC)
_UNTIL: Final = datetime(2126, 1, 1, tzinfo=UTC)
_KEY: Final = b"synthetic-key-of-the-fixture-32B"
_VARIANTS: Final = 12  # more than an enumeration has values; the last one has no optional value


def read_file(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the type and the opened octets of each record in a file."""
    memory = MemoryStore()
    store = EncryptedStore(memory, {"k1": _KEY}, "k1")
    for place, sealed in json.loads(path.read_text()).items():
        kind, name, variant = place.split(" ")
        key = Key(kind, name, variant)
        memory.records[key] = StoredRecord(b64decode(sealed), "1", _UNTIL)
        found = store.get(key, _AT)
        assert found
        yield name, found.value


def write_file(path: Path) -> None:
    """Write a file with every field of every type, and every value of each enumeration."""
    memory = MemoryStore()
    store = EncryptedStore(memory, {"k1": _KEY}, "k1")
    for kind_of, kind in TYPES.items():
        values = [dump(_build(kind_of, "", variant)) for variant in range(_VARIANTS)]
        for variant, octets in enumerate(dict.fromkeys(values)):
            store.put(Key(kind, kind_of.__name__, str(variant)), StoredRecord(octets, "1", _UNTIL), None, _AT)
    for name, kind in OCTETS.items():
        store.put(Key(kind, name, "0"), StoredRecord(name.encode(), "1", _UNTIL), None, _AT)
    rows = {" ".join(key): b64encode(record.value).decode() for key, record in memory.records.items()}
    path.write_text(json.dumps(rows, indent=0) + "\n")


def _build(hint: Any, name: str, variant: int) -> Any:
    """Return a value of a type. ``variant`` chooses among its alternatives."""
    origin, arguments = get_origin(hint), get_args(hint)
    if is_dataclass(hint) or hasattr(hint, "_fields"):
        return hint(**{field: _build(each, field, variant) for field, each in get_type_hints(hint).items()})
    if origin in {Union, UnionType}:
        if NoneType in arguments and variant == _VARIANTS - 1:
            return None
        alternatives = [each for each in arguments if each is not NoneType]
        return _build(alternatives[variant % len(alternatives)], name, variant)
    if origin is Literal or (isinstance(hint, type) and issubclass(hint, Enum)):
        choices = arguments or tuple(hint)
        return choices[variant % len(choices)]
    if origin is tuple and arguments[-1:] != (Ellipsis,):
        return tuple(_build(each, name, variant) for each in arguments)
    if origin in {tuple, frozenset}:
        return origin([_build(arguments[0], name, variant)])
    if origin is not None:  # a mapping
        return {_build(arguments[0], name, variant): _build(arguments[1], name, variant)}
    plain = {str: name, int: 7, float: 7.5, bool: variant % 2 == 0, datetime: _AT, date: _AT.date()}
    return plain[hint]


if __name__ == "__main__":
    write_file(FOLDER / f"{version('library-identity-broker')}.json")
