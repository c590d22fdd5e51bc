"""Every check of the gate: one small function each, which says whether a message offends.

Validates a message as it was received against the XML schemas of SAML 2.0, in process and without a network.
"""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any, Final, NamedTuple

from lxml import etree

from broker.adapters.saml.gate.xml_names import (
    ASSERTION,
    ENCRYPTED_DATA,
    ENCRYPTED_KEY,
    MD,
    PREFIXES,
    SAMLP,
    SIGNATURE,
    XENC11,
)

_SHIPPED: Final = files("saml2.data.schemas")  # the XSDs that pysaml2 ships
_ENTRIES: Final = (
    (SAMLP, "saml-schema-protocol-2.0.xsd"),  # imports assertion, xmldsig and xenc
    (MD, "saml-schema-metadata-2.0.xsd"),
    (XENC11, "xenc-schema-11.xsd"),
)
_turn = (
    threading.Lock()
)  # a compiled schema has one error log, so threads take turns (0.03 ms each)


class _Shipped(etree.Resolver):
    """Finds every schema location, whatever its host, among the shipped files."""

    def resolve(self, system_url: str, _public_id: str, opening: Any) -> Any:  # type: ignore[override]  # stubs lack one
        """Give the shipped file of that name."""
        shipped = _SHIPPED / system_url.rsplit("/", 1)[-1]
        return self.resolve_string(shipped.read_bytes(), opening, base_url=system_url)


@cache
def _compiled() -> etree.XMLSchema:
    parser = etree.XMLParser(no_network=True, load_dtd=False)
    parser.resolvers.add(_Shipped())
    imports = "".join(
        f'<import namespace="{space}" schemaLocation="{name}"/>' for space, name in _ENTRIES
    )
    source = f'<schema xmlns="http://www.w3.org/2001/XMLSchema">{imports}</schema>'
    return etree.XMLSchema(etree.fromstring(source.encode(), parser))


