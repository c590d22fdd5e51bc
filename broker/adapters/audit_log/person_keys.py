"""Keys of the audit log: one for each person and year seals what an event says of the person.

Without its key an event is anonymous.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography.fernet import Fernet, InvalidToken

from broker.core.entities import Names
from broker.core.errors import StoreUnavailable
from broker.core.events.audit_events import AuditEvent
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, Store, StoredRecord
from broker.core.retention import AUDIT_KEY

KIND: Final = "audit"
_TRIES: Final = 5
_MOST_CACHED: Final = 1024
_CACHED_FOR: Final = timedelta(minutes=5)
_PSEUDONYM_LENGTH: Final = 16
_TAG_LENGTH: Final = 24


@dataclass(slots=True, repr=False)
class PersonKeys:
    """The keys in a store, grouped by person; each worker caches them for five minutes."""

    store: Store
    hmacs: LookupHmacs
    cache: dict[Key, bytes] = field(default_factory=dict)
    cached_since: datetime | None = None

    def groups(
        self, person_ids: Iterable[str | None], borrower_numbers: Iterable[str | None]
    ) -> Names:
        """Return the groups of the keys for events that name these persons or borrowers."""
        persons = (self.hmacs.compute("audit-person", each) for each in person_ids if each)
        borrowers = (
            self.hmacs.compute("audit-borrower", each) for each in borrower_numbers if each
        )
        return (*persons, *borrowers)

    def seal_facts(self, event: AuditEvent) -> dict[str, Any]:
        """Return the facts about the event's person, sealed if it has one.

        Raises StoreUnavailable if the store cannot give the key.
        """
        facts = {"reference": event.reference, "about": event.about}
        facts = {name: value for name, value in facts.items() if value}
        groups = self.groups([event.person], [event.borrower])
        if not groups:
            return dict(facts)
        group = groups[0]
        key = self._key(Key(KIND, group, f"{event.at:%Y}"), event.at)
        pseudonym = group.partition(".")[2][:_PSEUDONYM_LENGTH]
        text = json.dumps({"person": pseudonym, **facts}, separators=(",", ":"))
        sealed = {"who": Fernet(key).encrypt(text.encode()).decode()}
        if event.reference:
            sealed["tag"] = compute_tag(key, event.reference)
        return sealed

    def erase(self, group: str, now: datetime, before: datetime | None = None) -> int:
        """Delete the keys of a person that were made until ``before``; return their number.

        Without ``before`` delete all. A later key stays, because the person has come again.
        """
        latest = AUDIT_KEY.until(before) if before else datetime.max.replace(tzinfo=now.tzinfo)
        keys = [key for key, record in self.store.list(KIND, group, now) if record.until <= latest]
        for key in keys:
            self.store.drop(key)
            self.cache.pop(key, None)
        return len(keys)

    def _key(self, place: Key, now: datetime) -> bytes:
        since = self.cached_since
        if not since or now - since >= _CACHED_FOR or len(self.cache) >= _MOST_CACHED:
            self.cache.clear()
            self.cached_since = now
        key = self.cache.get(place)
        if key is None:
            key = self.cache[place] = self._load_or_create(place, now)
        return key

    def _load_or_create(self, place: Key, now: datetime) -> bytes:
        for _ in range(_TRIES):
            if (record := self.store.get(place, now)) is not None:
                return record.value
            key = Fernet.generate_key()
            new_record = StoredRecord(key, secrets.token_hex(8), AUDIT_KEY.until(now))
            # Durable: without the key a synced line would be anonymous after a power cut.
            if self.store.put(place, new_record, None, now, durable=True):
                return key
        raise StoreUnavailable("other workers keep changing a key of the audit log")


def compute_tag(key: bytes, reference: str) -> str:
    """Return the tag by which the lines of a page's reference are found; it needs the key."""
    message = b"reference\0" + reference.encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:_TAG_LENGTH]


def open_facts(key: bytes, who: str) -> dict[str, Any] | None:
    """Open the sealed facts of a line, or return None if another key sealed them."""
    try:
        return dict(json.loads(Fernet(key).decrypt(who)))
    except InvalidToken:
        return None
