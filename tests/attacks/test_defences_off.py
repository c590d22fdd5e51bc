"""Switches off each defence that is not in a check table, and shows that its attack then succeeds.

A defence whose attack fails without it would be useless or untested. The checks in the tables are switched off in
test_responses.py and test_requests.py, and in test_safe_parser.py and test_encryption.py of tests/adapters/saml/xml_security,
each with the one message that only this check rejects.
"""

import base64
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, quote

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree
from saml2 import saml

from broker.adapters.saml.idp import authn_requests, identity_provider
from broker.adapters.saml.messages import message_checks
from broker.adapters.saml.messages.upstream_profiles import ProfileTraits
from broker.adapters.saml.sp import received_response, service_provider
from broker.adapters.saml.xml_security import (
    encryption,
    http_bindings,
    message_reading,
    safe_parser,
    signature,
    signature_profile,
    xml_structure_checks,
)
from broker.adapters.saml.xml_security.xml_names import ASSERTION, DS, EXCLUSIVE, RESPONSE, XENC
from broker.core.errors import BrokerError
from tests.attacks.messages.hostile_messages import encrypt_as, encrypt_evil, sign_as, sign_value
from tests.plugins.saml_messages import Forge, load_keys, octets
from tests.plugins.saml_parties import LOANS, NOW, Parties, add, edit, stamp

Off = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, repr=False)
class Scene:
    """The parties that can send messages."""

    parties: Parties
    forge: Forge


@dataclass(frozen=True)
class Defence:
    """A defence: its class of attack, a function that switches it off, and an attack that raises while it is on."""

    number: int
    off: Off
    attack: Callable[[Scene], object]


def _set(where: object, name: str, value: object) -> Off:
    return lambda patch: patch.setattr(where, name, value)


def _allow_more(where: object, name: str, *values: str) -> Off:
    return lambda patch: patch.setattr(where, name, getattr(where, name) | frozenset(values))


def _widen_bound(**bounds: int) -> Off:
    def off(patch: pytest.MonkeyPatch) -> None:
        wider = safe_parser.Bounds(**bounds)
        patch.setattr(safe_parser, "parse", lambda raw, root, _=None: safe_parser._parse(raw, root, wider))

    return off


def _all(*offs: Off) -> Off:
    def off(patch: pytest.MonkeyPatch) -> None:
        for each in offs:
            each(patch)

    return off


def _accept_always(*_: object) -> bool:
    """Return True for every input."""
    return True


def _read_without_verifying(element: Any, *_: object) -> saml.Assertion:
    """Read an assertion without verifying its signature."""
    return message_reading.read_unsigned(saml.Assertion, element)


def _check_nothing(*_: object, **__: object) -> None:
    """Check nothing."""


def _change_value(scene: Scene) -> object:
    """Change a signed value."""
    return scene.parties.receive(
        scene.parties.sign_response(scene.parties.response()).replace(b"au1@au.dk", b"chief@au.dk")
    )


def _send_unsigned(scene: Scene) -> object:
    return scene.parties.receive(etree.tostring(scene.parties.response()))


def _sign_response_and_forge_assertion(scene: Scene) -> object:
    """Sign the Response with the upstream's key, and its assertion with a stranger's key."""
    root = etree.fromstring(scene.parties.sign_response(scene.parties.response(), scene.parties.stranger))
    return scene.parties.receive(scene.parties.sign_response(root, whole=True))


def _load_key(key: Any) -> Callable[[Scene], object]:
    return lambda _scene: load_keys(key.public_key())


def _send_late(**ago: float) -> Callable[[Scene], object]:
    """Send a Response some time after its request, with an assertion that is valid for a day."""

    def attack(scene: Scene) -> object:
        far = stamp(NOW + timedelta(days=1))
        ends = (
            edit("saml:Assertion/saml:Conditions", NotOnOrAfter=far),
            edit("saml:Assertion/saml:Subject/saml:SubjectConfirmation/saml:SubjectConfirmationData", NotOnOrAfter=far),
        )
        return scene.parties.receive(
            scene.parties.sign_response(scene.parties.response(*ends)), now=NOW + timedelta(**ago)
        )

    return attack


def _send_expired(scene: Scene) -> object:
    start, over = stamp(NOW - timedelta(minutes=8)), stamp(NOW - timedelta(minutes=4))
    end = edit("saml:Assertion/saml:Conditions", NotBefore=start, NotOnOrAfter=over)
    return scene.parties.receive(scene.parties.sign_response(scene.parties.response(end)))


def _send_signed_query(change: Callable[[str], str]) -> Callable[[Scene], object]:
    def attack(scene: Scene) -> object:
        query = scene.parties.query(scene.parties.authn_request(), key=scene.parties.service.key)
        return scene.parties.idp.read_redirect(change(query), NOW)

    return attack