def valid(root: etree._Element) -> bool:
    """Say whether the document of ``root`` obeys the schemas (saml-core, saml-metadata, xmldsig, xenc, xenc11).

    Nothing is added to the tree. An xsi:schemaLocation would be followed by libxml2, so the gate
    refuses it first.
    """
    with _turn:
        return bool(_compiled().validate(root.getroottree()))


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of a message is read; everything real is far below, every bomb above."""

    octets: int = 256 * 1024
    depth: int = 40
    nodes: int = 3_000  # more cost 0.1 s where each offends against the schemas
    attributes: int = 1_500
    namespaces: int = 1_000
    scope: int = 100


class Octets(NamedTuple):
    """A message as it came."""

    raw: bytes
    bounds: Bounds


def _path(expression: str) -> Callable[[etree._Element], Any]:
    return etree.XPath(expression, namespaces=PREFIXES)


_IDS: Final = _path("//@*[translate(local-name(), 'ID', 'id') = 'id']")
# Elements that the standards give an ``Id``, or that pysaml2 writes one on (measured): counted,
# never referred to.
_NUMBERED: Final = frozenset({ENCRYPTED_DATA, ENCRYPTED_KEY, SIGNATURE})
_SIGNATURES: Final = _path("//*[local-name() = 'Signature']")
_ASSERTIONS: Final = _path("//saml:Assertion | //saml:EncryptedAssertion")
_NODES: Final = _path("count(//node())")
_ATTRIBUTES: Final = _path("count(//@*)")


@dataclass(frozen=True)
class MessageTree:
    """A message as parsed, with the one root that the endpoint takes, and what several checks look at."""

    root: etree._Element
    expected: str
    bounds: Bounds

    @cached_property
    def ids(self) -> list[Any]:
        """Every attribute that somebody may take for an ID; each value knows its name and its element."""
        return list(_IDS(self.root))

    @cached_property
    def signatures(self) -> list[etree._Element]:
        """Every element that somebody may take for a signature."""
        return list(_SIGNATURES(self.root))

    @cached_property
    def assertions(self) -> list[etree._Element]:
        """Every assertion, plain or encrypted, wherever it stands."""
        return list(_ASSERTIONS(self.root))


_ENCODING: Final = re.compile(rb"""\s*<\?xml\s[^>]*?encoding\s*=\s*["']([^"'>]*)["']""")
# Possessive, and only behind the white space that XML demands: else ``xmlns:xmlns:...`` takes
# quadratic time.
_NAMESPACE: Final = re.compile(rb"""\sxmlns(?::[^\s=<>"']++)?\s*+=\s*+(?:"([^"]*+)"|'([^']*+)')""")
_ABSOLUTE: Final = re.compile(rb"""[A-Za-z][A-Za-z0-9+.\-]*:[^\s<>"'&]*""")


def _size(message: Octets) -> bool:
    """Refuse a message too large to be one, before any work is done on it."""
    return len(message.raw) > message.bounds.octets


def _nul(message: Octets) -> bool:
    """Refuse a NUL: what follows it is read by some and not by others."""
    return b"\0" in message.raw


def _encoding(message: Octets) -> bool:
    """Refuse bytes that mean one thing here and another to the next reader (UTF-7, UTF-16, mislabelled Latin)."""
    declared = _ENCODING.match(message.raw.removeprefix(b"\xef\xbb\xbf"))
    if declared and declared[1].lower() != b"utf-8":
        return True
    try:
        message.raw.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


def _doctype(message: Octets) -> bool:
    """Refuse a DOCTYPE, which external entities, entity expansion and defaulted attributes need (CVE-2016-10149)."""
    return b"<!DOCTYPE" in message.raw


def _namespaces(message: Octets) -> bool:
    """Refuse thousands of declarations: they cost quadratic time wherever namespaces in scope are walked."""
    return message.raw.count(b"xmlns") > message.bounds.namespaces


def _relative_namespace(message: Octets) -> bool:
    """Refuse a relative namespace URI: canonicalisation fails, and some then sign nothing (CVE-2025-66568).

    Whitespace, quotes and angle brackets are refused within, so that no declaration can hide behind
    text like one.
    """
    return not all(
        _ABSOLUTE.fullmatch(value)
        for pair in _NAMESPACE.findall(message.raw)
        for value in pair
        if value
    )


@cache
def _deeper(depth: int) -> etree.XPath:
    return etree.XPath("boolean(/" + "/".join("*" * (depth + 1)) + ")")


def _has(path: str) -> Callable[[MessageTree], Any]:
    compiled = _path(f"boolean({path})")
    return lambda message: compiled(message.root)


def _root(message: MessageTree) -> bool:
    """Refuse a message of another kind than this endpoint takes (CVE-2026-49283)."""
    return message.root.tag != message.expected


def _nodes(message: MessageTree) -> bool:
    """Refuse more nodes than a real message has; the walks below are linear in them."""
    return bool(_NODES(message.root) > message.bounds.nodes)


def _attributes(message: MessageTree) -> bool:
    """Refuse more attributes than a real message has."""
    return bool(_ATTRIBUTES(message.root) > message.bounds.attributes)


def _depth(message: MessageTree) -> bool:
    """Refuse nesting deep enough to exhaust whatever recurses over it."""
    return bool(_deeper(message.bounds.depth)(message.root))


def _scope(message: MessageTree) -> bool:
    """Refuse hundreds of declarations in scope at once: canonicalisation goes through them at each element."""
    within = 0
    for event, _ in etree.iterwalk(message.root, events=("start-ns", "end-ns")):
        within += 1 if event == "start-ns" else -1
        if within > message.bounds.scope:
            return True
    return False


def _id_attribute(message: MessageTree) -> bool:
    """Refuse ``id``, ``Id`` or ``xml:id`` beside ``ID``: readers differ in which a Reference finds (CVE-2025-66567)."""
    return any(
        not (
            found.attrname == "ID"
            or (found.attrname == "Id" and found.getparent().tag in _NUMBERED)
        )
        for found in message.ids
    )


def _duplicate_id(message: MessageTree) -> bool:
    """Refuse two elements of one ID: the signature covers the first, the reader takes the second."""
    found = message.ids
    return len(set(found)) != len(found)


def _assertions(message: MessageTree) -> bool:
    """Refuse a second assertion, plain or encrypted: somebody may read it instead of the first."""
    return len(message.assertions) > 1


def _assertion_place(message: MessageTree) -> bool:
    """Refuse an assertion in Advice, Extensions, StatusDetail or elsewhere: it is there to be found by mistake."""
    return any(
        found is not message.root and found.getparent() is not message.root
        for found in message.assertions
    )


def _signature_namespace(message: MessageTree) -> bool:
    """Refuse a Signature of a foreign namespace: some readers look for the local name."""
    return any(found.tag != SIGNATURE for found in message.signatures)


def _signature_place(message: MessageTree) -> bool:
    """Refuse a signature but at the root or its assertion: elsewhere another element borrows it (signature wrapping).

    Which roots may have one, and where in them, the schemas say; where an assertion may stand,
    ``assertion_place``.
    """
    parents = [found.getparent() for found in message.signatures]
    return any(
        parent is None or (parent is not message.root and parent.tag != ASSERTION)
        for parent in parents
    )


def _signatures(message: MessageTree) -> bool:
    """Refuse two signatures at one element: verifying one says nothing about the other."""
    signed = [found.getparent() for found in message.signatures]
    return len(set(signed)) != len(signed)


def _schema(message: MessageTree) -> bool:
    """Refuse what the schemas do not allow, in the tree as received and not as written again."""
    return not valid(message.root)


OCTETS: Final[dict[str, Callable[[Octets], bool]]] = {
    "size": _size,
    "nul": _nul,
    "encoding": _encoding,
    "doctype": _doctype,
    "namespaces": _namespaces,
    "relative_namespace": _relative_namespace,
}
TREE: Final[dict[str, Callable[[MessageTree], Any]]] = {
    "root": _root,
    "nodes": _nodes,
    "attributes": _attributes,
    "depth": _depth,
    "scope": _scope,
    "comment": _has("//comment()"),  # cuts a text in two: user@x<!---->.evil (CVE-2017-11427)
    "instruction": _has(
        "//processing-instruction()"
    ),  # cuts as a comment does, and can start a stylesheet
    "xinclude": _has("//xi:*"),
    "schema_location": _has(
        "//@xsi:*[local-name() != 'type' and local-name() != 'nil']"
    ),  # libxml2 follows it
    "id_attribute": _id_attribute,
    "duplicate_id": _duplicate_id,
    "assertions": _assertions,
    "assertion_place": _assertion_place,
    "signature_namespace": _signature_namespace,
    "signature_place": _signature_place,
    "signatures": _signatures,
    "signed_info_place": _has("//ds:SignedInfo[not(parent::ds:Signature)]"),
}
LAST: Final[dict[str, Callable[[MessageTree], Any]]] = {"schema": _schema}
