"""Read strict YAML: plain scalars stay text, nodes know their lines, other features are refused."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

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

from broker.configuration import durable_files
from broker.configuration.yaml_mistakes import RETYPE_FIX, TYPOGRAPHIC, UNSEEN, find_slip
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.identity.cpr import looks_like_cpr

LARGEST: Final = 256 * 1024
_DEEPEST: Final = 16
# Line breaks to the parser that most editors do not show.
_UNSEEN_BREAKS: Final = re.compile("[\u0085\u2028\u2029]")
_Take = Callable[[], Any]  # gives the parser's next event, None after the last
_NODE_STARTS: Final = AliasEvent | ScalarEvent | MappingStartEvent | SequenceStartEvent


class YamlText(str):
    """A scalar and its line. It stays text: ``no``, ``12:30`` and ``0101`` are not converted."""

    __slots__ = ("line",)
    line: int


class YamlSequence(list["YamlNode"]):
    """A sequence and its line."""

    line: int


class YamlMapping(dict[str, "YamlNode"]):
    """A mapping in the order of the file, and its line."""

    line: int


# The line of a node is that of its key, of the item of a list, or of its beginning.
YamlNode = YamlText | YamlSequence | YamlMapping
N = TypeVar("N", bound=YamlNode)


def place_node(node: N, line: int) -> N:
    """Return the node after setting its line."""
    node.line = line
    return node


def read_file(path: Path, name: str) -> YamlNode:
    """Read the one document of a file; ``name`` is what faults call the file.

    Raises ConfigurationFaults if the file cannot be read, or ``read`` refuses it.
    """
    try:
        octets = durable_files.read_bytes(path)
    except OSError as error:
        raise ConfigurationFaults([Fault(name, f"cannot be read: {error.strerror}")]) from None
    return read(octets, name)


def read(octets: bytes, name: str) -> YamlNode:
    """Read one document; ``name`` is what faults call the file.

    Raises ConfigurationFaults for anything but UTF-8 up to 256 KB, for an invisible line break, a
    second document, what looks like a CPR number, a directive, anchor, alias, tag, merge key,
    doubled key, key that is no text, and nesting deeper than sixteen
    (docs/reference/policies.md#format).
    """
    text = _decode(octets, name)
    reader = _Reader(name)
    for number, written in enumerate(text.splitlines(), 1):
        # In comments too: these files are copied and mailed.
        if looks_like_cpr(written):
            what = "holds what looks like a CPR number"
            reader.faults.append(Fault(f"{name}:{number}", what, "an example says cpr: real"))
    try:
        node = reader.document(CSafeLoader(text).get_event)
    except YAMLError as error:
        fault = _syntax_fault(error, name, text)
        raise ConfigurationFaults([*reader.faults, fault]) from None
    if reader.faults:
        raise ConfigurationFaults(reader.faults)
    if node is None:
        raise ConfigurationFaults([Fault(f"{name}:1", "is empty")])
    return node


def _decode(octets: bytes, name: str) -> str:
    if len(octets) > LARGEST:
        raise ConfigurationFaults([Fault(f"{name}:1", "is larger than 256 KB", "split it")])
    try:
        text = octets.decode()
    except UnicodeDecodeError as error:
        lines_before = octets.count(b"\n", 0, error.start)
        fault = Fault(f"{name}:{lines_before + 1}", "is not UTF-8", "save the file as UTF-8")
        raise ConfigurationFaults([fault]) from None
    if unseen := _UNSEEN_BREAKS.search(text):
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
    line, what, fix = find_slip(text, error.problem or "", at, begun)
    return Fault(f"{name}:{line}", f"is not YAML: {what}", fix)


def quote(word: object) -> str:
    """Quote a word of the file, unless it could be a CPR number, because faults are logged."""
    if looks_like_cpr(str(word)):
        return "(not shown)"
    return repr(word)


class _Reader:
    """Turns the parser's events into nodes or faults; it never constructs an object from a tag."""

    def __init__(self, name: str) -> None:
        self.faults: list[Fault] = []
        self._name = name

    def document(self, take: _Take) -> YamlNode | None:
        """Return the node of the one document, None where there is none."""
        node: YamlNode | None = None
        while (event := take()) is not None:
            if isinstance(event, DocumentStartEvent):
                self._document_start(event, first=node is None)
            elif isinstance(event, _NODE_STARTS):
                node = self._node(event, take, 1)
        return node

    def _document_start(self, event: Any, *, first: bool) -> None:
        if event.version or event.tags:
            self._fault(event, "carries a directive", "remove the line that begins with %")
        if not first:
            self._fault(event, "holds a second document", "one file is one document")
            # The rest of the file would cause only follow-up faults.
            raise ConfigurationFaults(self.faults)

    def _node(self, event: Any, take: _Take, depth: int) -> YamlNode:
        if isinstance(event, AliasEvent):
            self._fault(event, "uses an alias", "write the value out")
            return place_node(YamlText(), _line(event))
        if event.anchor is not None:
            self._fault(event, "sets an anchor", "remove the word that begins with &")
        if event.tag is not None:
            self._fault(event, "sets a tag", "remove the word that begins with !")
        if isinstance(event, ScalarEvent):
            self._check_scalar(event)
            return place_node(YamlText(event.value), _line(event))
        if depth > _DEEPEST:
            self._fault(event, "is nested deeper than sixteen", "flatten it")
            raise ConfigurationFaults(self.faults)
        if isinstance(event, SequenceStartEvent):
            return place_node(self._items(take, depth), _line(event))
        return place_node(self._entries(take, depth), _line(event))

    def _check_scalar(self, event: Any) -> None:
        """Refuse typographic quotes and invisible characters at the ends of a text."""
        text = event.value
        if text.isascii():
            return
        if not event.style and text[:1] in TYPOGRAPHIC:
            fix = f"write \" or ' in place of {text[0]}, or put the whole between them"
            self._fault(event, "has a value that begins with a typographic quote", fix)
        if unseen := UNSEEN.search(text[:1] + text[-1:]):
            what = f"has a word that begins or ends with U+{ord(unseen[0]):04X}, which is no blank"
            self._fault(event, what, RETYPE_FIX)

    def _items(self, take: _Take, depth: int) -> YamlSequence:
        items = YamlSequence()
        while not isinstance(event := take(), SequenceEndEvent):
            items.append(self._node(event, take, depth + 1))
        return items

    def _entries(self, take: _Take, depth: int) -> YamlMapping:
        entries = YamlMapping()
        while not isinstance(event := take(), MappingEndEvent):
            key = self._node(event, take, depth + 1)
            node = self._node(take(), take, depth + 1)
            if not isinstance(key, YamlText):
                self._fault(event, "has a key that is not a text")
            elif unseen := UNSEEN.search(key[1:-1]):
                what = f"has a key that holds U+{ord(unseen[0]):04X}, which is no blank"
                self._fault(event, what, RETYPE_FIX)
            elif key == "<<":
                self._fault(event, "uses a merge key", "write the keys out")
            elif key in entries:
                fix = f"the first is in line {entries[key].line}"
                self._fault(event, f"has {quote(key)} twice", fix)
            else:
                entries[str(key)] = place_node(node, key.line)
        return entries

    def _fault(self, event: Any, what: str, fix: str = "") -> None:
        self.faults.append(Fault(f"{self._name}:{_line(event)}", what, fix))


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