def _send_query(change: Callable[[str], str]) -> Callable[[Scene], object]:
    def attack(scene: Scene) -> object:
        query = scene.parties.query(scene.parties.authn_request(), key=None)
        return http_bindings.read_redirect(change(query), "SAMLRequest")

    return attack


def _send_bomb(scene: Scene) -> object:
    squeezed = zlib.compressobj(wbits=-15)
    packed = squeezed.compress(etree.tostring(scene.parties.authn_request(service=LOANS)) + b" " * 40_000)
    query = "SAMLRequest=" + quote(base64.b64encode(packed + squeezed.flush()), safe="")
    return http_bindings.read_redirect(query, "SAMLRequest", message_checks.BOUNDS.octets)


def _inflate(octets_: bytes, _longest: int) -> bytes:
    return zlib.decompress(octets_, wbits=-15)


def _lenient(query: str) -> dict[str, str]:
    return {name: quote(value, safe="") for name, value in parse_qsl(query)}


def _send_request(change: Any, **how: Any) -> Callable[[Scene], object]:
    return lambda scene: scene.parties.ask(change, **how)


def _add_idp_list(count: int, length: int = 9) -> Any:
    names = "".join(f'<samlp:IDPEntry ProviderID="urn:{"x" * length}{n}"/>' for n in range(count))
    return add(".", f"<samlp:Scoping><samlp:IDPList>{names}</samlp:IDPList></samlp:Scoping>")


def _add_requesters(count: int) -> Any:
    return add(".", f"<samlp:Scoping>{'<samlp:RequesterID>urn:x</samlp:RequesterID>' * count}</samlp:Scoping>")


def _answer_at_lost_acs(scene: Scene) -> object:
    """Answer at an ACS that has disappeared from the metadata since the request."""
    parties = scene.parties
    request = replace(parties.request, acs="https://gone.example/acs")
    disclosure = replace(parties.disclosure(), acs="https://gone.example/acs")
    return parties.idp.respond(request, disclosure, parties.authentication(), parties.make_ids())


def _any_acs(role: Any, asked: Any, now: Any) -> Any:
    return role.services[asked.entity_id], role.metadata.current.service(asked.entity_id, now)


def _receive_message(make: Callable[[Forge], bytes], **how: bool) -> Callable[[Scene], object]:
    return lambda scene: scene.forge.receive(make(scene.forge), **how)


def _parse_message(make: Callable[[Forge], bytes]) -> Callable[[Scene], object]:
    return lambda scene: safe_parser.parse(make(scene.forge), RESPONSE)


def _sign_response_only(scene: Scene) -> object:
    """Sign NemLog-in's Response, but not the encrypted assertion in it."""
    root = scene.parties.encrypt_response(scene.parties.response(upstream="eid"), sign=False)
    return scene.parties.receive(scene.parties.sign_response(root, scene.parties.direct, whole=True), "eid")


