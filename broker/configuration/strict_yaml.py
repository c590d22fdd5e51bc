"""Read strict YAML: plain scalars stay text, nodes know their lines, other features are refused."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from yaml import CSafeLoader
from yaml.error import MarkedYAMLError, YAMLError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from broker.configuration.yaml_slips import TYPE_ANEW, TYPOGRAPHIC, UNSEEN, find_slip
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.identity.cpr import looks_like_cpr

LARGEST: Final = 256 * 1024
_DEEPEST: Final = 16
# Line breaks to the parser that most editors do not show.
_UNSEEN_BREAKS: Final = re.compile("[\u0085\u2028\u2029]")
_Take = Callable[[], Any]  # gives the parser's next event, None after the last
_NODE_STARTS: Final = AliasEvent | ScalarEvent | MappingStartEvent | SequenceStartEvent


# Named tuples: a thousand files have a million nodes, and a frozen dataclass takes 50 % longer.
class YamlScalar(NamedTuple):
    """A text: ``no``, ``12:30`` and ``0101`` are not converted."""

    text: str
    line: int


class YamlSequence(NamedTuple):
    """A sequence."""

    nodes: "tuple[YamlNode, ...]"
    line: int


class YamlEntry(NamedTuple):
    """One key of a mapping, with the line it stands on."""

    key: str
    line: int
    node: "YamlNode"


class YamlMapping(NamedTuple):
    """A mapping, in the order of the file."""

    entries: tuple[YamlEntry, ...]
    line: int


YamlNode = YamlScalar | YamlSequence | YamlMapping


def read_file(path: Path, name: str) -> YamlNode:
    """Read the one document of a file; ``name`` is what faults call the file.

    Raise ConfigurationFaults if the file cannot be read, or ``read`` refuses it.
    """
    try:
        octets = path.read_bytes()
    except OSError as error:
        fault = Fault(name, f"cannot be read: {error.strerror}")
        raise ConfigurationFaults([fault]) from None
    return read(octets, name)


def read(octets: bytes, name: str) -> YamlNode:
    """Read one document; ``name`` is what faults call the file.

    Raise ConfigurationFaults for anything but UTF-8 up to 256 KB, for an invisible line break, a
    second document, a directive, anchor, alias, tag, merge key, doubled key, key that is no text,
    and nesting deeper than sixteen (docs/reference/policies.md#format).
    """
    text = _decode(octets, name)
    reader = _Reader(name)
    try:
        node = reader.document(CSafeLoader(text).get_event)
    except YAMLError as error:
        fault = _syntax_fault(error, name, text)
        raise ConfigurationFaults([*reader.faults, fault]) from None
    if reader.faults:
        raise ConfigurationFaults(reader.faults)
    if node is None:
        fault = Fault(f"{name}:1", "is empty")
        raise ConfigurationFaults([fault])
    return node


def _decode(octets: bytes, name: str) -> str:
    if len(octets) > LARGEST:
        fault = Fault(f"{name}:1", "is larger than 256 KB", "split it")
        raise ConfigurationFaults([fault])
    try:
        text = octets.decode()
    except UnicodeDecodeError as error:
        lines_before = octets[: error.start].count(b"\n")
        where = f"{name}:{lines_before + 1}"
        fault = Fault(where, "is not UTF-8", "save the file as UTF-8")
        raise ConfigurationFaults([fault]) from None
    unseen = _UNSEEN_BREAKS.search(text)
    if unseen:
        lines_before = text.count("\n", 0, unseen.start())
        where = f"{name}:{lines_before + 1}"
        what = f"holds U+{ord(unseen[0]):04X}, a line break that editors do not show"
        raise ConfigurationFaults([Fault(where, what, "remove it")])
    return text


def _syntax_fault(error: YAMLError, name: str, text: str) -> Fault:
    if not isinstance(error, MarkedYAMLError):
        return Fault(f"{name}:1", "is not YAML: a forbidden character")
    begun = error.context_mark.line + 1 if error.context_mark else None
    at = error.problem_mark.line + 1 if error.problem_mark else begun or 1
    found = find_slip(text, error.problem or "", at, begun)
    return Fault(f"{name}:{found.line}", f"is not YAML: {found.what}", found.fix)


def quote(word: object) -> str:
    """Quote a word of the file, unless it could be a CPR number, because faults are logged."""
    if looks_like_cpr(str(word)):
        return "(not shown)"
    return repr(word)


class _Unreadable(Exception):
    """Raised after a fault that would cause only follow-up faults in the rest of the file."""


class _Reader:
    """Turns the parser's events into nodes or faults; it never constructs an object from a tag."""

    def __init__(self, name: str) -> None:
        self.faults: list[Fault] = []
        self._name = name

    def document(self, take: _Take) -> YamlNode | None:
        """Return the node of the one document, None where there is none."""
        node: YamlNode | None = None
        try:
            while (event := take()) is not None:
                if isinstance(event, DocumentStartEvent):
                    self._document_start(event, first=node is None)
                elif isinstance(event, _NODE_STARTS):
                    node = self._node(event, take, 1)
        except _Unreadable:
            return None
        return node

    def _document_start(self, event: Any, *, first: bool) -> None:
        if event.version or event.tags:
            self._fault(event, "carries a directive", "remove the line that begins with %")
        if not first:
            self._fault(event, "holds a second document", "one file is one document")
            raise _Unreadable

    def _node(self, event: Any, take: _Take, depth: int) -> YamlNode:
        line = event.start_mark.line + 1
        if isinstance(event, AliasEvent):
            self._fault(event, "uses an alias", "write the value out")
            return YamlScalar("", line)
        if event.anchor is not None or event.tag is not None:
            self._refuse_marks(event)
        if isinstance(event, ScalarEvent):
            text = event.value
            if not text.isascii():
                self._scalar(event)
            return YamlScalar(text, line)
        if depth > _DEEPEST:
            self._fault(event, "is nested deeper than sixteen", "flatten it")
            raise _Unreadable
        if isinstance(event, SequenceStartEvent):
            return YamlSequence(self._items(take, depth), line)
        return YamlMapping(self._entries(take, depth), line)

    def _refuse_marks(self, event: Any) -> None:
        if event.anchor is not None:
            self._fault(event, "sets an anchor", "remove the word that begins with &")
        if event.tag is not None:
            self._fault(event, "sets a tag", "remove the word that begins with !")

    def _scalar(self, event: Any) -> None:
        """Refuse typographic quotes and invisible characters at the ends of a text."""
        text = event.value
        ends = text[:1] + text[-1:]
        if ends.isascii():
            return
        if not event.style and text[:1] in TYPOGRAPHIC:
            fix = f"write \" or ' in place of {text[0]}, or put the whole between them"
            self._fault(event, "has a value that begins with a typographic quote", fix)
        if unseen := UNSEEN.search(ends):
            what = f"has a word that begins or ends with U+{ord(unseen[0]):04X}, which is no blank"
            self._fault(event, what, TYPE_ANEW)

    def _items(self, take: _Take, depth: int) -> tuple[YamlNode, ...]:
        nodes: list[YamlNode] = []
        while not isinstance(event := take(), SequenceEndEvent):
            nodes.append(self._node(event, take, depth + 1))
        return tuple(nodes)

    def _entries(self, take: _Take, depth: int) -> tuple[YamlEntry, ...]:
        entries: dict[str, YamlEntry] = {}
        while not isinstance(event := take(), MappingEndEvent):
            key = self._node(event, take, depth + 1)
            node = self._node(take(), take, depth + 1)
            if not isinstance(key, YamlScalar):
                self._fault(event, "has a key that is not a text")
            elif not key.text.isascii() and (unseen := UNSEEN.search(key.text[1:-1])):
                what = f"has a key that holds U+{ord(unseen[0]):04X}, which is no blank"
                self._fault(event, what, TYPE_ANEW)
            elif key.text == "<<":
                self._fault(event, "uses a merge key", "write the keys out")
            elif key.text in entries:
                what = f"has {quote(key.text)} twice"
                fix = f"the first is in line {entries[key.text].line}"
                self._fault(event, what, fix)
            else:
                entries[key.text] = YamlEntry(key.text, key.line, node)
        return tuple(entries.values())

    def _fault(self, event: Any, what: str, fix: str = "") -> None:
        line = event.start_mark.line + 1
        fault = Fault(f"{self._name}:{line}", what, fix)
        self.faults.append(fault)
