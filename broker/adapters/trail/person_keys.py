"""Whose event it is, sealed under a key of this person and month: delete the key, and nobody can tell any more."""

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker.core.audit_events import AuditEvent
from broker.core.errors import StoreUnavailable
from broker.core.ports import Kept, Key, Store
from broker.core.pseudonyms import Pseudonyms

KIND: Final = "audit"
KEPT_FOR: Final = timedelta(days=2 * 365)  # as receipts: after it nobody's events are anybody's
_NONCE: Final = 12
_TURNS: Final = 5
_MOST_CACHED: Final = 1024
_CACHED_FOR: Final = timedelta(minutes=5)
_SHOWN: Final = 16


@dataclass(frozen=True, slots=True, repr=False)
class PersonKeys:
    """The keys of persons in a store, one a month; a worker remembers those of the last minutes."""

    store: Store
    pseudonyms: Pseudonyms
    cache: dict[Key, tuple[bytes, datetime]] = field(default_factory=dict, compare=False)

    def group(self, event: AuditEvent) -> str | None:
        """Give what the keys of the event's person are kept under, or None where it is nobody's yet."""
        if event.person is not None:
            return self.of_person(event.person)
        return self.of_borrower(event.borrower) if event.borrower is not None else None

    def of_person(self, person: str) -> str:
        """Give the group of a person's keys."""
        return self.pseudonyms.of("audit-person", person)

    def of_borrower(self, number: str) -> str:
        """Give the group of the keys for what is known by the borrower number alone."""
        return self.pseudonyms.of("audit-borrower", number)

    def sealed(self, event: AuditEvent) -> dict[str, Any]:
        """Give the facts that say whose the event is, sealed where it is somebody's; StoreUnavailable."""
        group = self.group(event)
        open_facts = {"reference": event.reference, "about": event.about}
        if group is None:
            return {name: value for name, value in open_facts.items() if value}
        key = self._key(Key(KIND, group, f"{event.at:%Y-%m}"), event.at)
        facts = {
            "person": shown(group),
            **{name: value for name, value in open_facts.items() if value},
        }
        nonce = secrets.token_bytes(_NONCE)
        who = nonce + AESGCM(key).encrypt(
            nonce, json.dumps(facts, separators=(",", ":")).encode(), None
        )
        found = {"who": base64.b64encode(who).decode()}
        return found | ({"tag": tag(key, event.reference)} if event.reference else {})

    def erase(self, group: str, now: datetime) -> int:
        """Delete every key of a person, and give how many there were."""
        keys = [key for key, _ in self.store.list(KIND, group, now)]
        for key in keys:
            self.store.drop(key)
            self.cache.pop(key, None)
        return len(keys)

    def _key(self, place: Key, now: datetime) -> bytes:
        cached = self.cache.get(place)
        if cached and now - cached[1] < _CACHED_FOR:
            return cached[0]
        if len(self.cache) >= _MOST_CACHED:
            self.cache.clear()
        key = self._kept(place, now)
        self.cache[place] = key, now
        return key

    def _kept(self, place: Key, now: datetime) -> bytes:
        for _ in range(_TURNS):
            kept = self.store.get(place, now)
            if kept:
                return kept.value
            made = Kept(secrets.token_bytes(32), secrets.token_hex(8), now + KEPT_FOR)
            if self.store.put(place, made, None, now, durable=True):
                return made.value
        raise StoreUnavailable("a key of the audit trail is changed by others all the time")


def shown(group: str) -> str:
    """Give the reference by which staff see a person."""
    return group.partition(".")[2][:_SHOWN]


def tag(key: bytes, reference: str) -> str:
    """Give the mark by which a line is found for a page's reference; without the key it says nothing."""
    return hmac.new(key, b"reference\0" + reference.encode(), hashlib.sha256).hexdigest()[:24]


def unsealed(key: bytes, who: str) -> dict[str, Any] | None:
    """Open what ``sealed`` made, or None where it is another key's."""
    try:
        octets = base64.b64decode(who, validate=True)
        return dict(json.loads(AESGCM(key).decrypt(octets[:_NONCE], octets[_NONCE:], None)))
    except (InvalidTag, ValueError):
        return None