PREFIXES: Final = (
    f'<ds:Transform Algorithm="{EXCLUSIVE}"><e:InclusiveNamespaces xmlns:e="{EXCLUSIVE}" '
    f'PrefixList="{"xs " * 20}"/></ds:Transform>'
)
DEFENCES: Final[dict[str, Defence]] = {
    "signatures are verified": Defence(
        5, _all(_set(signature, "_is_signed_by", _accept_always), _set(signature, "_has_digest", _accept_always)), _change_value
    ),
    "something must be signed": Defence(5, _set(service_provider, "_verify_assertion", _read_without_verifying), _send_unsigned),
    "both signatures must hold": Defence(5, _set(service_provider, "_verify_assertion", _read_without_verifying), _sign_response_and_forge_assertion),
    "NemLog-in signs the assertion itself": Defence(23, _set(service_provider, "_verify_assertion", _read_without_verifying), _sign_response_only),
    "unsigned ciphertext is nothing": Defence(
        23, _set(signature, "verify", _check_nothing), _receive_message(encrypt_evil(""))
    ),
    "no RSA key below 2048 bits": Defence(
        7, _set(signature, "SMALLEST_RSA", 1024), _load_key(rsa.generate_private_key(65537, 1024))  # noqa: S505 - a weak key
    ),
    "no curve below 256 bits": Defence(
        7, _set(signature, "SMALLEST_EC", 224), _load_key(ec.generate_private_key(ec.SECP224R1()))
    ),
    "the list of signature methods": Defence(
        7, _allow_more(signature_profile, "SIGNATURE_METHODS", DS + "rsa-sha1"), _receive_message(sign_as(method=DS + "rsa-sha1"))
    ),
    "the list of digests": Defence(
        7,
        _all(_allow_more(signature_profile, "DIGEST_METHODS", DS + "sha1"), _set(signature, "_has_digest", _accept_always)),
        _receive_message(sign_as(digest=DS + "sha1")),
    ),
    "the list of prefixes is short": Defence(
        13, _set(signature_profile, "_MOST_PREFIXES", 100),
        _receive_message(sign_as(transforms=(signature_profile.ENVELOPED, PREFIXES))),
    ),
    "the list of ciphers": Defence(
        23, _allow_more(encryption, "_GCM", XENC + "aes256-cbc"), _receive_message(encrypt_as(content=XENC + "aes256-cbc"))
    ),
    "the list of key transports": Defence(
        23, _allow_more(encryption, "_OAEP", XENC + "rsa-1_5"), _receive_message(encrypt_as(transport=XENC + "rsa-1_5"))
    ),
    "the list of digests of OAEP": Defence(
        23, _allow_more(encryption, "_DIGESTS", XENC + "sha512"),
        _receive_message(encrypt_as(inner=f'<ds:DigestMethod Algorithm="{XENC}sha512"/>')),
    ),
    "a bound of octets": Defence(13, _widen_bound(octets=10**6), _receive_message(sign_value("x" * 300_000))),
    "a bound of depth": Defence(13, _widen_bound(depth=100), _parse_message(sign_value("<e>" * 60 + "</e>" * 60))),
    "a bound of nodes": Defence(13, _widen_bound(nodes=10_000), _parse_message(sign_value("<e/>" * 4_000))),
    "a bound of attributes": Defence(13, _widen_bound(attributes=10**4), _parse_message(sign_value('<e a="" b=""/>' * 1_000))),
    "a bound of namespaces": Defence(
        13, _widen_bound(namespaces=10**4), _parse_message(sign_value("".join(f'<e:x xmlns:e="urn:{n}"/>' for n in range(1100))))
    ),
    "a bound of what is in scope": Defence(
        13, _widen_bound(scope=1000),
        _parse_message(sign_value("<e:x xmlns:e='urn:e'" + "".join(f" xmlns:e{n}='urn:e'" for n in range(100)) + "/>")),
    ),
    "the root is the endpoint's": Defence(
        4, lambda patch: patch.setitem(xml_structure_checks.TREE, "root", lambda _: False),
        _parse_message(lambda forge: octets(forge.sign_response().find(ASSERTION))),
    ),
    "clocks differ by three minutes at most": Defence(
        19, _set(received_response.ReceivedFromUpstream, "skew", timedelta(hours=1)), _send_expired
    ),
    "an answer is fresh": Defence(
        15, _set(received_response, "traits_of", lambda _: ProfileTraits(max_age=timedelta(days=1), hub=True)),
        _send_late(minutes=9),
    ),
    "a request is fresh": Defence(
        26, _set(authn_requests.ReceivedAuthnRequest, "max_age", timedelta(days=1)),
        _send_request(edit(".", IssueInstant=stamp(NOW - timedelta(hours=1)))),
    ),
    "a request is not from the future": Defence(
        26, _set(authn_requests.ReceivedAuthnRequest, "skew", timedelta(days=1)),
        _send_request(edit(".", IssueInstant=stamp(NOW + timedelta(hours=1)))),
    ),
    "few hops": Defence(26, _set(authn_requests, "_MOST_HOPS", 99), _send_request(_add_requesters(11))),
    "short lists": Defence(13, _set(authn_requests, "_MOST_LISTED", 99), _send_request(_add_idp_list(60))),
    "short names": Defence(13, _set(authn_requests, "_LONGEST_NAME", 999), _send_request(_add_idp_list(1, 300))),
    "a parameter stands once": Defence(
        14, _set(http_bindings, "_split_query", _lenient), _send_query(lambda query: f"{query}&RelayState=other")
    ),
    "a query is signed as a whole": Defence(
        24, _set(signature, "verify_bytes", _check_nothing), _send_signed_query(lambda query: query.replace("state%2F1", "other"))
    ),
    "inflating has a bound": Defence(13, _set(http_bindings, "_inflate", _inflate), _send_bomb),
    "base64 is strict": Defence(
        14, _set(http_bindings, "_decode_base64", base64.b64decode), lambda _scene: http_bindings.decode_post("PGE!+PC9hPg==")
    ),
    "no line break in a RelayState": Defence(
        27,
        _set(http_bindings, "check_relay_state", lambda value, *_: value),
        _send_query(lambda query: query.replace("state%2F1", "a%0Db")),
    ),
    "an answer goes to a registered ACS": Defence(
        25, _set(identity_provider.IdentityProvider, "_find_service", _any_acs), _answer_at_lost_acs
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=pytest.mark.attack(row.number), id=each) for each, row in DEFENCES.items()]
)
def test_the_attack_succeeds_without_its_defence(
    parties: Parties, forge: Forge, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack is refused while the defence is on, and succeeds when only this defence is off."""
    defence, scene = DEFENCES[name], Scene(parties, forge)
    with pytest.raises(BrokerError):
        defence.attack(scene)
    defence.off(monkeypatch)
    defence.attack(scene)
