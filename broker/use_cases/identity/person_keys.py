"""The fingerprint in the store of the keys that person ids and NameIDs are made with."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.core.ports import Key, Store
from broker.core.retention.table import PERSON_KEYS
from broker.use_cases.records import Records

_PLACE: Final = Key("index", "person keys")


@dataclass(frozen=True, slots=True)
class KeyFingerprint:
    """The keyed hashes of a fixed text: another key makes another hash."""

    value: str


def has_other_keys(store: Store, fingerprint: str, now: datetime) -> bool:
    """Return whether the store belongs to other keys; a store without a fingerprint gets this one.

    With another key every person would be somebody new, or somebody else's id would be made.
    StoreUnavailable where the store does not answer.
    """
    records = Records(store, KeyFingerprint, durable=True)
    own = KeyFingerprint(fingerprint)
    if records.add(_PLACE, own, PERSON_KEYS.until(now), now):
        return False
    stored = records.get(_PLACE, now)
    return stored is not None and stored.value != own
