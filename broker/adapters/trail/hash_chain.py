"""One line of the trail: its bytes, the link that binds it to the line before, and the head that names the last.

How far the trail had come, kept now and then in the store, where whoever cuts its files may not reach.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from broker.core.errors import BrokerError
from broker.core.ports import Kept, Key, Store

GENESIS: Final = "0" * 64
HEAD_SIZE: Final = 256  # always the same, so that it is written over in one place
LONGEST: Final = 16 * 1024

# The exact bytes count, not what they mean as JSON: no edit at all leaves the link right.
_LINE: Final = re.compile(rb'(\{.*),"link":"([0-9a-f]{64})"\}', re.DOTALL)

Facts = Mapping[str, Any]


class TrailHead(NamedTuple):
    """The last line written: its number, its link, and where the next begins."""

    number: int
    link: str
    month: str
    size: int


class TrailLine(NamedTuple):
    """A line as read: its number, what its link is made over, the link it claims, and its facts."""

    number: int
    body: bytes
    link: str
    facts: dict[str, Any]


def linked(key: bytes, before: str, body: bytes) -> str:
    """Give the link of a line: an HMAC over the link before it and the line's own bytes."""
    return hmac.new(key, b"line\0" + before.encode() + b"\0" + body, hashlib.sha256).hexdigest()


def written(key: bytes, before: str, number: int, facts: Facts) -> tuple[bytes, str]:
    """Give the bytes of line ``number`` after the line whose link is ``before``, newline included, and its link."""
    body = json.dumps({"n": number, **facts}, ensure_ascii=True, separators=(",", ":")).encode()[
        :-1
    ]
    link = linked(key, before, body)
    return body + b',"link":"' + link.encode() + b'"}\n', link


def read(octets: bytes) -> TrailLine | None:
    """Read a line without its newline; None for what is none of ours. Its link is not yet checked."""
    matched = _LINE.fullmatch(octets) if len(octets) <= LONGEST else None
    if matched is None:
        return None
    body, link = matched.groups()
    try:
        facts = json.loads(body + b"}")
    except ValueError:
        return None
    number = facts.pop("n", None)
    return TrailLine(number, body, link.decode(), facts) if type(number) is int else None


def head_octets(key: bytes, head: TrailHead) -> bytes:
    """Give the bytes of the head, always as many."""
    text = json.dumps(head._asdict(), separators=(",", ":"))
    return f"{text} {_head_mac(key, text)}".ljust(HEAD_SIZE - 1).encode() + b"\n"


def read_head(key: bytes, octets: bytes) -> TrailHead | None:
    """Read the head; None where it is none, or not made with ``key``."""
    text, _, mac = octets.decode("ascii", "replace").strip().rpartition(" ")
    if not hmac.compare_digest(mac.encode(), _head_mac(key, text).encode()):
        return None
    return TrailHead(**json.loads(text))


def _head_mac(key: bytes, text: str) -> str:
    return hmac.new(key, b"head\0" + text.encode(), hashlib.sha256).hexdigest()


KIND: Final = "audit-anchor"
_EVERY: Final = 64
# where the first append ends: whoever empties the folder begins a chain that the store contradicts
_FIRST: Final = 2
_KEPT_FOR: Final = timedelta(days=5 * 365)


@dataclass(frozen=True, slots=True)
class Anchors:
    """The links of some lines, each written once; ``machine`` names whose trail it is where several share a store."""

    store: Store
    machine: str

    def keep(self, head: TrailHead, now: datetime) -> str | None:
        """Remember the line that ``head`` names, if it is one of those, and say what is wrong.

        Nothing is written over: a chain that was cut and has gone on contradicts what is
        remembered, for ever.
        """
        if head.number % _EVERY != _FIRST:
            return None
        kept = Kept(head.link.encode(), secrets.token_hex(8), now + _KEPT_FOR)
        try:
            taken = self.store.put(self._key(head.number), kept, None, now)
        except BrokerError as error:
            return str(error)
        return (
            None
            if taken
            else f"line {head.number} was another before: the trail was cut, or put back"
        )

    def links(self, now: datetime) -> Mapping[int, str]:
        """Give the links that are remembered, by their lines' numbers."""
        return {
            int(key.name): kept.value.decode()
            for key, kept in self.store.list(KIND, self.machine, now)
        }

    def forget(self, beyond: int, now: datetime) -> None:
        """Drop what is remembered of lines that are gone, once staff have seen that they are."""
        for number in self.links(now):
            if number > beyond:
                self.store.drop(self._key(number))

    def _key(self, number: int) -> Key:
        return Key(KIND, self.machine, str(number))
