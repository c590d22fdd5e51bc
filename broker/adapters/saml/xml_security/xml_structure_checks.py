"""The structure checks of XML security; each function returns whether a message offends."""

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any, Final, NamedTuple, TypeVar

from lxml import etree

from broker.adapters.saml.xml_security.xml_names import (
    ASSERTION,
    ENCRYPTED_DATA,
    ENCRYPTED_KEY,
    MD,
    PREFIXES,
    SAMLP,
    SIGNATURE,
    XENC11,
    XS,
)
from broker.core.errors import MessageRefused

_Subject = TypeVar("_Subject")

# The XSDs that pysaml2 ships.
_SHIPPED: Final = files("saml2.data.schemas")
_ENTRIES: Final = (
    (SAMLP, "saml-schema-protocol-2.0.xsd"),  # imports assertion, xmldsig and xenc
    (MD, "saml-schema-metadata-2.0.xsd"),
    (XENC11, "xenc-schema-11.xsd"),
)
# A compiled schema has one error log, so threads take turns (0.03 ms each).
_turn = threading.Lock()
_ENCODING: Final = re.compile(rb"""\s*<\?xml\s[^>]*?encoding\s*=\s*["']([^"'>]*)["']""")
# Possessive quantifiers, and only after white space, so that ``xmlns:xmlns:...`` does not take
# quadratic time. The white space is a look-behind, because a search for fixed characters is fast.
_NAMESPACE: Final = re.compile(
    rb"""xmlns(?<=\sxmlns)(?::[^\s=<>"']++)?\s*+=\s*+(?:"([^"]*+)"|'([^']*+)')"""
)
_ABSOLUTE: Final = re.compile(rb"""[A-Za-z][A-Za-z0-9+.\-]*:[^\s<>"'&]*""")
_OFFENDER: Final = re.compile(r"Element '(?:\{[^}]*\})?([A-Za-z0-9_.-]{1,60})'")
# Elements that the standards give an ``Id``, or that pysaml2 writes one on (measured): counted,
# never referred to.
_NUMBERED: Final = frozenset({ENCRYPTED_DATA, ENCRYPTED_KEY, SIGNATURE})


def _compile_path(expression: str) -> Callable[[etree._Element], Any]:
    return etree.XPath(expression, namespaces=PREFIXES)


# By their length first, which leaves little to translate.
_IDS: Final = _compile_path(
    "//@*[string-length(local-name()) = 2][translate(local-name(), 'ID', 'id') = 'id']"
)
_SIGNATURES: Final = _compile_path("//*[local-name() = 'Signature']")
_ASSERTIONS: Final = _compile_path("//saml:Assertion | //saml:EncryptedAssertion")
_NODES: Final = _compile_path("count(//node())")
_ATTRIBUTES: Final = _compile_path("count(//@*)")


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


@dataclass(frozen=True)
class MessageTree:
    """A message as parsed, the one root that the endpoint allows, and what several checks read."""

    root: etree._Element
    expected: str
    bounds: Bounds

    @cached_property
    def ids(self) -> list[Any]:
        """Every attribute that some reader may take for an ID; it knows its name and element."""
        return list(_IDS(self.root))

    @cached_property
    def signatures(self) -> list[etree._Element]:
        """Every element that some reader may take for a signature."""
        return list(_SIGNATURES(self.root))

    @cached_property
    def assertions(self) -> list[etree._Element]:
        """Every assertion, plain or encrypted, wherever it stands."""
        return list(_ASSERTIONS(self.root))


def _is_too_large(message: Octets) -> bool:
    """Refuse a message too large to be one, before any work is done on it."""
    return len(message.raw) > message.bounds.octets


def _has_nul(message: Octets) -> bool:
    """Refuse a NUL: what follows it is read by some and not by others."""
    return b"\0" in message.raw


def _has_foreign_encoding(message: Octets) -> bool:
    """Refuse bytes that mean one thing here and another to the next reader.

    They are UTF-7, UTF-16, or mislabelled Latin.
    """
    declared = _ENCODING.match(message.raw.removeprefix(b"\xef\xbb\xbf"))
    if declared and declared[1].lower() != b"utf-8":
        return True
    try:
        message.raw.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


