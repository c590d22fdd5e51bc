"""The XML checks: each check refuses the message made for it, and is the one that does."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from lxml import etree

from broker.adapters.saml.xml_security import safe_parser, signature, signature_profile, xml_structure_checks
from broker.adapters.saml.xml_security.xml_names import ASSERTION, DS, EXCLUSIVE, RESPONSE, SAML, SIGNATURE, SIGNED_INFO
from broker.core.errors import MessageRefused
from tests.attacks.messages.defences import SHAPE, XML_CHECKS, mark_by_check
from tests.attacks.messages.hostile_messages import replace_octets, sign_value
from tests.plugins.saml_messages import REQUEST, Forge, octets

LISTING = f'<e:InclusiveNamespaces xmlns:e="{EXCLUSIVE}" PrefixList="%s"/>'
HIDDEN = '<e:x xmlns:e="urn:e">%s</e:x>'


def _add_prefix(written: bytes) -> Callable[[Forge], bytes]:
    return lambda forge: written + etree.tostring(forge.sign_response(), encoding="utf-8", xml_declaration=False)


def _two_assertions(forge: Forge) -> bytes:
    return octets(forge.response(after=forge.assertion(name="a2")))


def _extension(forge: Forge) -> bytes:
    return octets(forge.bare(f"<samlp:Extensions>{HIDDEN % forge.assertion()}</samlp:Extensions>"))


def _copy_aside(path: str) -> Callable[[Forge], bytes]:
    def make(forge: Forge) -> bytes:
        root = forge.sign_response(forge.response(extensions=f"<samlp:Extensions>{HIDDEN % ''}</samlp:Extensions>"))
        root.find(".//{urn:e}x").append(deepcopy(root.find(f".//{path}")))
        return octets(root)

    return make


def _sign_elsewhere(forge: Forge) -> bytes:
    root = forge.response("<e:x xmlns:e='urn:e' ID='x1'/>")
    element = root.find(".//{urn:e}x")
    forge.sign(root.find(ASSERTION))
    signature.sign(element, forge.upstream.key)
    return octets(root)


def _twice(path: str) -> Callable[[Forge], bytes]:
    def make(forge: Forge) -> bytes:
        root = forge.sign_response()
        found = root.find(f".//{path}")
        found.addnext(deepcopy(found))
        return octets(root)

    return make


def _object(forge: Forge) -> bytes:
    root = forge.sign_response()
    etree.SubElement(root.find(f".//{SIGNATURE}"), f"{{{DS}}}Object").text = "x"
    return octets(root)


def _truncate(forge: Forge) -> bytes:
    root = forge.sign_response()
    etree.SubElement(root.find(f".//{{{DS}}}SignatureMethod"), f"{{{DS}}}HMACOutputLength").text = "8"
    return octets(root)


def _add_attribute(count: int) -> str:
    return "".join('<e:x xmlns:e="urn:e" a="" b="" c="" d="" e="" f=""/>' for _ in range(count))


HOSTILE: dict[str, Callable[[Forge], bytes]] = {
    "size": lambda forge: octets(forge.sign_response()) + b" " * 300_000,
    "nul": lambda forge: octets(forge.sign_response()) + b"\0<samlp:Response/>",
    "encoding": _add_prefix(b'<?xml version="1.0" encoding="iso-8859-1"?>'),
    "doctype": _add_prefix(b'<!DOCTYPE r [<!ENTITY e "v">]>'),
    "namespaces": sign_value("".join(f'<e:x xmlns:e="urn:{each}"/>' for each in range(1100))),
    "relative_namespace": replace_octets(b" ID=", b' xmlns:rel="rel/uri" ID='),
    "root": lambda _forge: REQUEST,
    "nodes": sign_value("<e/>" * 3_000),
    "attributes": sign_value(_add_attribute(250)),
    "depth": sign_value("<e>" * 60 + "</e>" * 60),
    "scope": sign_value("<e:x xmlns:e='urn:e'" + "".join(f" xmlns:e{each}='urn:e'" for each in range(100)) + "/>"),
    "comment": sign_value("nurse@au.dk<!-- -->.evil.example"),
    "instruction": sign_value("nurse@au.dk<?x y?>.evil.example"),
    "xinclude": sign_value('<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="file:///etc/hostname"/>'),
    "schema_location": replace_octets(b" ID=", b' xsi:schemaLocation="urn:e http://127.0.0.1:1/e.xsd" ID='),
    "id_attribute": sign_value('<e:x xmlns:e="urn:e" id="b1"/>'),
    "duplicate_id": sign_value('<e:x xmlns:e="urn:e" ID="a1"/>'),
    "assertions": _two_assertions,
    "assertion_place": _extension,
    "signature_namespace": sign_value('<Signature xmlns="urn:e"/>'),
    "signature_place": _sign_elsewhere,
    "signatures": _twice(SIGNATURE),
    "signed_info_place": _copy_aside(SIGNED_INFO),
    "schema": replace_octets(b' Version="2.0"', b""),
    "signed_infos": _twice(SIGNED_INFO),
    "object": _object,
    "references": _twice(f"{{{DS}}}Reference"),
    "reference": replace_octets(b'URI="#a1"', b'URI=""'),
    "canonicalization": replace_octets(
        b'CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#',
        b'CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315',
    ),
    "transforms": _twice(f"{{{DS}}}Transform"),
    "digest": replace_octets(b"http://www.w3.org/2001/04/xmlenc#sha256", b"http://www.w3.org/2000/09/xmldsig#sha1"),
    "signature_method": replace_octets(b"2001/04/xmldsig-more#rsa-sha256", b"2000/09/xmldsig#rsa-sha1"),
    "signature_parameters": _truncate,
    "prefixes": replace_octets(
        f'<ds:Transform Algorithm="{EXCLUSIVE}"/>'.encode(),
        f'<ds:Transform Algorithm="{EXCLUSIVE}">{LISTING % ("p " * 17)}</ds:Transform>'.encode(),
    ),
}
TABLES: dict[str, tuple[Any, str]] = {
    name: (module, table)
    for module, table in (
        (xml_structure_checks, "OCTETS"),
        (xml_structure_checks, "TREE"),
        (signature_profile, "SHAPE"),
        (xml_structure_checks, "LAST"),
    )
    for name in getattr(module, table)
}
# The second line behind a check, where there is one: without the check, its hostile message gets as far as that.
# The check is kept before it, for these are what attackers try, and schemas and parsers are others' work.
BEHIND = {
    "nul": "unreadable", "signature_namespace": "signature_place", "signatures": "schema", "signed_infos": "references",
}  # fmt: skip


def cause(raw: bytes) -> str | None:
    """Say why XML security refuses a Response, or None."""
    try:
        safe_parser.parse(raw, RESPONSE)
    except MessageRefused as refusal:
        return refusal.cause
    return None


def test_every_check_has_its_hostile_message() -> None:
    """A check added to a table without a message that it alone refuses is a check nobody has seen work."""
    assert HOSTILE.keys() == TABLES.keys()


@pytest.mark.parametrize("name", mark_by_check(HOSTILE, XML_CHECKS, SHAPE))
@pytest.mark.profile(2)
def test_the_check_refuses(name: str, forge: Forge) -> None:
    """The message made for a check is refused, with the check's name as the cause."""
    assert cause(HOSTILE[name](forge)) == f"xml.{name}"


