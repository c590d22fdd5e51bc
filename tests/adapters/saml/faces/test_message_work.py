"""What a message costs: read, validated and walked once, with keys that are loaded already."""

import base64
import threading
from collections.abc import Callable
from typing import Any

import pytest
import xmlsec
from cryptography import x509
from lxml import etree

from broker.adapters.saml.gate import encryption, safe_parser, signature, xml_structure_checks
from broker.core.login.transaction import Outstanding
from tests.plugins.saml_parties import LOANS, NOW, OPEN, Parties

Message = Callable[[Parties], Callable[[], object]]


def _answer(xml: bytes, parties: Parties) -> Callable[[], object]:
    fields = [("SAMLResponse", base64.b64encode(xml).decode())]

    def receive() -> object:
        root, answered = parties.face.in_response_to("wayf", fields)
        expected = Outstanding(answered, "wayf", NOW)
        return parties.face.receive("wayf", root, expected, force_authn=False, now=NOW)

    return receive


def _plain(parties: Parties) -> Callable[[], object]:
    return _answer(parties.signed(parties.response(), both=True), parties)


def _sealed(parties: Parties) -> Callable[[], object]:
    return _answer(etree.tostring(parties.sealed(parties.response())), parties)


def _by_redirect(parties: Parties) -> Callable[[], object]:
    query = parties.query(parties.authn_request(), key=parties.service.key)
    return lambda: parties.idp.read_redirect(query, NOW)


def _by_post(parties: Parties) -> Callable[[], object]:
    root = parties.authn_request(service=LOANS)
    signature.sign(root, parties.service.key)
    fields = [("SAMLRequest", base64.b64encode(etree.tostring(root)).decode())]
    return lambda: parties.idp.read_post(fields, NOW)


def _unsigned(parties: Parties) -> Callable[[], object]:
    query = parties.query(parties.authn_request(service=OPEN), key=None)
    return lambda: parties.idp.read_redirect(query, NOW)


def _asked(parties: Parties) -> Callable[[], object]:
    return lambda: parties.face.ask("wayf", "_q9", parties.request, NOW)


def _answered(parties: Parties) -> Callable[[], object]:
    parts = (parties.request, parties.disclosure(), parties.authentication(), parties.issued())
    return lambda: parties.idp.respond(*parts)


RECEIVED: dict[str, tuple[Message, int]] = {
    "a Response": (_plain, 1),
    "a Response with an encrypted assertion": (_sealed, 2),  # what was encrypted is a document of its own
    "an AuthnRequest by Redirect": (_by_redirect, 1),
    "an AuthnRequest by Redirect, unsigned": (_unsigned, 1),
    "an AuthnRequest by POST": (_by_post, 1),
}
SENT: dict[str, Message] = {"an AuthnRequest of ours": _asked, "a Response of ours": _answered}


@pytest.mark.parametrize("name", RECEIVED)
def test_a_message_is_parsed_and_validated_once(parties: Parties, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its octets to what the core reads it is one tree, which passes gate and schema one time."""
    make, documents = RECEIVED[name]
    receive = make(parties)
    done: list[str] = []

    own = threading.get_ident()  # threads of other tests' servers read messages meanwhile

    def counted(module: Any, function: str) -> None:
        real = getattr(module, function)

        def call(*given: Any) -> object:
            if threading.get_ident() == own:
                done.append(function)
            return real(*given)

        monkeypatch.setattr(module, function, call)

    counted(safe_parser, "_parse")
    counted(xml_structure_checks, "valid")
    counted(etree, "fromstring")
    receive()
    assert sorted(done) == sorted(["_parse", "valid", "fromstring"] * documents)


@pytest.mark.parametrize("name", [*RECEIVED, *SENT])
def test_no_key_is_loaded_for_a_message(parties: Parties, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and certificates of both sides are loaded with metadata and key ring, recipients' at their first login."""
    make = RECEIVED[name][0] if name in RECEIVED else SENT[name]
    work = make(parties)
    work()

    def never(*_: object, **__: object) -> object:
        raise AssertionError("a key is loaded")

    for module, function in (
        (signature, "load_pem_private_key"),
        (signature, "load_pem_public_key"),
        (signature, "_checked"),
        (x509, "load_pem_x509_certificate"),
        (x509, "load_der_x509_certificate"),
        (encryption.DecryptionKeys, "of"),
    ):
        monkeypatch.setattr(module, function, never)
    keys = type("Keys", (), {"from_memory": never, "from_binary_data": xmlsec.Key.from_binary_data})
    monkeypatch.setattr(xmlsec, "Key", keys)
    work()
