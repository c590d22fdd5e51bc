"""Sets of policy files in the store, each under its digest, and checked against it when read."""

import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.core.errors import StoreUnavailable
from broker.core.policy.set_digest import digest
from broker.core.ports import Key, RecordUnreadable, Store
from broker.core.retention.table import POLICY_SET
from broker.use_cases.records import Content, Records

# Characters of one record: a thousand files are some six of them, and none holds up a store.
_PIECE: Final = 200_000
_LENGTH: Final = 8  # octets of a number
# Of two that write one set anew at once, one may drop a piece that the other has just written.
_MOST_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class SetPiece:
    """One piece of the text that a set is packed into."""

    text: str


@dataclass(frozen=True, slots=True)
class StoredSets:
    """The sets of a store.

    Every method raises StoreUnavailable where the store does not answer.
    """

    store: Store

    def keep(self, files: Mapping[str, bytes], now: datetime) -> str:
        """Store ``files`` through to the disk, and return their digest.

        A set that is there whole is left as it is. One that is damaged is written anew: a piece
        that does not open is replaced unopened, for the digest says what it has to hold.
        """
        name = digest(files)
        for _ in range(_MOST_TRIES):
            if self.read(name, now) is not None:
                return name
            self._write(name, files, now)
        if self.read(name, now) is None:
            raise StoreUnavailable("policy: a set does not read as it was written")
        return name

    def read(self, name: str, now: datetime) -> Mapping[str, bytes] | None:
        """Return the files of the set; None where it is not there, or is not what its name says."""
        try:
            records = self._records.list("policy", _group(name), now)
            texts = {record.key.name: record.value.text for record in records}
        except RecordUnreadable:
            return None
        files = unpacked("".join(text for _, text in sorted(texts.items())))
        if files is None or digest(files) != name:
            return None
        return files

    def fault(self, name: str, now: datetime) -> str:
        """Return in words why ``read`` returns None; nothing where the set is there whole."""
        if self.read(name, now) is not None:
            return ""
        try:
            there = any(True for _ in self.store.list("policy", _group(name), now))
        except RecordUnreadable:
            there = True
        return "is not whole in the store" if there else "is not in the store"

    def _write(self, name: str, files: Mapping[str, bytes], now: datetime) -> None:
        while (key := self._first(name, now)) is not None:
            self.store.drop(key)
        writes = []
        for number, text in enumerate(_pieces(packed(files))):
            key = Key("policy", _group(name), f"{number:04}")
            content = Content(SetPiece(text), POLICY_SET.until(now))
            writes.append(self._records.drafted(key, content, None))
        # All are of one group: they stand together, or another has written the same set meanwhile.
        self.store.put_many(writes[0], writes[1:], now, durable=True)

    def _first(self, name: str, now: datetime) -> Key | None:
        """Return the key of the first piece that is there, also where that does not open."""
        try:
            found = next(iter(self.store.list("policy", _group(name), now)), None)
        except RecordUnreadable as error:
            if error.key is None:
                raise
            return error.key
        return found[0] if found else None

    @property
    def _records(self) -> Records[SetPiece]:
        return Records(self.store, SetPiece, durable=True)


def packed(files: Mapping[str, bytes]) -> str:
    """Return files as one text: names and octets with their lengths in front, compressed."""
    whole = b"".join(_with_length(part) for part in _parts(files))
    return b64encode(zlib.compress(whole)).decode("ascii")


def unpacked(text: str) -> dict[str, bytes] | None:
    """Return the files that ``packed`` has packed; None for a text that is not whole."""
    try:
        whole = zlib.decompress(b64decode(text, validate=True))
        parts = list(_split(whole))
        return {name.decode(): octets for name, octets in zip(parts[::2], parts[1::2], strict=True)}
    except (zlib.error, ValueError):
        return None


def _parts(files: Mapping[str, bytes]) -> Iterator[bytes]:
    for name, octets in sorted(files.items()):
        yield name.encode()
        yield octets


def _with_length(part: bytes) -> bytes:
    return len(part).to_bytes(_LENGTH, "big") + part


def _split(whole: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(whole):
        begins = at + _LENGTH
        at = begins + int.from_bytes(whole[at:begins], "big")
        yield whole[begins:at]


def _pieces(text: str) -> Iterator[str]:
    for begins in range(0, len(text), _PIECE):
        yield text[begins : begins + _PIECE]


def _group(name: str) -> str:
    return f"set/{name}"