@pytest.mark.parametrize("name", HOSTILE)
def test_without_the_check_nothing_else_refuses_for_it(
    name: str, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taking a check out of its table lets its message in, or leaves it to the one second line that is known."""
    module, table = TABLES[name]
    rest = {each: check for each, check in getattr(module, table).items() if each != name}
    monkeypatch.setattr(module, table, rest)
    found = cause(HOSTILE[name](forge))
    assert found == (f"xml.{BEHIND[name]}" if name in BEHIND else None)


@pytest.mark.attack(1, 11, control=True)
@pytest.mark.parametrize(
    "value", ["nurse@au.dk", "Søren Ægidius Åkjær", "日本", "<![CDATA[a < b]]>", "a &lt; b &amp; c", "&#65;&#x42;"]
)
@pytest.mark.parametrize("parts", [{}, {"whole": True}, {"both": True}])
def test_genuine_messages_pass(parts: dict[str, bool], value: str, forge: Forge) -> None:
    """A signed assertion, a signed Response and both pass, whatever the values, and values are read whole."""
    raw = octets(forge.sign_response(forge.response(value), **parts))
    found = forge.receive(raw).find(f".//{{{SAML}}}AttributeValue")
    assert (found.text, len(found)) == (etree.fromstring(f"<v>{value}</v>").text, 0)


def test_a_byte_order_mark_is_no_obstacle(forge: Forge) -> None:
    """Some upstreams put one before their XML."""
    assert cause(b"\xef\xbb\xbf" + octets(forge.sign_response())) is None


@pytest.mark.attack(9)
@pytest.mark.parametrize(
    "namespace", [b"rel", b"../x", b"#x", b"a b", b"&#x72;el", b"http:<a", b"//host/x", b"http:\tx"]
)
@pytest.mark.parametrize("quote", [b'"', b"'"])
def test_no_relative_namespace_hides(namespace: bytes, quote: bytes, forge: Forge) -> None:
    """A declaration is found however it is written, also behind text that looks like one."""
    declared = b" xmlns:r = " + quote + namespace + quote + b" ID="
    behind = f'xmlns="http:<e:x xmlns:e="urn:e"{declared.decode().removesuffix(" ID=")}/>'
    assert cause(octets(forge.response()).replace(b" ID=", declared, 1)) == "xml.relative_namespace"
    written = octets(forge.response("VALUE")).replace(b"VALUE", behind.encode())
    assert cause(written) == "xml.relative_namespace"


@pytest.mark.attack(32)
def test_a_refusal_quotes_nothing(forge: Forge) -> None:
    """Libxml2 quotes the value it dislikes; the exception and its chain carry the cause alone."""
    secret = "the-secret-value"
    for raw in (
        octets(forge.response()).replace(b'"2026-11-25T12:00:00Z"', f'"{secret}"'.encode()),
        f"<samlp:{secret}".encode(),
    ):
        with pytest.raises(MessageRefused) as refusal:
            safe_parser.parse(raw, RESPONSE)
        assert str(refusal.value) == refusal.value.cause
        assert refusal.value.__cause__ is None
        assert refusal.value.__suppress_context__ or refusal.value.__context__ is None
