"""Functions that make hostile messages from a genuine one.

"Genuine" is what the upstream signed. "Evil" is the attacker's text, which names another person. The broker must never
read the evil part. XSW numbers are those of "On Breaking SAML" (Somorovsky et al., 2012).
"""

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


def make_evil_copy(genuine: Any, name: str = "evil") -> Any:
    """Return a copy of a genuine element that names another person. The copy keeps the signature."""
    copy: Any = etree.fromstring(etree.tostring(genuine))
    copy.set("ID", name)
    copy.find(VALUE).text = EVIL
    return copy


def hide_genuine_assertion(path: str, name: str = "evil") -> Make:
    """Replace the genuine assertion by an evil one, and hide the genuine one at ``path``, where verifiers find it."""

    def make(forge: Forge) -> bytes:
        root = forge.sign_response()
        genuine = root.find(ASSERTION)
        fake = make_evil_copy(genuine, name)
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


def add_unsigned_assertion(*, first: bool) -> Make:
    """Put an unsigned evil assertion before or after the genuine one."""

    def make(forge: Forge) -> bytes:
        root = forge.sign_response()
        genuine = root.find(ASSERTION)
        (genuine.addprevious if first else genuine.addnext)(remove_signature(make_evil_copy(genuine)))
        return octets(root)

    return make


def nest_genuine_in_evil(forge: Forge) -> bytes:
    """Put the genuine assertion with its signature inside an evil one (XSW 4)."""
    root = forge.sign_response()
    genuine = root.find(ASSERTION)
    fake = remove_signature(make_evil_copy(genuine))
    root.replace(genuine, fake)
    fake.append(genuine)
    return octets(root)


def wrap_response(where: str) -> Make:
    """Wrap a signed Response in an evil one (XSW 1 and 2), or reuse the signature of a genuine error Response."""

    def make(forge: Forge) -> bytes:
        genuine = forge.sign_response(forge.bare() if where == "error" else None, whole=True)
        fake = make_evil_copy(genuine) if where != "error" else forge.response(EVIL)
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


def sign_as(**how: Any) -> Make:
    """Sign the genuine assertion with the upstream's own key, but with a forbidden algorithm or structure."""
    return lambda forge: octets(forge.sign(forge.response().find(ASSERTION), **how).getroottree().getroot())


def sign_with_hmac(forge: Forge) -> bytes:
    """Sign with HMAC and use the upstream's public key as the secret, which every attacker knows."""
    public = forge.upstream.key.private.public_key()
    secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key = xmlsec.Key.from_binary_data(xmlsec.constants.KeyDataHmac, secret)
    return sign_as(key=key, method=MORE + "hmac-sha256")(forge)


def sign_with_stranger_key(forge: Forge) -> bytes:
    """Sign an evil assertion with a stranger's key and put that key's certificate in KeyInfo."""
    root = forge.response(EVIL)
    signature.sign(root.find(ASSERTION), forge.stranger.key)
    return octets(root)


def reuse_signature(forge: Forge) -> bytes:
    """Move the upstream's genuine signature from an AuthnRequest to an evil assertion."""
    root, request = forge.response(EVIL), etree.fromstring(REQUEST)
    signature.sign(request, forge.upstream.key)
    root.find(ASSERTION).insert(1, request.find(SIGNATURE))
    return octets(root)


def move_signature_to_response(forge: Forge) -> bytes:
    """Move the assertion's signature to the Response."""
    root = forge.sign_response()
    root.insert(1, root.find(f".//{SIGNATURE}"))
    return octets(root)


def move_signature_to_extensions(forge: Forge) -> bytes:
    """Move the assertion's signature to Extensions."""
    root = forge.sign_response(forge.response(extensions="<samlp:Extensions/>"))
    root.find(f"{{{SAMLP}}}Extensions").append(root.find(f".//{SIGNATURE}"))
    return octets(root)


def split_value(what: str) -> Make:
    """Split a signed value with ``what``, for example a comment: the canonical form without comments still verifies."""
    return lambda forge: octets(forge.sign_response(forge.response("nurse@au.dk.evil"))).replace(
        b"dk.evil", f"dk{what}.evil".encode()
    )


def prepend(prefix: str) -> Make:
    """Put ``prefix`` in front of a genuine message."""
    return lambda forge: prefix.encode() + octets(forge.sign_response())


def replace_octets(old: bytes, new: bytes) -> Make:
    """Replace some octets of a genuine message."""

    def make(forge: Forge) -> bytes:
        raw = octets(forge.sign_response())
        assert old in raw
        return raw.replace(old, new, 1)

    return make


def sign_value(value: str) -> Make:
    """Return a genuine message whose signed value is ``value``, for example nested elements that exhaust memory."""
    return lambda forge: octets(forge.sign_response(forge.response(value)))


def send_other_root(written: str) -> Make:
    """Send ``written`` instead of a Response."""
    return lambda _forge: written.encode()


def encrypt_as(**how: Any) -> Make:
    """Encrypt the genuine assertion with a forbidden algorithm or structure."""
    return lambda forge: octets(forge.enclose(forge.encrypt(octets(forge.sign_response().find(ASSERTION)), **how)))


def add_encrypted_evil(forge: Forge) -> bytes:
    """Add an encrypted evil assertion to a Response with a genuine one."""
    root = forge.sign_response()
    root.append(encryption.encrypt(remove_signature(make_evil_copy(root.find(ASSERTION))), forge.broker.certificate))
    return octets(root)


def hide_encrypted_assertion(path: str) -> Make:
    """Put an encrypted assertion in Extensions or StatusDetail, where no assertion is allowed, and none elsewhere."""

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


def encrypt_evil(signer: str) -> Make:
    """Encrypt an evil assertion that is unsigned, or signed by a stranger."""

    def make(forge: Forge) -> bytes:
        assertion = forge.response(EVIL).find(ASSERTION)
        if signer:
            signature.sign(assertion, forge.stranger.key)
        return octets(forge.enclose(encryption.encrypt(assertion, forge.broker.certificate)))

    return make
