"""Makers of hostile messages, each from a genuine one."""

from collections.abc import Callable
from typing import Any

import xmlsec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree

from broker.adapters.saml.xml_security import encryption, signature
from broker.adapters.saml.xml_security.xml_names import ASSERTION, DS, SAML, SAMLP, SIGNATURE
from tests.plugins.saml_messages import MORE, REQUEST, Forge, octets, remove_signature

EVIL = "chief@au.dk"
VALUE = f".//{{{SAML}}}AttributeValue"
Make = Callable[[Forge], bytes]


def evil(genuine: Any, name: str = "evil") -> Any:
    """Give a copy of a genuine element that says something else, its signature still at it."""
    copy: Any = etree.fromstring(etree.tostring(genuine))
    copy.set("ID", name)
    copy.find(VALUE).text = EVIL
    return copy


def hidden(path: str, name: str = "evil") -> Make:
    """Read the evil assertion, verify the genuine one: hidden at ``path``, which is made if need be."""

    def make(forge: Forge) -> bytes:
        root = forge.sign_response()
        genuine = root.find(ASSERTION)
        fake = evil(genuine, name)
        root.replace(genuine, fake)
        place = root
        for step in path.split("/") if path else ():
            space, _, local = step.rpartition(":")
            tag = f"{{{ {'ds': DS, 'saml': SAML, 'samlp': SAMLP, 'e': 'urn:e'}[space] }}}{local}"
            found = place.find(tag)
            place = etree.SubElement(place, tag) if found is None else found
        place.append(remove_signature(genuine))
        return octets(root)

    return make


def beside(*, first: bool) -> Make:
    """Put an unsigned assertion before or after the genuine one."""

    def make(forge: Forge) -> bytes:
        root = forge.sign_response()
        genuine = root.find(ASSERTION)
        (genuine.addprevious if first else genuine.addnext)(remove_signature(evil(genuine)))
        return octets(root)

    return make


def parent_of(forge: Forge) -> bytes:
    """Put the genuine assertion, signature and all, inside an evil one (XSW 4)."""
    root = forge.sign_response()
    genuine = root.find(ASSERTION)
    fake = remove_signature(evil(genuine))
    root.replace(genuine, fake)
    fake.append(genuine)
    return octets(root)


def whole(where: str) -> Make:
    """Wrap a signed Response into an evil one (XSW 1 and 2), or reuse the signature of a genuine error."""

    def make(forge: Forge) -> bytes:
        genuine = forge.sign_response(forge.bare() if where == "error" else None, whole=True)
        fake = evil(genuine) if where != "error" else forge.response(EVIL)
        signed = fake.find(SIGNATURE)
        if where == "error":
            fake.set("ID", "evil")
            fake.insert(1, genuine.find(SIGNATURE))
            extensions = etree.Element(f"{{{SAMLP}}}Extensions")
            etree.SubElement(extensions, "{urn:e}x").append(remove_signature(genuine))
            fake.insert(2, extensions)
        elif where == "object":
            etree.SubElement(signed, f"{{{DS}}}Object").append(remove_signature(genuine))
        else:
            signed.addprevious(remove_signature(genuine))
        return octets(fake)

    return make


def signed_as(**how: Any) -> Make:
    """Sign the genuine assertion truly, by the upstream's own key, in a way that is not allowed."""
    return lambda forge: octets(forge.sign(forge.response().find(ASSERTION), **how).getroottree().getroot())


def by_hmac(forge: Forge) -> bytes:
    """Sign with the upstream's public key taken as a shared secret."""
    public = forge.upstream.key.private.public_key()
    secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key = xmlsec.Key.from_binary_data(xmlsec.constants.KeyDataHmac, secret)
    return signed_as(key=key, method=MORE + "hmac-sha256")(forge)


def by_stranger(forge: Forge) -> bytes:
    """Sign with another key, whose certificate comes along in KeyInfo."""
    root = forge.response(EVIL)
    signature.sign(root.find(ASSERTION), forge.stranger.key)
    return octets(root)


def borrowed(forge: Forge) -> bytes:
    """Move the upstream's genuine signature of one message to another."""
    root, request = forge.response(EVIL), etree.fromstring(REQUEST)
    signature.sign(request, forge.upstream.key)
    root.find(ASSERTION).insert(1, request.find(SIGNATURE))
    return octets(root)


def moved_up(forge: Forge) -> bytes:
    """Move the assertion's signature to the Response."""
    root = forge.sign_response()
    root.insert(1, root.find(f".//{SIGNATURE}"))
    return octets(root)


def moved_aside(forge: Forge) -> bytes:
    """Move the assertion's signature to Extensions."""
    root = forge.sign_response(forge.response(extensions="<samlp:Extensions/>"))
    root.find(f"{{{SAMLP}}}Extensions").append(root.find(f".//{SIGNATURE}"))
    return octets(root)


def cut(what: str) -> Make:
    """Cut a signed value in two, as no signature without comments notices."""
    return lambda forge: octets(forge.sign_response(forge.response("nurse@au.dk.evil"))).replace(
        b"dk.evil", f"dk{what}.evil".encode()
    )


def prefixed(prefix: str) -> Make:
    """Put something before a genuine message."""
    return lambda forge: prefix.encode() + octets(forge.sign_response())


def replaced(old: bytes, new: bytes) -> Make:
    """Replace some octets of a genuine message."""

    def make(forge: Forge) -> bytes:
        raw = octets(forge.sign_response())
        assert old in raw
        return raw.replace(old, new, 1)

    return make


def carrying(value: str) -> Make:
    """Sign a message whose value is a bomb or a trap."""
    return lambda forge: octets(forge.sign_response(forge.response(value)))


def other_root(written: str) -> Make:
    """Send another message than a Response."""
    return lambda _forge: written.encode()


def sealed(**how: Any) -> Make:
    """Encrypt the genuine assertion in a way that is not allowed."""
    return lambda forge: octets(forge.enclose(forge.encrypt(octets(forge.sign_response().find(ASSERTION)), **how)))


def smuggled(forge: Forge) -> bytes:
    """Put an encrypted evil assertion beside the genuine one."""
    root = forge.sign_response()
    root.append(encryption.encrypt(remove_signature(evil(root.find(ASSERTION))), forge.broker.certificate))
    return octets(root)


def smuggled_into(path: str) -> Make:
    """Put an encrypted assertion where no assertion may stand, and none elsewhere."""

    def make(forge: Forge) -> bytes:
        box = etree.tostring(
            encryption.encrypt(forge.sign_response().find(ASSERTION), forge.broker.certificate)
        ).decode()
        part = f'<e:x xmlns:e="urn:e">{box}</e:x>'
        return octets(
            forge.bare(f"<samlp:Extensions>{part}</samlp:Extensions>")
            if path == "Extensions"
            else forge.bare(detail=f"<samlp:StatusDetail>{part}</samlp:StatusDetail>")
        )

    return make


def sealed_evil(signer: str) -> Make:
    """Encrypt an assertion that nobody, or a stranger, signed."""

    def make(forge: Forge) -> bytes:
        assertion = forge.response(EVIL).find(ASSERTION)
        if signer:
            signature.sign(assertion, forge.stranger.key)
        return octets(forge.enclose(encryption.encrypt(assertion, forge.broker.certificate)))

    return make