def _has_doctype(message: Octets) -> bool:
    """Refuse a DOCTYPE (CVE-2016-10149).

    External entities, entity expansion and defaulted attributes need it.
    """
    return b"<!DOCTYPE" in message.raw


def _has_too_many_namespaces(message: Octets) -> bool:
    """Refuse thousands of declarations.

    They cost quadratic time wherever namespaces in scope are walked.
    """
    return message.raw.count(b"xmlns") > message.bounds.namespaces


def _has_relative_namespace(message: Octets) -> bool:
    """Refuse a relative namespace URI: canonicalisation fails, and some then sign nothing.

    Whitespace, quotes and angle brackets are refused within, so that no declaration can hide behind
    text like one. Source: CVE-2025-66568.
    """
    for double_quoted, single_quoted in _NAMESPACE.findall(message.raw):
        value = double_quoted or single_quoted
        if value and not _ABSOLUTE.fullmatch(value):
            return True
    return False


@cache
def _deeper_than(depth: int) -> etree.XPath:
    return etree.XPath("boolean(/" + "/".join("*" * (depth + 1)) + ")")


def _build_path_check(path: str) -> Callable[[MessageTree], Any]:
    compiled = _compile_path(f"boolean({path})")
    return lambda message: compiled(message.root)


def _has_other_root(message: MessageTree) -> bool:
    """Refuse a message of another kind than this endpoint takes (CVE-2026-49283)."""
    return message.root.tag != message.expected


def _has_too_many_nodes(message: MessageTree) -> bool:
    """Refuse more nodes than a real message has; the walks below are linear in them."""
    return bool(_NODES(message.root) > message.bounds.nodes)


def _has_too_many_attributes(message: MessageTree) -> bool:
    """Refuse more attributes than a real message has."""
    return bool(_ATTRIBUTES(message.root) > message.bounds.attributes)


def _is_too_deep(message: MessageTree) -> bool:
    """Refuse nesting deep enough to exhaust whatever recurses over it."""
    return bool(_deeper_than(message.bounds.depth)(message.root))


def _has_too_large_scope(message: MessageTree) -> bool:
    """Refuse hundreds of declarations in scope at once.

    Canonicalisation goes through all of them at every element.
    """
    within = 0
    for event, _ in etree.iterwalk(message.root, events=("start-ns", "end-ns")):
        within += 1 if event == "start-ns" else -1
        if within > message.bounds.scope:
            return True
    return False


def _has_foreign_id_attribute(message: MessageTree) -> bool:
    """Refuse ``id``, ``Id`` or ``xml:id`` beside ``ID`` (CVE-2025-66567).

    Readers differ in which of them a Reference finds.
    """
    return not all(_is_standard_id(found) for found in message.ids)


def _is_standard_id(found: Any) -> bool:
    if found.attrname == "ID":
        return True
    return found.attrname == "Id" and found.getparent().tag in _NUMBERED


def _has_duplicate_id(message: MessageTree) -> bool:
    """Refuse two elements of one ID: the signature covers the first, a reader reads the second."""
    found = message.ids
    return len(set(found)) != len(found)


def _has_second_assertion(message: MessageTree) -> bool:
    """Refuse a second assertion, plain or encrypted: a reader may read it instead of the first."""
    return len(message.assertions) > 1


def _has_misplaced_assertion(message: MessageTree) -> bool:
    """Refuse an assertion in Advice, Extensions, StatusDetail or elsewhere.

    It is there to be found by mistake.
    """
    for assertion in message.assertions:
        places = (assertion, assertion.getparent())
        if message.root not in places:
            return True
    return False


def _has_foreign_signature(message: MessageTree) -> bool:
    """Refuse a Signature of a foreign namespace: some readers look for the local name."""
    return any(found.tag != SIGNATURE for found in message.signatures)


def _has_misplaced_signature(message: MessageTree) -> bool:
    """Refuse a signature but at the root or its assertion.

    Elsewhere another element borrows it (signature wrapping). The schemas decide which roots may
    have a signature, and where in them; ``assertion_place`` where an assertion may stand.
    """
    for signature in message.signatures:
        parent = signature.getparent()
        if parent is None:
            return True
        if parent is not message.root and parent.tag != ASSERTION:
            return True
    return False


