"""Every way to hide one message or assertion in another, so that the one is verified and the other is read (XSW)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import xmlsec
from lxml import etree

from broker.adapters.saml.xml_security import encryption
from broker.adapters.saml.xml_security.xml_names import ASSERTION, DS, SAML, SAMLP, SIGNATURE
from tests.plugins.saml_parties import Parties

EVIL: Final = "chief@au.dk"
_SIGNED_INFO_NEXT: Final = ("KeyInfo", "Object")
Place = Callable[[Any, Any, Any], None]


def _under(path: str, first: int) -> Place:
    """Give a place below the Response, made there if need be."""

    def put(root: Any, _outer: Any, what: Any) -> None:
        parent = root
        for name in path.split("/"):
            tag = f"{{{SAMLP}}}{name}"
            found = parent.find(tag)
            if found is None:
                found = etree.Element(tag)
                parent.insert(first + (parent.find(SIGNATURE) is not None) if parent is root else len(parent), found)
            parent = found
        parent.append(what)

    return put


def _within(path: str) -> Place:
    """Give a place below the outer assertion that its schema has."""

    def put(_root: Any, outer: Any, what: Any) -> None:
        outer.find("/".join(f"{{{SAML}}}{name}" for name in path.split("/"))).append(what)

    return put


def _advice(_root: Any, outer: Any, what: Any) -> None:
    advice = etree.Element(f"{{{SAML}}}Advice")
    outer.find(f"{{{SAML}}}Conditions").addnext(advice)
    advice.append(what)


def _signature(name: str) -> Place:
    """Give a place in the outer element's signature that the signature itself leaves out."""

    def put(_root: Any, outer: Any, what: Any) -> None:
        found = outer.find(SIGNATURE)
        if found is None:
            found = etree.fromstring(f'<ds:Signature xmlns:ds="{DS}"/>')
            outer.insert(1, found)
        holder = found.find(f"{{{DS}}}{name}")
        if holder is None:
            holder = etree.SubElement(found, f"{{{DS}}}{name}")
        holder.append(what)

    return put


PLACES: Final[dict[str, Place]] = {
    "before": lambda _root, outer, what: outer.addprevious(what),
    "after": lambda _root, outer, what: outer.addnext(what),
    "within": lambda _root, outer, what: outer.append(what),
    "Extensions": _under("Extensions", 1),
    "StatusDetail": _under("Status/StatusDetail", 1),
    "Advice": _advice,
    "SubjectConfirmationData": _within("Subject/SubjectConfirmation/SubjectConfirmationData"),
    "AttributeValue": _within("AttributeStatement/Attribute/AttributeValue"),
    "AuthnContext": _within("AuthnStatement/AuthnContext"),
    "Object": _signature("Object"),
    "KeyInfo": _signature("KeyInfo"),
}
IDS: Final = ("the same", "another", "no")
# The signature of the genuine assertion changes none of these places, so a message with something there still verifies.
UNSIGNED: Final = ("before", "after", "Extensions", "StatusDetail", "Object", "KeyInfo")


@dataclass(frozen=True)
class Wrapping:
    """One arrangement: what is signed, what is read, where the other lies, its ID, and who carries the signature."""

    signed: str
    place: str
    read: str
    name: str
    carrier: str

    def __str__(self) -> str:
        """Say it in words, as the name of a case."""
        hidden = "genuine" if self.read == "evil" else "evil"
        return f"{self.signed} signed, {hidden} in {self.place}, {self.name} ID, signature at the {self.carrier}"

    def octets(self, parties: Parties) -> bytes:
        """Give the message."""
        return self.make(parties)[0]

    def make(self, parties: Parties) -> tuple[bytes, bytes]:
        """Give the message, and the genuine element as its signature covers it."""
        return _responses(self, parties) if self.signed == "Response" else _assertions(self, parties)


def _evil(genuine: Any, name: str) -> Any:
    copy = etree.fromstring(etree.tostring(genuine))
    for each in copy.iter(f"{{{SAML}}}AttributeValue"):
        each.text = EVIL if "@" in (each.text or "") else each.text
    if name == "another":
        copy.set("ID", "_evil")
    elif name == "no":
        del copy.attrib["ID"]
    return copy


def _bare(element: Any) -> Any:
    found = element.find(SIGNATURE)
    if found is not None:
        element.remove(found)
    return element


def _assertions(how: Wrapping, parties: Parties) -> tuple[bytes, bytes]:
    root = etree.fromstring(parties.sign_response(parties.response()))
    genuine = root.find(ASSERTION)
    assert genuine is not None
    kept = etree.tostring(genuine)
    evil = _evil(genuine, how.name)
    if how.carrier == "genuine":
        _bare(evil)
    elif how.read == "evil":
        _bare(genuine)
    if how.read == "evil":
        root.replace(genuine, evil)
        PLACES[how.place](root, evil, genuine)
    else:
        PLACES[how.place](root, genuine, evil)
    return etree.tostring(root), kept


def _responses(how: Wrapping, parties: Parties) -> tuple[bytes, bytes]:
    genuine = etree.fromstring(parties.sign_response(parties.response(), whole=True))
    kept = etree.tostring(genuine)
    evil = _evil(genuine, how.name)
    _bare(evil if how.carrier == "genuine" else genuine)
    outer, inner = (evil, genuine) if how.read == "evil" else (genuine, evil)
    assertion = outer.find(ASSERTION)
    target = outer if how.place in {"Object", "KeyInfo"} else assertion
    PLACES[how.place](outer, target, inner)
    return etree.tostring(outer), kept


def wrappings() -> Iterator[Wrapping]:
    """Give every arrangement in which the genuine signature still holds over the genuine element."""
    for place in PLACES:
        for name in IDS:
            for carrier in ("genuine", "evil"):
                yield Wrapping("Assertion", place, "evil", name, carrier)
                yield Wrapping("Response", place, "evil", name, carrier)
            if place in UNSIGNED:
                yield Wrapping("Assertion", place, "genuine", name, "genuine")
            if place in {"Object", "KeyInfo"}:
                yield Wrapping("Response", place, "genuine", name, "genuine")


def encrypted(place: str, parties: Parties) -> bytes:
    """Give a message with a genuine assertion, and an evil one encrypted to us at a place."""
    root = etree.fromstring(parties.sign_response(parties.response()))
    genuine = root.find(ASSERTION)
    assert genuine is not None
    box = encryption.encrypt(_bare(_evil(genuine, "another")), parties.ring.sp.encryption_certificate)
    PLACES[place](root, genuine, box)
    return etree.tostring(root)


def armed(raw: bytes, genuine: bytes, parties: Parties) -> bool:
    """Say whether a reader who looks for an ID and verifies what has it is taken in: its signature holds."""
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
            checking.key = parties.hub.key.xml
            checking.register_id(alone, "ID")
            try:
                checking.verify(alone.find(SIGNATURE))
            except xmlsec.Error:
                continue
            return True
    return False
