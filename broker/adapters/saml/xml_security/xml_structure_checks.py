"""The structure checks of XML security. A check returns True if the message must be refused."""

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
# A compiled schema has only one error log, so one thread at a time uses it (for 0.03 ms).
_schema_lock = threading.Lock()
_ENCODING: Final = re.compile(rb"""\s*<\?xml\s[^>]*?encoding\s*=\s*["']([^"'>]*)["']""")
# Possessive quantifiers, and only after white space, so that ``xmlns:xmlns:...`` does not take
# quadratic time. The white space is a look-behind, because a search for fixed characters is fast.
_NAMESPACE: Final = re.compile(
    rb"""xmlns(?<=\sxmlns)(?::[^\s=<>"']++)?\s*+=\s*+(?:"([^"]*+)"|'([^']*+)')"""
)
_ABSOLUTE: Final = re.compile(rb"""[A-Za-z][A-Za-z0-9+.\-]*:[^\s<>"'&]*""")
_OFFENDER: Final = re.compile(r"Element '(?:\{[^}]*\})?([A-Za-z0-9_.-]{1,60})'")
# Elements that have an ``Id`` by the standards, or as pysaml2 writes them. It must be unique, but
# no reference uses it.
_NUMBERED: Final = frozenset({ENCRYPTED_DATA, ENCRYPTED_KEY, SIGNATURE})


def _compile_path(expression: str) -> Callable[[etree._Element], Any]:
    return etree.XPath(expression, namespaces=PREFIXES)


