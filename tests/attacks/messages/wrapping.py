"""Signature wrapping (XSW) in all arrangements.

The attacker hides the genuine, signed element somewhere in the message and adds an evil one. A careless recipient
verifies the first and reads the second.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import xmlsec
from lxml import etree

from broker.adapters.saml.xml_security import encryption
from broker.adapters.saml.xml_security.xml_names import ASSERTION, DS, SAML, SAMLP, SIGNATURE
from tests.plugins.saml_parties import Parties

EVIL: Final = "chief@au.dk"
Place = Callable[[Any, Any, Any], None]


def _place_below_response(path: str, first: int) -> Place:
    """Return a function that puts an element below the Response at ``path``, which is created if it is missing."""

    def place_element(root: Any, _outer: Any, what: Any) -> None:
        parent = root
        for name in path.split("/"):
            tag = f"{{{SAMLP}}}{name}"
            found = parent.find(tag)
            if found is None:
                found = etree.Element(tag)
                parent.insert(first + (parent.find(SIGNATURE) is not None) if parent is root else len(parent), found)
            parent = found
        parent.append(what)

    return place_element


def _place_in_assertion(path: str) -> Place:
    """Return a function that puts an element into the outer assertion, at a path that the schema has."""

    def place_element(_root: Any, outer: Any, what: Any) -> None:
        outer.find("/".join(f"{{{SAML}}}{name}" for name in path.split("/"))).append(what)

    return place_element


def _place_in_advice(_root: Any, outer: Any, what: Any) -> None:
    advice = etree.Element(f"{{{SAML}}}Advice")
    outer.find(f"{{{SAML}}}Conditions").addnext(advice)
    advice.append(what)


def _place_in_signature(name: str) -> Place:
    """Return a function that puts an element into the outer signature, at a place that the signature does not cover."""

    def place_element(_root: Any, outer: Any, what: Any) -> None:
        found = outer.find(SIGNATURE)
        if found is None:
            found = etree.fromstring(f'<ds:Signature xmlns:ds="{DS}"/>')
            outer.insert(1, found)
        holder = found.find(f"{{{DS}}}{name}")
        if holder is None:
            holder = etree.SubElement(found, f"{{{DS}}}{name}")
        holder.append(what)

    return place_element


PLACES: Final[dict[str, Place]] = {
    "before": lambda _root, outer, what: outer.addprevious(what),
    "after": lambda _root, outer, what: outer.addnext(what),
    "within": lambda _root, outer, what: outer.append(what),
    "Extensions": _place_below_response("Extensions", 1),
    "StatusDetail": _place_below_response("Status/StatusDetail", 1),
    "Advice": _place_in_advice,
    "SubjectConfirmationData": _place_in_assertion("Subject/SubjectConfirmation/SubjectConfirmationData"),
    "AttributeValue": _place_in_assertion("AttributeStatement/Attribute/AttributeValue"),
    "AuthnContext": _place_in_assertion("AuthnStatement/AuthnContext"),
    "Object": _place_in_signature("Object"),
    "KeyInfo": _place_in_signature("KeyInfo"),
}
IDS: Final = ("the same", "another", "no")
# The genuine assertion's signature does not cover these places, so it still verifies with an element added there.
UNSIGNED: Final = ("before", "after", "Extensions", "StatusDetail", "Object", "KeyInfo")


@dataclass(frozen=True)
class Wrapping:
    """One arrangement of a genuine and an evil element.

    ``signed`` is the element that is signed, ``place`` is where the other one is hidden, ``read`` says which of
    them a naive reader reads, ``name`` is the kind of ID, and ``carrier`` holds the signature.
    """

    signed: str
    place: str
    read: str
    name: str
    carrier: str

    def __str__(self) -> str:
        """Return a name for the test case."""
        hidden = "genuine" if self.read == "evil" else "evil"
        return f"{self.signed} signed, {hidden} in {self.place}, {self.name} ID, signature at the {self.carrier}"

    def octets(self, parties: Parties) -> bytes:
        """Return the message."""
        return self.make(parties)[0]

    def make(self, parties: Parties) -> tuple[bytes, bytes]:
        """Return the message, and the genuine element that its signature covers."""
        return _wrap_response(self, parties) if self.signed == "Response" else _wrap_assertion(self, parties)


def _make_evil_copy(genuine: Any, name: str) -> Any:
    copy = etree.fromstring(etree.tostring(genuine))
    for each in copy.iter(f"{{{SAML}}}AttributeValue"):
        each.text = EVIL if "@" in (each.text or "") else each.text
    if name == "another":
        copy.set("ID", "_evil")
    elif name == "no":
        del copy.attrib["ID"]
    return copy


def _remove_signature(element: Any) -> Any:
    found = element.find(SIGNATURE)
    if found is not None:
        element.remove(found)
    return element


def _wrap_assertion(how: Wrapping, parties: Parties) -> tuple[bytes, bytes]:
    root = etree.fromstring(parties.sign_response(parties.response()))
    genuine = root.find(ASSERTION)
    assert genuine is not None
    kept = etree.tostring(genuine)
    evil = _make_evil_copy(genuine, how.name)
    if how.carrier == "genuine":
        _remove_signature(evil)
    elif how.read == "evil":
        _remove_signature(genuine)
    if how.read == "evil":
        root.replace(genuine, evil)
        PLACES[how.place](root, evil, genuine)
    else:
        PLACES[how.place](root, genuine, evil)
    return etree.tostring(root), kept


def _wrap_response(how: Wrapping, parties: Parties) -> tuple[bytes, bytes]:
    genuine = etree.fromstring(parties.sign_response(parties.response(), whole=True))
    kept = etree.tostring(genuine)
    evil = _make_evil_copy(genuine, how.name)
    _remove_signature(evil if how.carrier == "genuine" else genuine)
    outer, inner = (evil, genuine) if how.read == "evil" else (genuine, evil)
    assertion = outer.find(ASSERTION)
    target = outer if how.place in {"Object", "KeyInfo"} else assertion
    PLACES[how.place](outer, target, inner)
    return etree.tostring(outer), kept


def list_wrappings() -> Iterator[Wrapping]:
    """Yield each arrangement in which the genuine signature still verifies over the genuine element."""
    for place in PLACES:
        for name in IDS:
            for carrier in ("genuine", "evil"):
                yield Wrapping("Assertion", place, "evil", name, carrier)
                yield Wrapping("Response", place, "evil", name, carrier)
            if place in UNSIGNED:
                yield Wrapping("Assertion", place, "genuine", name, "genuine")
            if place in {"Object", "KeyInfo"}:
                yield Wrapping("Response", place, "genuine", name, "genuine")


def make_encrypted_message(place: str, parties: Parties) -> bytes:
    """Return a message with a genuine assertion and, at ``place``, an evil one encrypted to the broker."""
    root = etree.fromstring(parties.sign_response(parties.response()))
    genuine = root.find(ASSERTION)
    assert genuine is not None
    box = encryption.encrypt(
        _remove_signature(_make_evil_copy(genuine, "another")), parties.ring.sp.encryption_certificate
    )
    PLACES[place](root, genuine, box)
    return etree.tostring(root)


def is_accepted_by_careless_reader(raw: bytes, genuine: bytes, parties: Parties) -> bool:
    """Return whether a careless reader accepts the message: it looks up the signed ID and verifies whatever has it."""
    root = etree.fromstring(raw)
    name = etree.fromstring(genuine).get("ID")
    for signature in root.iter(SIGNATURE):
        for each in root.iter():
            if each.get("ID") != name or signature.find(f".//{{{DS}}}Reference") is None:
                continue
            alone: Any = etree.fromstring(etree.tostring(each, with_tail=False))
            if alone.find(SIGNATURE) is None:
                alone.insert(1, etree.fromstring(etree.tostring(signature, with_tail=False)))
            checking = xmlsec.SignatureContext()
            checking.key = parties.hub.xml
            checking.register_id(alone, "ID")
            try:
                checking.verify(alone.find(SIGNATURE))
            except xmlsec.Error:
                continue
            return True
    return False
