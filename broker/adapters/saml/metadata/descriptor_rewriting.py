"""Reduces an EntityDescriptor to the parts that we read, in canonical form, and checks its XML.

Products write much more into their metadata than SAML 2.0 defines: WS-Federation roles, comments,
their own extensions, contacts. The schemas would refuse half of it, so everything that the broker
does not read is removed before the schemas are applied. A removed part has no effect.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, Final

from lxml import etree

from broker.adapters.saml.xml_security import safe_parser, xml_structure_checks
from broker.adapters.saml.xml_security.canonical_form import canonicalize, remove_child
from broker.adapters.saml.xml_security.xml_names import (
    ALGORITHM_SUPPORT,
    ATTRIBUTES,
    DS,
    ENTITY,
    EXTENSIONS,
    IDP_ROLE,
    KEY_INFO,
    LANGUAGE,
    MD,
    MDUI,
    SAML,
    SAMLP,
    SHIBMD,
    SP_ROLE,
)
from broker.adapters.saml.xml_security.xml_structure_checks import Bounds
from broker.core.errors import MessageRefused

# Ten times the largest real entity.
BOUNDS: Final = Bounds(octets=2 * 1024 * 1024, nodes=20_000)
# Bounds after the removal. The schema check takes longer for each further fault, and no message is
# checked meanwhile: twenty thousand faults take ten seconds, at each start and refresh.
REDUCED_BOUNDS: Final = Bounds(
    octets=BOUNDS.octets, nodes=5_000, attributes=5_000, namespaces=5_000
)
_NODES: Final[Callable[[etree._Element], Any]] = etree.XPath("count(descendant::node())")
_X509: Final = f"{{{DS}}}X509Data"
_CERTIFICATE: Final = f"{{{DS}}}X509Certificate"
_IDS: Final = frozenset({"id"})  # no signature of the entity is read, so nothing refers to it
_BASE64: Final = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= \t\r\n"
)


def _names(space: str, *names: str) -> frozenset[str]:
    return frozenset(f"{{{space}}}{name}" for name in names)


_OF_ROLES: Final = _names(MD, "Extensions", "KeyDescriptor", "SingleLogoutService", "NameIDFormat")
_TEXTS: Final = ("DisplayName", "Description", "PrivacyStatementURL", "InformationURL", "Logo")
# The children that are kept of each element. Of every other element, only the text is kept.
_KEPT: Final[Mapping[str, frozenset[str]]] = {
    ENTITY: frozenset({EXTENSIONS, IDP_ROLE, SP_ROLE}),
    IDP_ROLE: _OF_ROLES | _names(MD, "SingleSignOnService"),
    SP_ROLE: _OF_ROLES | _names(MD, "AssertionConsumerService", "AttributeConsumingService"),
    EXTENSIONS: (
        _names(MDUI, "UIInfo")
        | _names(SHIBMD, "Scope")
        | _names(ATTRIBUTES, "EntityAttributes")
        | _names(ALGORITHM_SUPPORT, "SigningMethod", "DigestMethod")
    ),
    f"{{{MDUI}}}UIInfo": _names(MDUI, *_TEXTS),
    f"{{{ATTRIBUTES}}}EntityAttributes": _names(SAML, "Attribute"),
    f"{{{SAML}}}Attribute": _names(SAML, "AttributeValue"),
    f"{{{MD}}}KeyDescriptor": frozenset({KEY_INFO}) | _names(MD, "EncryptionMethod"),
    f"{{{MD}}}AttributeConsumingService": _names(MD, "ServiceName", "RequestedAttribute"),
    KEY_INFO: frozenset({_X509}),
    _X509: frozenset({_CERTIFICATE}),
}
# The schemas do not allow these to be empty.
_NEVER_EMPTY: Final = frozenset({EXTENSIONS, f"{{{ATTRIBUTES}}}EntityAttributes"})


def rewrite(entity: etree._Element) -> etree._Element:
    """Return a copy of the EntityDescriptor with the parts that we read and the original lines.

    Its own signature is removed: the feed's signature covers it, and the folder is trusted like the
    configuration. Raises MessageRefused (``xml.*``), which names the element and line of a schema
    fault.
    """
    try:
        return _rewrite(entity)
    except MessageRefused:
        raise
    except Exception:  # noqa: BLE001 - one party's metadata must not affect other parties
        raise MessageRefused("xml.unreadable") from None


def _rewrite(entity: etree._Element) -> etree._Element:
    if _NODES(entity) > BOUNDS.nodes:
        raise MessageRefused("xml.nodes")
    kept = deepcopy(entity)
    kept.tail = None
    _prune(kept)
    octets = canonicalize(kept)
    try:
        found = safe_parser.parse(octets, ENTITY, REDUCED_BOUNDS)
    except MessageRefused as refused:
        if refused.cause != "xml.schema":
            raise
        raise MessageRefused(
            refused.cause, xml_structure_checks.find_first_violation(kept)
        ) from None
    for before, after in zip(kept.iter(), found.iter(), strict=True):
        after.sourceline = before.sourceline or entity.sourceline or 1
    return found


def _prune(element: etree._Element) -> None:
    """Remove everything from an element and its descendants that we do not read."""
    for name in element.attrib:
        if not _is_kept_attribute(str(name)):
            del element.attrib[name]
    allowed = _KEPT.get(str(element.tag))
    if allowed is None:
        _leave_text(element)
        return
    for child in list(element):
        if child.tag in allowed and _is_saml2(child):
            _prune(child)
        else:
            remove_child(element, child)
    if element.tag == KEY_INFO:
        _fix_certificates(element)
    else:
        _drop_empty(element)


def _drop_empty(element: etree._Element) -> None:
    """Remove empty children that the schemas do not allow to be empty."""
    for child in list(element):
        if child.tag in _NEVER_EMPTY and not len(child):
            remove_child(element, child)


def _leave_text(element: etree._Element) -> None:
    """Leave only text in an element, without comments; remove the text if it has child elements.

    The parts of the text around child elements, joined, would be a value that was never written.
    """
    whole = element.find("*") is None
    for child in list(element):
        remove_child(element, child)
    if not whole:
        element.text = ""


def _is_kept_attribute(name: str) -> bool:
    """Keep xml:lang, and attributes without namespace except IDs."""
    if name.startswith("{"):
        return name == LANGUAGE
    return name.lower() not in _IDS


def _is_saml2(element: etree._Element) -> bool:
    """Return whether an element is not a role of another protocol."""
    protocols = element.get("protocolSupportEnumeration")
    return protocols is None or SAMLP in protocols.split()


def _fix_certificates(key_info: etree._Element) -> None:
    """Replace a missing or unreadable certificate by an empty one.

    The schemas would refuse the whole entity. An empty certificate is an unreadable key, which is
    ignored if there are usable ones.
    """
    if key_info.find(f"{_X509}/{_CERTIFICATE}") is None:
        for empty in list(key_info):
            key_info.remove(empty)
        etree.SubElement(etree.SubElement(key_info, _X509), _CERTIFICATE)
    key_info.text = None
    for x509 in list(key_info):
        if not len(x509):
            key_info.remove(x509)
        for certificate in x509:
            if not _is_base64(certificate.text or ""):
                certificate.text = ""


def _is_base64(text: str) -> bool:
    digits = "".join(text.split())
    return len(digits) % 4 == 0 and _BASE64.issuperset(text) and "=" not in digits.rstrip("=")
