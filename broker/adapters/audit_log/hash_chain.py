"""Hash chain of the audit log: linked lines, the head after the last, anchors in the store.

An anchor is the link of a line, kept now and then in the store, out of reach of whoever cuts the
trail's files.
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
from broker.core.ports import Kept, Key, Store
from broker.core.retention import TRAIL_ANCHOR

GENESIS: Final = "0" * 64
HEAD_SIZE: Final = 256  # always the same, so that it is written over in one place
LONGEST: Final = 16 * 1024
KIND: Final = "machine"
_EVERY: Final = 64
# Where the first append ends: whoever empties the folder begins a chain that the store contradicts.
_FIRST: Final = 2

# The exact bytes count, not what they mean as JSON: no edit at all leaves the link right.
_LINE: Final = re.compile(rb'(\{.*),"link":"([0-9a-f]{64})"\}', re.DOTALL)

Facts = Mapping[str, Any]


class ChainHead(NamedTuple):
    """The last line written: its number, its link, and where the next begins."""

    number: int
    link: str
    month: str
    size: int


class ChainLine(NamedTuple):
    """A line as read: its number, what its link is made over, the link it claims, and its facts."""

    number: int
    body: bytes
    link: str
    facts: dict[str, Any]


def linked(key: bytes, before: str, body: bytes) -> str:
    """Return the link of a line: an HMAC over the link before it and the line's own bytes."""
    return _mac(key, b"line\0" + before.encode() + b"\0" + body)


def written(key: bytes, before: str, number: int, facts: Facts) -> tuple[bytes, str]:
    """Return the bytes of line ``number``, newline included, and its link.

    ``before`` is the link of the line before it.
    """
    numbered = {"n": number, **facts}
    text = json.dumps(numbered, ensure_ascii=True, separators=(",", ":"))
    body = text.encode().removesuffix(b"}")
    link = linked(key, before, body)
    return body + b',"link":"' + link.encode() + b'"}\n', link


def read(octets: bytes) -> ChainLine | None:
    """Read a line without its newline; None for none of ours. Its link is not yet verified."""
    if len(octets) > LONGEST:
        return None
    matched = _LINE.fullmatch(octets)
    if matched is None:
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


def head_octets(key: bytes, head: ChainHead) -> bytes:
    """Return the bytes of the head, always as many."""
    text = json.dumps(head._asdict(), separators=(",", ":"))
    mac = _head_mac(key, text)
    line = f"{text} {mac}"
    return line.ljust(HEAD_SIZE - 1).encode() + b"\n"


def read_head(key: bytes, octets: bytes) -> ChainHead | None:
    """Read the head; None where it is none, or not made with ``key``."""
    line = octets.decode("ascii", "replace").strip()
    text, _, mac = line.rpartition(" ")
    expected = _head_mac(key, text)
    if not hmac.compare_digest(mac.encode(), expected.encode()):
        return None
    return ChainHead(**json.loads(text))


def _head_mac(key: bytes, text: str) -> str:
    return _mac(key, b"head\0" + text.encode())


def _mac(key: bytes, message: bytes) -> str:
    return hmac.new(key, message, hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Anchors:
    """The links of some lines; ``machine`` tells the trails apart where they share a store."""

    store: Store
    machine: str

    def keep(self, head: ChainHead, now: datetime) -> str | None:
        """Store the line that ``head`` names, if it is an anchor; return a fault, or None.

        Nothing is written over: a chain that was cut and has gone on contradicts what is stored,
        for ever.
        """
        if head.number % _EVERY != _FIRST:
            return None
        version = secrets.token_hex(8)
        kept = Kept(head.link.encode(), version, TRAIL_ANCHOR.until(now))
        try:
            stands = self.store.put(self._key(head.number), kept, None, now)
        except BrokerError as error:
            return str(error)
        if stands:
            return None
        return f"line {head.number} was another before: the audit log was cut, or put back"

    def links(self, now: datetime) -> Mapping[int, str]:
        """Return the links that are stored, by their lines' numbers."""
        links = {}
        for key, kept in self.store.list(KIND, self.machine, now):
            links[int(key.name)] = kept.value.decode()
        return links

    def forget(self, beyond: int, now: datetime) -> None:
        """Drop the anchors of lines that are gone, once staff have seen that they are."""
        for number in self.links(now):
            if number > beyond:
                self.store.drop(self._key(number))

    def _key(self, number: int) -> Key:
        return Key(KIND, self.machine, str(number))