# The length is compared first, because ``translate`` is slower.
_IDS: Final = _compile_path(
    "//@*[string-length(local-name()) = 2][translate(local-name(), 'ID', 'id') = 'id']"
)
_SIGNATURES: Final = _compile_path("//*[local-name() = 'Signature']")
_ASSERTIONS: Final = _compile_path("//saml:Assertion | //saml:EncryptedAssertion")
_NODES: Final = _compile_path("count(//node())")
_ATTRIBUTES: Final = _compile_path("count(//@*)")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of a message: real messages are far below them, XML bombs are above."""

    octets: int = 256 * 1024
    depth: int = 40
    nodes: int = 3_000  # the schema check of so many faulty nodes takes 0.1 s
    attributes: int = 1_500
    namespaces: int = 1_000
    scope: int = 100


class Octets(NamedTuple):
    """A message as it was received."""

    raw: bytes
    bounds: Bounds


@dataclass(frozen=True)
class MessageTree:
    """A parsed message, the root that the endpoint expects, and values that several checks use."""

    root: etree._Element
    expected: str
    bounds: Bounds

    @cached_property
    def ids(self) -> list[Any]:
        """Return every attribute that some reader may use as an ID, with its name and element."""
        return list(_IDS(self.root))

    @cached_property
    def signatures(self) -> list[etree._Element]:
        """Return every element that some reader may use as a signature."""
        return list(_SIGNATURES(self.root))

    @cached_property
    def assertions(self) -> list[etree._Element]:
        """Return every assertion, plain or encrypted, in any place."""
        return list(_ASSERTIONS(self.root))


def _is_too_large(message: Octets) -> bool:
    """Refuse a message that is too large to be genuine, before any work is done on it."""
    return len(message.raw) > message.bounds.octets


def _has_nul(message: Octets) -> bool:
    """Refuse a NUL: some readers stop there, others continue."""
    return b"\0" in message.raw


def _has_foreign_encoding(message: Octets) -> bool:
    """Refuse other encodings than UTF-8: another reader could read other characters.

    Examples are UTF-7, UTF-16, and Latin-1 that is labelled as UTF-8.
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
    """Refuse a relative namespace URI: canonicalisation fails, and some products then sign nothing.

    The URI may not contain white space, quotes or angle brackets, so that text which looks like a
    declaration cannot hide a real one. Source: CVE-2025-66568.
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
    """Refuse a message of another kind than this endpoint accepts (CVE-2026-49283)."""
    return message.root.tag != message.expected


def _has_too_many_nodes(message: MessageTree) -> bool:
    """Refuse more nodes than a real message has: the time of the other checks depends on them."""
    return bool(_NODES(message.root) > message.bounds.nodes)


def _has_too_many_attributes(message: MessageTree) -> bool:
    """Refuse more attributes than a real message has."""
    return bool(_ATTRIBUTES(message.root) > message.bounds.attributes)


def _is_too_deep(message: MessageTree) -> bool:
    """Refuse deep nesting, which exhausts the stack of recursive code."""
    return bool(_deeper_than(message.bounds.depth)(message.root))


def _has_too_large_scope(message: MessageTree) -> bool:
    """Refuse hundreds of declarations in scope at once.

    Canonicalisation goes through all of them at every element.
    """
    in_scope = 0
    for event, _ in etree.iterwalk(message.root, events=("start-ns", "end-ns")):
        in_scope += 1 if event == "start-ns" else -1
        if in_scope > message.bounds.scope:
            return True
    return False


def _has_foreign_id_attribute(message: MessageTree) -> bool:
    """Refuse ``id``, ``Id`` or ``xml:id`` instead of ``ID`` (CVE-2025-66567).

    Readers differ in which of these attributes a Reference finds.
    """
    return not all(_is_standard_id(found) for found in message.ids)


def _is_standard_id(found: Any) -> bool:
    if found.attrname == "ID":
        return True
    return found.attrname == "Id" and found.getparent().tag in _NUMBERED


def _has_duplicate_id(message: MessageTree) -> bool:
    """Refuse two elements with one ID: a reader may read the one that is not signed."""
    found = message.ids
    return len(set(found)) != len(found)


def _has_second_assertion(message: MessageTree) -> bool:
    """Refuse a second assertion, plain or encrypted: a reader may read the wrong one."""
    return len(message.assertions) > 1


def _has_misplaced_assertion(message: MessageTree) -> bool:
    """Refuse an assertion in Advice, Extensions, StatusDetail or elsewhere.

    A reader could use it by mistake.
    """
    for assertion in message.assertions:
        places = (assertion, assertion.getparent())
        if message.root not in places:
            return True
    return False


def _has_foreign_signature(message: MessageTree) -> bool:
    """Refuse a Signature of another namespace: some readers look only for the local name."""
    return any(found.tag != SIGNATURE for found in message.signatures)


def _has_misplaced_signature(message: MessageTree) -> bool:
    """Refuse a signature in another place than the root or its assertion.

    There it could be used for an element that it does not cover (signature wrapping). The schemas
    decide which roots may have a signature, and where in them. The check ``assertion_place``
    decides where an assertion may be.
    """
    for signature in message.signatures:
        parent = signature.getparent()
        if parent is None:
            return True
        if parent is not message.root and parent.tag != ASSERTION:
            return True
    return False


def _has_doubled_signature(message: MessageTree) -> bool:
    """Refuse two signatures in one element: only one of them would be verified."""
    signed = [found.getparent() for found in message.signatures]
    return len(set(signed)) != len(signed)


class _ShippedSchemas(etree.Resolver):
    """Resolves every schema location to a shipped file, so that nothing is fetched."""

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
    with _schema_lock:
        return bool(_compile_schema().validate(root.getroottree()))


def find_first_violation(root: etree._Element) -> str:
    """Return the first element that the schemas do not allow: ``Organization, line 3``.

    Return "" for a valid document. Use it only for files of the administrator. The text quotes no
    value.
    """
    with _schema_lock:
        schema = _compile_schema()
        if schema.validate(root.getroottree()):
            return ""
        log: Any = schema.error_log  # the stubs do not declare it
        offence = log[0]
        found = _OFFENDER.match(offence.message)
        name = found[1] if found else "an element"
        return f"{name}, line {offence.line}"


def _violates_schema(message: MessageTree) -> bool:
    """Refuse a message that the schemas do not allow, in the tree as it was received."""
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
    # A comment splits a text: user@x<!---->.evil (CVE-2017-11427).
    "comment": _build_path_check("//comment()"),
    # A processing instruction splits a text too, and can load a stylesheet.
    "instruction": _build_path_check("//processing-instruction()"),
    "xinclude": _build_path_check("//xi:*"),
    # libxml2 would load a schema from there.
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
    """Raise MessageRefused ``xml.<name>`` for the first check of a table that returns True."""
    for name, is_refused in table.items():
        if is_refused(subject):
            raise MessageRefused(f"xml.{name}")
