"""Rewrites an EntityDescriptor to canonical form, without what we do not read, and checks its XML.

Products write much more into their metadata than SAML 2.0 knows: roles of WS-Federation, comments,
extensions of their own, contacts. The schemas refuse the half of it, so all that nobody here reads
is dropped before they are applied; what is dropped can grant nothing.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, Final

from lxml import etree

from broker.adapters.saml.metadata.entity_attributes import ATTRIBUTES
from broker.adapters.saml.metadata.role_descriptors import IDP_ROLE, MDUI, SP_ROLE
from broker.adapters.saml.xml_security import safe_parser, xml_structure_checks
from broker.adapters.saml.xml_security.algorithm_selection import ALGORITHM_SUPPORT
from broker.adapters.saml.xml_security.canonical_form import canonicalize
from broker.adapters.saml.xml_security.xml_names import DS, ENTITY, EXTENSIONS, MD, SAML, SAMLP
from broker.adapters.saml.xml_security.xml_structure_checks import Bounds
from broker.core.errors import MessageRefused

SHIBMD: Final = "urn:mace:shibboleth:metadata:1.0"
# Ten times what the largest real entity has.
BOUNDS: Final = Bounds(octets=2 * 1024 * 1024, nodes=20_000)
# Of what is kept of it. Each fault against the schemas costs more than the one before, and no
# message is checked meanwhile: twenty thousand of them take ten seconds, at each start and renewal.
KEPT: Final = Bounds(octets=BOUNDS.octets, nodes=5_000, attributes=5_000, namespaces=5_000)
_NODES: Final[Callable[[etree._Element], Any]] = etree.XPath("count(descendant::node())")
_KEY_INFO: Final = f"{{{DS}}}KeyInfo"
_X509: Final = f"{{{DS}}}X509Data"
_CERTIFICATE: Final = f"{{{DS}}}X509Certificate"
_LANGUAGE: Final = "{http://www.w3.org/XML/1998/namespace}lang"
_IDS: Final = frozenset({"id"})  # no signature of the entity's own is read, so nothing refers to it
_BASE64: Final = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= \t\r\n"
)


def _names(space: str, *names: str) -> frozenset[str]:
    return frozenset(f"{{{space}}}{name}" for name in names)


_OF_ROLES: Final = _names(MD, "Extensions", "KeyDescriptor", "SingleLogoutService", "NameIDFormat")
_TEXTS: Final = ("DisplayName", "Description", "PrivacyStatementURL", "InformationURL", "Logo")
# What is kept below each element; of every other, its text.
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
    f"{{{MD}}}KeyDescriptor": frozenset({_KEY_INFO}) | _names(MD, "EncryptionMethod"),
    f"{{{MD}}}AttributeConsumingService": _names(MD, "ServiceName", "RequestedAttribute"),
    _KEY_INFO: frozenset({_X509}),
    _X509: frozenset({_CERTIFICATE}),
}
# The schemas demand content of these.
_NEVER_EMPTY: Final = frozenset({EXTENSIONS, f"{{{ATTRIBUTES}}}EntityAttributes"})


def rewritten(entity: etree._Element) -> etree._Element:
    """Return the EntityDescriptor anew, as far as it is read, with the lines of the original.

    Its own signature is dropped: the feed's covers it, and the folder is trusted as the
    configuration is. ``MessageRefused`` (``xml.*``) with the element and the line that offend
    against the schemas, where it cannot be used.
    """
    try:
        return _rewritten(entity)
    except MessageRefused:
        raise
    except Exception:  # noqa: BLE001 - whatever it breaks takes no other party along
        raise MessageRefused("xml.unreadable") from None


def _rewritten(entity: etree._Element) -> etree._Element:
    if _NODES(entity) > BOUNDS.nodes:
        raise MessageRefused("xml.nodes")
    kept = deepcopy(entity)
    kept.tail = None
    _prune(kept)
    octets = canonicalize(kept)
    try:
        found = safe_parser.parse(octets, ENTITY, KEPT)
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
    """Drop what is not read from an element and all below it."""
    for name in element.attrib:
        if not _kept_attribute(str(name)):
            del element.attrib[name]
    allowed = _KEPT.get(str(element.tag))
    if allowed is None:
        _leave_text(element)
        return
    for child in list(element):
        if child.tag in allowed and _speaks_saml2(child):
            _prune(child)
        else:
            _drop(element, child)
    if element.tag == _KEY_INFO:
        _mend_certificates(element)
    else:
        _drop_empty(element)


def _drop_empty(element: etree._Element) -> None:
    """Drop the children that the schemas demand content of, and that have none left."""
    for child in list(element):
        if child.tag in _NEVER_EMPTY and not len(child):
            _drop(element, child)


def _leave_text(element: etree._Element) -> None:
    """Leave nothing but text in an element, and none where others stand within it.

    Put together, the parts of such a text would be a value that nobody has vouched for.
    """
    whole = element.find("*") is None
    for child in list(element):
        _drop(element, child)
    if not whole:
        element.text = ""


def _kept_attribute(name: str) -> bool:
    """Keep SAML's own attributes: those without a namespace, no ID among them, and the language."""
    if name.startswith("{"):
        return name == _LANGUAGE
    return name.lower() not in _IDS


def _speaks_saml2(element: etree._Element) -> bool:
    """Return whether an element is no role of another protocol than SAML 2.0."""
    spoken = element.get("protocolSupportEnumeration")
    return spoken is None or SAMLP in spoken.split()


def _drop(parent: etree._Element, child: etree._Element) -> None:
    """Drop a child, and not the text behind it: a value that a comment cut in two is whole."""
    tail = child.tail or ""
    before = child.getprevious()
    if before is None:
        parent.text = (parent.text or "") + tail
    else:
        before.tail = (before.tail or "") + tail
    parent.remove(child)


def _mend_certificates(key_info: etree._Element) -> None:
    """Leave one empty certificate in place of none, and of what is no base64.

    The schemas would refuse the whole entity for it; an empty one is a key that cannot be read,
    which is passed over beside good ones.
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
            if not _base64(certificate.text or ""):
                certificate.text = ""


def _base64(text: str) -> bool:
    digits = "".join(text.split())
    return len(digits) % 4 == 0 and _BASE64.issuperset(text) and "=" not in digits.rstrip("=")
