"""Known attacks: a genuine message with one change, and the check that refuses it.

Source: docs/reference/attacks.md#1 to #14 and #23.
"""

import socket
from typing import Any

import pytest
from lxml import etree

from broker.adapters.saml.xml_security.xml_names import ASSERTION
from broker.core.errors import MessageRefused
from tests.attacks.messages.defences import mark_by_class_number
from tests.attacks.messages.hostile_messages import (
    VALUE,
    Make,
    encrypt_as,
    prepend,
    replace_octets,
    sign_as,
    sign_value,
)
from tests.attacks.messages.known_messages import ATTACKS, ENVELOPED, HREF, PREFIXED
from tests.plugins.saml_messages import Forge, octets


@pytest.mark.parametrize("name", mark_by_class_number(ATTACKS))
@pytest.mark.profile(2, 17)
def test_a_hostile_message_is_refused_by_its_check(name: str, forge: Forge) -> None:
    """The check that belongs to the attack refuses the message, and not another check by chance."""
    make, cause = ATTACKS[name]
    with pytest.raises(MessageRefused) as refusal:
        forge.receive(make(forge))
    assert (refusal.value.cause, str(refusal.value)) == (f"xml.{cause}", f"xml.{cause}")


GENUINE: dict[str, Make] = {
    "signed assertion": lambda forge: octets(forge.sign_response()),
    "signed Response": lambda forge: octets(forge.sign_response(whole=True)),
    "both signed": lambda forge: octets(forge.sign_response(both=True)),
    "signed assertion, encrypted": encrypt_as(),
    "encrypted, then the Response signed": lambda forge: octets(
        forge.sign_response(forge.enclose(forge.encrypt(octets(forge.sign_response().find(ASSERTION)))), whole=True)
    ),
    "unsigned assertion, encrypted, the Response signed": lambda forge: octets(
        forge.sign_response(forge.enclose(forge.encrypt(octets(forge.response().find(ASSERTION)))), whole=True)
    ),
    "a list of prefixes with the canonicalisation": sign_as(transforms=(ENVELOPED, PREFIXED)),
    "CDATA": sign_value("<![CDATA[nurse@au.dk]]>"),
    "pretty-printed": lambda forge: octets(forge.sign_response(_indent(forge.response()))),
}


def _indent(root: Any) -> Any:
    etree.indent(root)
    return root


@pytest.mark.attack(1, 5, 23, control=True)
@pytest.mark.parametrize("name", GENUINE)
def test_a_genuine_message_is_accepted(name: str, forge: Forge) -> None:
    """Control: messages in the forms that real upstreams send are accepted, and their value is read completely."""
    assert forge.receive(GENUINE[name](forge)).findtext(VALUE) == "nurse@au.dk"


@pytest.mark.attack(11, control=True)
@pytest.mark.parametrize("value", ["Søren Ægidius Åkjær", "日本 \U0001f4da", "a &lt; b &amp; c", "  two  spaces ", ""])
def test_values_are_read_as_they_were_signed(value: str, forge: Forge) -> None:
    """Control: non-ASCII letters, predefined entities and blanks in a signed value are kept."""
    found = forge.receive(sign_value(value)(forge)).findtext(VALUE)
    assert found == value.replace("&lt;", "<").replace("&amp;", "&")


FETCHES: dict[str, Make] = {
    "a DTD": prepend(f'<!DOCTYPE r SYSTEM "{HREF}">'),
    "an entity": prepend(f'<!DOCTYPE r [<!ENTITY % e SYSTEM "{HREF}"> %e;]>'),
    "a schema": replace_octets(b" ID=", f' xsi:schemaLocation="urn:e {HREF}" ID='.encode()),
    "a schema for no namespace": replace_octets(b" ID=", f' xsi:noNamespaceSchemaLocation="{HREF}" ID='.encode()),
    "XInclude": sign_value(f'<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="{HREF}"/>'),
    "a stylesheet": prepend(f'<?xml-stylesheet type="text/xsl" href="{HREF}"?>'),
    "a Reference": replace_octets(b'URI="#a1"', f'URI="{HREF}"'.encode()),
    "a RetrievalMethod": replace_octets(
        b"<ds:X509Data>", f'<ds:RetrievalMethod URI="{HREF}"/><ds:X509Data>'.encode()
    ),
    "a CipherReference": lambda forge: encrypt_as()(forge).replace(
        b"<xenc:CipherValue>", f'<xenc:CipherReference URI="{HREF}"/><xenc:CipherValue>'.encode(), 1
    ),
}  # fmt: skip


@pytest.mark.server
@pytest.mark.attack(12)
@pytest.mark.parametrize("name", FETCHES)
def test_external_references_are_not_fetched(name: str, forge: Forge) -> None:
    """SSRF: a message with external references causes no network request.

    It is refused unless KeyInfo, which is ignored, has them.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        raw = FETCHES[name](forge).replace(b"PORT", str(listener.getsockname()[1]).encode())
        if name == "a RetrievalMethod":
            assert forge.receive(raw).findtext(VALUE) == "nurse@au.dk"
        else:
            with pytest.raises(MessageRefused):
                forge.receive(raw)
        with pytest.raises(BlockingIOError):
            listener.accept()
