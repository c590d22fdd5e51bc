"""Stores the fingerprint of the keys for person ids, so that no store is used with other keys."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.core.ports import Key, Store
from broker.core.retention import PERSON_KEYS
from broker.use_cases.storage.records import Records

_FINGERPRINT_KEY: Final = Key("index", "person keys")


@dataclass(frozen=True, slots=True)
class KeyFingerprint:
    """The keyed hashes of a fixed text, which are different with other keys."""

    value: str


def register_keys(store: Store, fingerprint: str, now: datetime) -> bool:
    """Store the fingerprint if there is none; return False if the store was used with other keys.

    With other keys, every person would get another person id. Raises StoreUnavailable if the store
    does not answer.
    """
    records = Records(store, KeyFingerprint, durable=True)
    own = KeyFingerprint(fingerprint)
    if records.add(_FINGERPRINT_KEY, own, PERSON_KEYS.until(now), now):
        return True
    stored = records.get(_FINGERPRINT_KEY, now)
    return stored is None or stored.value == own
