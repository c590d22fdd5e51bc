"""The person of an event, sealed by a key of person and month: without it the event is nobody's."""

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker.core.errors import StoreUnavailable
from broker.core.events.audit_events import AuditEvent
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Kept, Key, Store
from broker.core.retention import TRAIL_KEY

KIND: Final = "audit"
_KEY_BYTES: Final = 32
_NONCE: Final = 12
_TURNS: Final = 5
_MOST_CACHED: Final = 1024
_CACHED_FOR: Final = timedelta(minutes=5)
_SHOWN: Final = 16
_TAG: Final = 24


class _CachedKey(NamedTuple):
    key: bytes
    since: datetime

    def __repr__(self) -> str:
        """Never show the key."""
        return "_CachedKey(...)"


@dataclass(frozen=True, slots=True, repr=False)
class PersonKeys:
    """The keys of persons in a store, one a month; a worker caches those of the last minutes."""

    store: Store
    hmacs: LookupHmacs
    cache: dict[Key, _CachedKey] = field(default_factory=dict, compare=False)

    def group(self, event: AuditEvent) -> str | None:
        """Return the group of the keys of the event's person, None where it has no person yet."""
        if event.person is not None:
            return self.of_person(event.person)
        if event.borrower is not None:
            return self.of_borrower(event.borrower)
        return None

    def of_person(self, person: str) -> str:
        """Return the group of a person's keys."""
        return self.hmacs.compute("audit-person", person)

    def of_borrower(self, number: str) -> str:
        """Return the group of the keys for events that name a borrower number alone."""
        return self.hmacs.compute("audit-borrower", number)

    def sealed(self, event: AuditEvent) -> dict[str, Any]:
        """Return the facts about the event's person, sealed if it has one; StoreUnavailable."""
        facts = {"reference": event.reference, "about": event.about}
        facts = {name: value for name, value in facts.items() if value}
        group = self.group(event)
        if group is None:
            return dict(facts)
        month = f"{event.at:%Y-%m}"
        key = self._key(Key(KIND, group, month), event.at)
        facts = {"person": shown(group), **facts}
        text = json.dumps(facts, separators=(",", ":"))
        nonce = secrets.token_bytes(_NONCE)
        ciphertext = AESGCM(key).encrypt(nonce, text.encode(), None)
        found = {"who": base64.b64encode(nonce + ciphertext).decode()}
        if event.reference:
            found["tag"] = tag(key, event.reference)
        return found

    def erase(self, group: str, now: datetime, before: datetime | None = None) -> int:
        """Delete a person's keys that were made until ``before``, and return how many there were.

        None deletes all. A key of the same month that was made later stays: the person has come
        again.
        """
        latest = TRAIL_KEY.until(before) if before else datetime.max.replace(tzinfo=now.tzinfo)
        keys = [key for key, kept in self.store.list(KIND, group, now) if kept.until <= latest]
        for key in keys:
            self.store.drop(key)
            self.cache.pop(key, None)
        return len(keys)

    def _key(self, place: Key, now: datetime) -> bytes:
        cached = self.cache.get(place)
        if cached is not None and now - cached.since < _CACHED_FOR:
            return cached.key
        if len(self.cache) >= _MOST_CACHED:
            self.cache.clear()
        key = self._stored(place, now)
        self.cache[place] = _CachedKey(key, now)
        return key

    def _stored(self, place: Key, now: datetime) -> bytes:
        for _ in range(_TURNS):
            kept = self.store.get(place, now)
            if kept is not None:
                return kept.value
            key = secrets.token_bytes(_KEY_BYTES)
            version = secrets.token_hex(8)
            made = Kept(key, version, TRAIL_KEY.until(now))
            # Durable: a key lost in a power cut would take its person's events with it.
            if self.store.put(place, made, None, now, durable=True):
                return key
        raise StoreUnavailable("a key of the audit log is changed by others all the time")


def shown(group: str) -> str:
    """Return the reference by which staff see a person."""
    _, _, pseudonym = group.partition(".")
    return pseudonym[:_SHOWN]


def tag(key: bytes, reference: str) -> str:
    """Return the mark by which a page's reference finds its lines; it needs the key."""
    message = b"reference\0" + reference.encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:_TAG]


def unsealed(key: bytes, who: str) -> dict[str, Any] | None:
    """Open what ``sealed`` made, or return None where it is another key's."""
    try:
        octets = base64.b64decode(who, validate=True)
        nonce = octets[:_NONCE]
        ciphertext = octets[_NONCE:]
        text = AESGCM(key).decrypt(nonce, ciphertext, None)
        return dict(json.loads(text))
    except (InvalidTag, ValueError):
        return None
