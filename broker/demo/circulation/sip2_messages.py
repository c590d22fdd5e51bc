"""Encodes and parses SIP2 messages: fixed part, fields, sequence number and checksum."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from socket import socket
from typing import Final

TERMINATOR: Final = b"\r\n"  # Koha's; a machine's messages end with CR
_DELIMITER: Final = "|"
_LONGEST: Final = 65_536  # maximal size of a message in bytes
_ERROR_DETECTION: Final = re.compile(r"AY(.)AZ([0-9A-F]{4})\Z", re.DOTALL)
_LONGEST_WITHOUT_CHECKSUM: Final = 11  # Koha looks for a checksum only in longer messages
# The length of the fixed part by message code.
_FIXED: Final[Mapping[str, int]] = {
    "11": 38,
    "12": 22,
    "63": 31,
    "64": 59,
    "93": 2,
    "94": 1,
    "96": 0,
}


class ChecksumWrong(ValueError):
    """Raised for a message with a wrong checksum."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message: its code, its fixed part, its fields in their order, and its sequence number.

    ``sequence`` is None if the message has no error detection.
    """

    code: str
    fixed: str
    fields: tuple[tuple[str, str], ...] = ()
    sequence: str | None = None

    def field(self, name: str) -> str | None:
        """Return the first field of this name, or None."""
        return next((value for found, value in self.fields if found == name), None)

    def list_values(self, name: str) -> tuple[str, ...]:
        """Return the values of all fields of this name."""
        return tuple(value for found, value in self.fields if found == name)

    def encode_message(self) -> bytes:
        """Return the bytes of the message, with a checksum if it has a sequence number.

        Delimiters inside values are replaced, as Koha does.
        """
        parts = [f"{name}{_escape_delimiters(value)}{_DELIMITER}" for name, value in self.fields]
        content = (self.code + self.fixed + "".join(parts)).encode()
        if self.sequence is not None:
            content += f"AY{self.sequence}AZ".encode()
            content += checksum(content).encode()
        return content + TERMINATOR


def read_message(line: bytes) -> Message:
    """Parse a message without its terminator. Raises ChecksumWrong for a damaged message.

    A message with an unknown code has no fields: all of it is the fixed part.
    """
    text = line.decode("utf-8", "replace")
    sequence = None
    found = _ERROR_DETECTION.search(text)
    if found and len(text) > _LONGEST_WITHOUT_CHECKSUM:
        if checksum(line[:-4]) != found[2]:
            raise ChecksumWrong
        sequence = found[1]
        text = text[: found.start()]
    code, rest = text[:2], text[2:]
    length = _FIXED.get(code, len(rest))
    parts = [part for part in rest[length:].split(_DELIMITER) if part]
    fields = tuple((part[:2], part[2:]) for part in parts)
    return Message(code, rest[:length], fields, sequence)


def checksum(content: bytes) -> str:
    """Return the 16-bit two's complement of the sum of all bytes, as four hex digits."""
    return f"{-sum(content) & 0xFFFF:04X}"


def timestamp() -> str:
    """Return the current time in SIP2 format: 18 characters, with four blanks as time zone."""
    return datetime.now(UTC).strftime("%Y%m%d    %H%M%S")


def receive_lines(connection: socket) -> Iterator[bytes]:
    """Yield received messages without terminators. Stop at an over-long message."""
    rest = b""
    while len(rest) < _LONGEST:
        received = connection.recv(4096)
        if not received:
            return
        *lines, rest = (rest + received).split(b"\r")
        for line in lines:
            yield line.strip(b"\n")


def _escape_delimiters(value: str) -> str:
    return value.replace("\r", " ").replace(_DELIMITER, "&#124;")
