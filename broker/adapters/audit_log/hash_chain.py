"""Hash chain of the audit log: linked lines, the head that names the last one, and anchors.

The link of every 64th line is copied to the store. An attacker who can cut the files of the audit
log cannot change these anchors.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from broker.core.errors import BrokerError
from broker.core.ports import Key, Store, StoredRecord
from broker.core.retention import AUDIT_ANCHOR

GENESIS: Final = "0" * 64
HEAD_SIZE: Final = 256  # a fixed size, so that the head is overwritten in place
LONGEST: Final = 16 * 1024
KIND: Final = "machine"
_HEAD: Final = "head"  # takes the place of the previous link in the head
_ANCHOR_EVERY: Final = 64
# The second line is an anchor, so that a chain that was started again contradicts the store.
_FIRST_ANCHOR: Final = 2

# The link covers the exact bytes of a line, not their meaning as JSON, so that it detects any edit.
_LINE: Final = re.compile(rb'(\{.*),"link":"([0-9a-f]{64})"\}\n', re.DOTALL)

Facts = Mapping[str, Any]


class ChainHead(NamedTuple):
    """The last line written: its number and link, the month's file and the size of that file."""

    number: int
    link: str
    month: str
    size: int


class ChainLine(NamedTuple):
    """A line as read: its number, the bytes that the link covers, the link and the facts."""

    number: int
    body: bytes
    link: str
    facts: dict[str, Any]


def compute_link(key: bytes, previous_link: str, body: bytes) -> str:
    """Return the link of a line: an HMAC over the previous link and the bytes of the line."""
    message = previous_link.encode() + b"\0" + body
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def build_line(key: bytes, previous_link: str, number: int, facts: Facts) -> tuple[bytes, str]:
    """Return the bytes of line ``number``, newline included, and its link."""
    text = json.dumps({"n": number, **facts}, separators=(",", ":"))
    body = text.encode().removesuffix(b"}")
    link = compute_link(key, previous_link, body)
    return body + b',"link":"' + link.encode() + b'"}\n', link


def parse_line(octets: bytes) -> ChainLine | None:
    """Read a line, newline included; None if it has another form. The link is not verified."""
    matched = _LINE.fullmatch(octets)
    if matched is None or len(octets) > LONGEST:
        return None
    body, link = matched.groups()
    try:
        facts = json.loads(body + b"}")
    except ValueError:
        return None
    number = facts.pop("n", None)
    if type(number) is not int:
        return None
    return ChainLine(number, body, link.decode(), facts)


def encode_head(key: bytes, head: ChainHead) -> bytes:
    """Return the head as a line without a previous link, padded to ``HEAD_SIZE``."""
    line, _ = build_line(key, _HEAD, head.number, {"last": head})
    return line.ljust(HEAD_SIZE)


def parse_head(key: bytes, octets: bytes) -> ChainHead | None:
    """Read the head; None if it has another form or was not made with ``key``."""
    line = parse_line(octets.rstrip(b" "))
    if line is None or line.link != compute_link(key, _HEAD, line.body):
        return None
    return ChainHead(*line.facts["last"])


def is_anchor(number: int) -> bool:
    """Return whether the link of this line is copied to the store."""
    return number % _ANCHOR_EVERY == _FIRST_ANCHOR


@dataclass(frozen=True, slots=True)
class Anchors:
    """The anchors of one machine in the store, which several machines may share."""

    store: Store
    machine: str

    def add(self, head: ChainHead, now: datetime) -> str | None:
        """Store the line that ``head`` names if it is an anchor; return a fault or None.

        An anchor is never overwritten, so that it contradicts a chain that was cut and continued.
        """
        if not is_anchor(head.number):
            return None
        record = StoredRecord(head.link.encode(), secrets.token_hex(8), AUDIT_ANCHOR.until(now))
        try:
            if self.store.put(self._key(head.number), record, None, now):
                return None
        except BrokerError as error:
            return str(error)
        return f"line {head.number} differs from the stored one: the log was cut, or is an old copy"

    def has_any(self, head: ChainHead, now: datetime) -> bool:
        """Return whether one of the last two anchors before ``head`` is in the store.

        The store may lack the other one, because it was down at that moment.
        """
        last = head.number - (head.number - _FIRST_ANCHOR) % _ANCHOR_EVERY
        keys = [self._key(number) for number in (last, last - _ANCHOR_EVERY)]
        return last < _FIRST_ANCHOR or any(self.store.get_many(keys, now))

    def links(self, now: datetime) -> Mapping[int, str]:
        """Return the stored links by the numbers of their lines."""
        anchors = self.store.list(KIND, self.machine, now)
        return {int(key.name): record.value.decode() for key, record in anchors}

    def drop_after(self, number: int, now: datetime) -> None:
        """Drop the anchors of missing lines, after staff have accepted that they are missing."""
        for anchored in self.links(now):
            if anchored > number:
                self.store.drop(self._key(anchored))

    def _key(self, number: int) -> Key:
        return Key(KIND, self.machine, str(number))
