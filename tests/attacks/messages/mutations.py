"""Mutates XML messages at random: elements, attributes, texts, octets and encodings.

A mutation is three numbers, so that Hypothesis can shrink a failing case to a small one.

A change is three numbers, so that a search can make any of them smaller and find the least message that offends.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, Final

from lxml import etree

from broker.adapters.saml.xml_security.xml_names import DS, SAML, SAMLP, XENC

Step = tuple[int, int, int]
_WORDS: Final = (
    "", " ", "true", "-1", "9" * 400, "2026-11-25T12:00:00", "9999-12-31T23:59:59Z", "urn:x", "https://evil.example",
    "chief@au.dk", "au1@au.dk\n", "#_a1", "#_r1", "_a1", "_r1", "\u202e", "<x/>", "]]>", "{{7*7}}",
    "æøå" * 50,
)  # fmt: skip
_TAGS: Final = (
    *(f"{{{SAML}}}{each}" for each in ("Assertion", "EncryptedAssertion", "Advice", "NameID", "AttributeValue")),
    *(f"{{{SAMLP}}}{each}" for each in ("Response", "AuthnRequest", "Extensions", "StatusDetail", "StatusCode")),
    *(f"{{{DS}}}{each}" for each in ("Signature", "SignedInfo", "Reference", "Object", "Transform", "KeyInfo")),
    f"{{{XENC}}}EncryptedData", "Response", "{urn:x}Assertion",
)  # fmt: skip
_NAMES: Final = (
    "ForceAuthn",
    "AssertionConsumerServiceURL",
    "Consent",
    "ID",
    "Id",
    "id",
    "{http://www.w3.org/XML/1998/namespace}id",
    "Version",
    "Destination",
    "Algorithm",
    "URI",
)
_ALGORITHMS: Final = (
    DS + "rsa-sha1", DS + "hmac-sha1", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", DS + "base64",
    "http://www.w3.org/TR/1999/REC-xslt-19991116", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315", XENC + "rsa-1_5",
)  # fmt: skip
_OCTETS: Final = (
    b"<!DOCTYPE r [<!ENTITY e 'v'>]>", b"<!---->", b"<?x y?>", b"<![CDATA[x]]>", b"&e;", b"&#0;", b"\0",
    b"\xff\xfe", b"\x0b",
    b"</", b"xmlns:r='../r' ", b"<?xml version='1.0' encoding='utf-7'?>", b"<e>" * 60, b"<e/>" * 3000,
    b"x" * 300_000, b" " * 99,
)  # fmt: skip


def _pick(found: Sequence[Any], number: int) -> Any:
    return found[number % len(found)]


def _move(nodes: list[Any], one: int, other: int) -> None:
    _pick(nodes, other).append(_pick(nodes, one))


def _copy(nodes: list[Any], one: int, other: int) -> None:
    _pick(nodes, other).insert(one % 3, deepcopy(_pick(nodes, one)))


def _swap(nodes: list[Any], one: int, other: int) -> None:
    first, second = _pick(nodes, one), _pick(nodes, other)
    if first in second.iter() or second in first.iter():
        return
    mark = etree.Element("mark")
    first.getparent().replace(first, mark)
    second.getparent().replace(second, first)
    mark.getparent().replace(mark, second)  # type: ignore[union-attr]


def _drop(nodes: list[Any], one: int, _other: int) -> None:
    node = _pick(nodes, one)
    node.getparent().remove(node)


def _wrap(nodes: list[Any], one: int, other: int) -> None:
    node, around = _pick(nodes, one), etree.Element(_pick(_TAGS, other))
    node.getparent().replace(node, around)
    around.append(node)


def _retag(nodes: list[Any], one: int, other: int) -> None:
    _pick(nodes, one).tag = _pick(_TAGS, other)


def _set_text(nodes: list[Any], one: int, other: int) -> None:
    _pick(nodes, one).text = _pick(_WORDS, other)


def _copy_text(nodes: list[Any], one: int, other: int) -> None:
    _pick(nodes, one).text = _pick(nodes, other).text


def _set_attribute(nodes: list[Any], one: int, other: int) -> None:
    node = _pick(nodes, one)
    name = _pick([*node.attrib, *_NAMES], other)
    node.set(name, _pick((*_WORDS, *_ALGORITHMS), one + other))


def _copy_attributes(nodes: list[Any], one: int, other: int) -> None:
    for name, value in _pick(nodes, other).attrib.items():
        _pick(nodes, one).set(name, value)


def _remove_attribute(nodes: list[Any], one: int, other: int) -> None:
    node = _pick(nodes, one)
    if node.attrib:
        del node.attrib[_pick(list(node.attrib), other)]


NODES: Final[tuple[Callable[[list[Any], int, int], None], ...]] = (
    _move, _copy, _swap, _drop, _wrap, _retag, _set_text, _copy_text, _set_attribute, _copy_attributes, _remove_attribute,
)  # fmt: skip


def _flip_bit(raw: bytes, one: int, other: int) -> bytes:
    at = one % len(raw)
    return raw[:at] + bytes([raw[at] ^ (1 << other % 8)]) + raw[at + 1 :]


def _insert(raw: bytes, one: int, other: int) -> bytes:
    at = one % len(raw)
    return raw[:at] + _OCTETS[other % len(_OCTETS)] + raw[at:]


def _cut(raw: bytes, one: int, other: int) -> bytes:
    at = one % len(raw)
    return raw[:at] + raw[at + other % 40 :]


def _repeat(raw: bytes, one: int, other: int) -> bytes:
    start, end = sorted((one % len(raw), other % len(raw)))
    return raw[:end] + raw[start:end] + raw[end:]


def _encode(raw: bytes, one: int, _other: int) -> bytes:
    encoding = _pick(("utf-16", "utf-32", "utf-8-sig", "utf-7", "cp037"), one)
    written: bytes = raw.decode("utf-8", "replace").encode(str(encoding), "replace")
    return written


OCTETS: Final[tuple[Callable[[bytes, int, int], bytes], ...]] = (_flip_bit, _insert, _cut, _repeat, _encode)
KINDS: Final = len(NODES) + len(OCTETS)


def mutate(raw: bytes, steps: Sequence[Step]) -> bytes:
    """Return the message after all mutations in ``steps``. Mutations that are impossible are skipped."""
    root: Any = etree.fromstring(raw)
    for kind, one, other in steps:
        nodes = list(root.iter("*"))
        if kind % KINDS < len(NODES):
            try:
                NODES[kind % KINDS](nodes, one, other)
            except (ValueError, TypeError, AttributeError):
                continue  # XML cannot hold the character, or a node cannot be moved into itself
    written = etree.tostring(root) or raw
    for kind, one, other in steps:
        if kind % KINDS >= len(NODES) and written:
            written = OCTETS[kind % KINDS - len(NODES)](written, one, other)
    return written