def _has_doubled_signature(message: MessageTree) -> bool:
    """Refuse two signatures at one element: verifying one says nothing about the other."""
    signed = [found.getparent() for found in message.signatures]
    return len(set(signed)) != len(signed)


class _ShippedSchemas(etree.Resolver):
    """Finds every schema location, whatever its host, among the shipped files."""

    def resolve(  # type: ignore[override]  # stubs lack one
        self, system_url: str, _public_id: str, opening: Any
    ) -> Any:
        """Return the shipped file of that name."""
        shipped = _SHIPPED / system_url.rsplit("/", 1)[-1]
        return self.resolve_string(shipped.read_bytes(), opening, base_url=system_url)


@cache
def _compile_schema() -> etree.XMLSchema:
    parser = etree.XMLParser(no_network=True, load_dtd=False)
    parser.resolvers.add(_ShippedSchemas())
    # A single schema imports all others: lxml resolves the locations while it parses the source.
    source = etree.Element(f"{{{XS}}}schema", nsmap={"xs": XS})
    for space, name in _ENTRIES:
        etree.SubElement(source, f"{{{XS}}}import", namespace=space, schemaLocation=name)
    return etree.XMLSchema(etree.fromstring(etree.tostring(source), parser))


def is_valid(root: etree._Element) -> bool:
    """Return whether the document of ``root`` obeys the XML schemas of SAML 2.0, without a network.

    The tree stays unchanged. libxml2 would follow an xsi:schemaLocation, so an earlier check
    refuses it. Sources: the schemas of saml-core, saml-metadata, xmldsig, xenc, xenc11.
    """
    with _turn:
        return bool(_compile_schema().validate(root.getroottree()))


def find_first_violation(root: etree._Element) -> str:
    """Name the first element that the schemas do not allow, and its line: ``Organization, line 3``.

    Return an empty string for a valid document. Use it only for files of the administrator. The
    text quotes no value.
    """
    with _turn:
        schema = _compile_schema()
        if schema.validate(root.getroottree()):
            return ""
        log: Any = schema.error_log  # the stubs do not declare it
        offence = log[0]
        found = _OFFENDER.match(offence.message)
        name = found[1] if found else "an element"
        return f"{name}, line {offence.line}"


def _violates_schema(message: MessageTree) -> bool:
    """Refuse what the schemas do not allow, in the tree as received and not as written again."""
    return not is_valid(message.root)


OCTETS: Final[dict[str, Callable[[Octets], bool]]] = {
    "size": _is_too_large,
    "nul": _has_nul,
    "encoding": _has_foreign_encoding,
    "doctype": _has_doctype,
    "namespaces": _has_too_many_namespaces,
    "relative_namespace": _has_relative_namespace,
}
TREE: Final[dict[str, Callable[[MessageTree], Any]]] = {
    "root": _has_other_root,
    "nodes": _has_too_many_nodes,
    "attributes": _has_too_many_attributes,
    "depth": _is_too_deep,
    "scope": _has_too_large_scope,
    # It cuts a text in two: user@x<!---->.evil (CVE-2017-11427).
    "comment": _build_path_check("//comment()"),
    # It cuts as a comment does, and can start a stylesheet.
    "instruction": _build_path_check("//processing-instruction()"),
    "xinclude": _build_path_check("//xi:*"),
    # libxml2 follows it.
    "schema_location": _build_path_check(
        "//@xsi:*[local-name() != 'type' and local-name() != 'nil']"
    ),
    "id_attribute": _has_foreign_id_attribute,
    "duplicate_id": _has_duplicate_id,
    "assertions": _has_second_assertion,
    "assertion_place": _has_misplaced_assertion,
    "signature_namespace": _has_foreign_signature,
    "signature_place": _has_misplaced_signature,
    "signatures": _has_doubled_signature,
    "signed_info_place": _build_path_check("//ds:SignedInfo[not(parent::ds:Signature)]"),
}
LAST: Final[dict[str, Callable[[MessageTree], Any]]] = {"schema": _violates_schema}


def apply_checks(table: Mapping[str, Callable[[_Subject], Any]], subject: _Subject) -> None:
    """Raise MessageRefused ``xml.<name>`` for the first check of a table that refuses."""
    for name, offends in table.items():
        if offends(subject):
            raise MessageRefused(f"xml.{name}")
