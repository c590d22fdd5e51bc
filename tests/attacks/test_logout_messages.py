"""Attack: forged logout messages. The tests change one thing in a genuine message, by both bindings and on both sides.

Source: docs/reference/attacks.md#29.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest
from lxml import etree

from broker.adapters.saml.logout.logout_service import LogoutService
from broker.adapters.saml.metadata.metadata_folder import Metadata
from broker.adapters.saml.metadata.role_descriptors import LogoutEndpoint
from broker.adapters.saml.xml_security import encryption, http_bindings, signature
from broker.adapters.saml.xml_security.algorithm_selection import EncryptionAlgorithms
from broker.adapters.saml.xml_security.xml_names import ASSERTION, SAML, SIGNATURE
from broker.core.errors import MessageRefused
from broker.core.logout.logout_state import LogoutPeer, LogoutRequest, LogoutResponse
from tests.attacks.messages import cbc_encryption
from tests.attacks.messages.cbc_encryption import AES_CBC
from tests.plugins.saml_parties import BASE, HUB, IDP, LOANS, NOW, OPEN, Change, Parties, Party, drop, edit, say, stamp

SLO: Final = f"{BASE}/saml/idp/slo"
HUB_SLO: Final = f"{BASE}/saml/sp/wayf/slo"
_HEAD: Final = f"""xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="{SAML}" ID="_l1" Version="2.0" \
IssueInstant="{stamp(NOW)}" Destination="%(to)s\""""
REQUEST: Final = f"""<samlp:LogoutRequest {_HEAD} NotOnOrAfter="{stamp(NOW + timedelta(minutes=5))}">\
<saml:Issuer>%(issuer)s</saml:Issuer><saml:NameID SPNameQualifier="{LOANS}">pairwise-1</saml:NameID>\
<samlp:SessionIndex>_i1</samlp:SessionIndex></samlp:LogoutRequest>"""
RESPONSE: Final = f"""<samlp:LogoutResponse {_HEAD} InResponseTo="_asked"><saml:Issuer>%(issuer)s</saml:Issuer>\
<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>\
</samlp:LogoutResponse>"""
BOTH: Final = pytest.mark.parametrize("by", ["redirect", "post"])
KINDS: Final = pytest.mark.parametrize("written", [REQUEST, RESPONSE], ids=["request", "response"])


@pytest.fixture(scope="module")
def role(parties: Parties) -> LogoutService:
    """Return single logout with peers that all have an endpoint."""
    endpoint = LogoutEndpoint("redirect", "https://peer.example/slo", "https://peer.example/slo")
    read = Metadata(
        {name: replace(each, logout=endpoint) for name, each in parties.metadata.upstreams.items()},
        {name: replace(each, logout=endpoint) for name, each in parties.metadata.services.items()},
    )
    return LogoutService(BASE, IDP, parties.ring, read, services=parties.services, upstreams=parties.upstreams)


def make_message(written: str, *changes: Change, issuer: str = LOANS, to: str = SLO) -> Any:
    """Return a genuine message with these changes."""
    root = etree.fromstring(written % {"issuer": issuer, "to": to})
    for change in changes:
        change(root)
    return root


def send_message(
    role: LogoutService,
    root: Any,
    key: signature.SigningKey | None,
    by: str,
    *,
    upstream: str | None = None,
    after: Callable[[str], str] = str,
) -> LogoutRequest | LogoutResponse:
    """Send a message, signed as its binding requires; ``after`` changes the query string after signing."""
    kind: http_bindings.MessageField = "SAMLResponse" if root.tag.endswith("Response") else "SAMLRequest"
    if by == "redirect":
        url = http_bindings.build_redirect_url(SLO, kind, etree.tostring(root), "state", key)
        return role.read_redirect(upstream, after(url.partition("?")[2]), NOW)
    if key:
        signature.sign(root, key)
    return role.read_post(
        upstream, list(http_bindings.build_post_fields(etree.tostring(root), kind, "state").items()), NOW
    )


def encrypt_name(root: Any, certificate: bytes, by: EncryptionAlgorithms) -> None:
    """Replace the NameID by an EncryptedID."""
    named = root.find("{*}NameID")
    sealed = (
        cbc_encryption.encrypt_with_cbc(named, certificate)
        if by.content == AES_CBC
        else encryption.encrypt(named, certificate, by)
    )
    sealed.tag = ASSERTION.replace("Assertion", "EncryptedID")
    root.replace(named, sealed)


def cause(*sending: Any, **how: Any) -> str:
    """Return the cause of a refusal."""
    with pytest.raises(MessageRefused) as caught:
        send_message(*sending, **how)
    return caught.value.cause


def later(seconds: int) -> str:
    """Return the time in ``seconds`` seconds."""
    return stamp(NOW + timedelta(seconds=seconds))


@pytest.mark.attack(29, control=True)
@pytest.mark.profile(1, 23, 34)
@BOTH
@KINDS
@pytest.mark.parametrize(
    "change",
    [edit(".", ID="_l2"), edit(".", IssueInstant=later(180)), edit(".", IssueInstant=later(-479))],
    ids=["plain", "ahead", "behind"],
)
def test_a_genuine_message_is_read(
    parties: Parties, role: LogoutService, by: str, written: str, change: Change
) -> None:
    """Control: genuine messages are read, also with a clock that differs by 180 seconds."""
    read = send_message(role, make_message(written, change), parties.service.key, by)
    assert read.peer == LogoutPeer("service", "my-loans")
    if isinstance(read, LogoutRequest):
        assert (read.name_id.value, read.name_id.sp_name_qualifier, read.indexes) == ("pairwise-1", LOANS, ("_i1",))
    else:
        assert (read.in_response_to, read.ended) == ("_asked", True)


CHANGES: Final = {
    "logout.version": edit(".", Version="1.1"),
    "logout.destination": edit(".", Destination=HUB_SLO),
    "logout.destination ": edit(".", Destination=None),
    "logout.destination  ": edit(".", Destination=SLO + "/"),
    "logout.issued_later": edit(".", IssueInstant=later(181)),
    "logout.issued_long_ago": edit(".", IssueInstant=later(-480)),
    "logout.zone": edit(".", IssueInstant="2026-11-25T12:00:00"),
    "logout.unknown_peer": say("saml:Issuer", HUB),
    "logout.unknown_peer ": say("saml:Issuer", IDP),
    "logout.unknown_peer  ": drop("saml:Issuer"),
    "logout.unknown_peer   ": edit("saml:Issuer", Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"),
    "xml.signature": say("saml:Issuer", OPEN),  # a service without keys cannot sign
}


@pytest.mark.attack(29)
@pytest.mark.profile(1)
@BOTH
@KINDS
@pytest.mark.parametrize("why", CHANGES)
def test_a_changed_message_is_refused(parties: Parties, role: LogoutService, by: str, written: str, why: str) -> None:
    """A message with a valid signature is refused if it has a wrong destination, time or issuer."""
    assert cause(role, make_message(written, CHANGES[why]), parties.service.key, by) == why.strip()


@pytest.mark.attack(29)
@BOTH
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (edit(".", NotOnOrAfter=later(-180)), "logout.expired"),
        (edit(".", NotOnOrAfter="2026-11-25T12:05:00"), "logout.zone"),
        (say("saml:NameID", "pairwise-1<!---->"), "pairwise-1<!---->"),
        (edit(".", NotOnOrAfter=later(-179)), "pairwise-1"),
        (drop("saml:NameID"), "xml.schema"),
    ],
)
def test_an_expired_or_nameless_request_is_refused(
    parties: Parties, role: LogoutService, by: str, change: Change, why: str
) -> None:
    """An expired request is refused. Markup in a NameID is read as text, so that it names nobody else."""
    if why.startswith("pairwise"):
        read = send_message(role, make_message(REQUEST, change), parties.service.key, by)
        assert isinstance(read, LogoutRequest)
        assert read.name_id.value == why
    else:
        assert cause(role, make_message(REQUEST, change), parties.service.key, by) == why


@pytest.mark.attack(29)
@pytest.mark.profile(23)
@BOTH
@KINDS
@pytest.mark.parametrize("signed", [(None, "logout.unsigned"), ("stranger", "xml.signature"), ("hub", "xml.signature")])
def test_only_the_peers_own_signature_counts(
    parties: Parties, role: LogoutService, by: str, written: str, signed: tuple[str | None, str]
) -> None:
    """A message without signature, or with the signature of a stranger or an upstream, is always refused."""
    signer, why = signed
    party: Party | None = getattr(parties, signer) if signer else None
    assert cause(role, make_message(written), party.key if party else None, by) == why


@pytest.mark.attack(29)
@BOTH
@KINDS
def test_an_upstreams_message_is_accepted_at_its_own_address_only(
    parties: Parties, role: LogoutService, by: str, written: str
) -> None:
    """The hub's message is accepted at the hub's own address only, and not as another upstream's."""
    own = make_message(written, issuer=HUB, to=HUB_SLO)
    assert send_message(role, own, parties.hub.key, by, upstream="wayf").peer == LogoutPeer("upstream", "wayf")
    again = make_message(written, issuer=HUB, to=HUB_SLO)
    assert cause(role, again, parties.hub.key, by, upstream="kb") == "logout.unknown_peer"
    assert cause(role, make_message(written), parties.service.key, by, upstream="wayf") == "logout.unknown_peer"
    assert cause(role, make_message(written), parties.service.key, by, upstream="none") == "logout.unknown_peer"
    wrong = make_message(written, issuer=HUB, to=HUB_SLO)
    assert cause(role, wrong, parties.direct.key, by, upstream="wayf") == "xml.signature"


@pytest.mark.attack(29)
@KINDS
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda query: query.partition("&SigAlg=")[0], "logout.unsigned"),
        (lambda query: query.partition("&Signature=")[0], "xml.query_signature"),
        (
            lambda query: query.replace("rsa-sha256", "rsa-sha1").replace("2001/04/xmldsig-more", "2000/09/xmldsig"),
            None,
        ),
        (lambda query: query.replace("RelayState=state", "RelayState=https%3A%2F%2Fevil.example"), "xml.signature"),
        (lambda query: query.replace("&RelayState=state", ""), "xml.signature"),
        (lambda query: query + "&RelayState=other", "xml.parameter_twice"),
    ],
    ids=["stripped", "half", "sha1", "relay", "no-relay", "twice"],
)
def test_a_changed_query_is_refused(
    parties: Parties, role: LogoutService, written: str, change: Callable[[str], str], why: str | None
) -> None:
    """The signature covers the octets of the query with RelayState and must use an allowed algorithm."""
    found = cause(role, make_message(written), parties.service.key, "redirect", after=change)
    assert found == why if why else found in {"xml.signature", "xml.signature_method"}


@pytest.mark.attack(29)
def test_an_xml_signature_does_not_replace_the_query_signature(parties: Parties, role: LogoutService) -> None:
    """An XML signature inside the message does not replace the signature of the query."""
    root = make_message(REQUEST)
    signature.sign(root, parties.service.key)
    assert cause(role, root, None, "redirect") == "logout.unsigned"


@pytest.mark.attack(29)
@pytest.mark.parametrize("more", [("SAMLRequest", "x"), ("SAMLResponse", "x"), ("RelayState", "x")])
def test_a_form_has_one_message(parties: Parties, role: LogoutService, more: tuple[str, str]) -> None:
    """A form with two messages is refused: one could be verified and the other read."""
    root = make_message(REQUEST)
    signature.sign(root, parties.service.key)
    fields = [*http_bindings.build_post_fields(etree.tostring(root), "SAMLRequest", "state").items(), more]
    with pytest.raises(MessageRefused, match=r"logout\.fields"):
        role.read_post(None, fields, NOW)


@pytest.mark.attack(29)
def test_a_wrapped_request_is_refused(parties: Parties, role: LogoutService) -> None:
    """Wrapping: a genuine request inside another one's Extensions is refused."""
    inner, outer = (
        make_message(REQUEST),
        make_message(REQUEST, edit(".", ID="_evil"), say("saml:NameID", "somebody-else")),
    )
    signature.sign(inner, parties.service.key)
    extensions = etree.SubElement(outer, "{urn:oasis:names:tc:SAML:2.0:protocol}Extensions")
    outer.insert(1, extensions)
    outer.insert(1, inner.find(SIGNATURE))
    extensions.append(inner)
    assert cause(role, outer, None, "post").startswith("xml.")


@pytest.mark.attack(29)
def test_an_unsolicited_response_is_refused(parties: Parties, role: LogoutService) -> None:
    """A LogoutResponse without InResponseTo is refused."""
    root = make_message(RESPONSE, edit(".", InResponseTo=None))
    assert cause(role, root, parties.service.key, "redirect") == "logout.unsolicited"


@pytest.mark.parametrize(
    "codes", [("Requester",), ("Responder",), ("Success", "PartialLogout"), ("Requester", "UnknownPrincipal")]
)
def test_only_plain_success_counts_as_logged_out(parties: Parties, role: LogoutService, codes: tuple[str, ...]) -> None:
    """Only status Success without a second-level code counts as logged out."""
    root = make_message(RESPONSE)
    status = root.find("{*}Status")
    first = status[0]
    first.set("Value", f"urn:oasis:names:tc:SAML:2.0:status:{codes[0]}")
    for each in codes[1:]:
        etree.SubElement(first, first.tag, Value=f"urn:oasis:names:tc:SAML:2.0:status:{each}")
    read = send_message(role, root, parties.service.key, "redirect")
    assert isinstance(read, LogoutResponse)
    assert not read.ended


@pytest.mark.parametrize(("ends", "reached"), [(None, True), (timedelta(seconds=1), True), (timedelta(days=-1), False)])
def test_a_peer_with_expired_metadata_is_not_asked(role: LogoutService, ends: timedelta | None, reached: bool) -> None:
    """A peer with expired metadata is not asked: the logout would stop at an error page."""
    known, until = role.metadata.current, NOW + ends if ends is not None else None
    services = {name: replace(each, until=until) for name, each in known.services.items()}
    upstreams = {name: replace(each, until=until) for name, each in known.upstreams.items()}
    later_on = replace(role, metadata=Metadata(upstreams, services))
    assert later_on.can_reach(LogoutPeer("service", "my-loans"), NOW) is reached
    assert later_on.can_reach(LogoutPeer("upstream", "wayf"), NOW) is reached
    for gone in (LogoutPeer("service", "gone"), LogoutPeer("service", "wayf"), LogoutPeer("upstream", "my-loans")):
        assert not later_on.can_reach(gone, NOW)


@pytest.mark.attack(29, control=True)
def test_an_encrypted_name_is_read(parties: Parties, role: LogoutService) -> None:
    """Control: an encrypted NameID is read."""
    root = make_message(REQUEST)
    encrypt_name(root, parties.ring.idp.encryption_certificate, EncryptionAlgorithms())
    read = send_message(role, root, parties.service.key, "post")
    assert isinstance(read, LogoutRequest)
    assert (read.name_id.value, read.name_id.sp_name_qualifier) == ("pairwise-1", LOANS)


@pytest.mark.attack(23, 29)
@pytest.mark.parametrize(("upstream", "why"), [("wayf", "xml.content_method"), ("eid", None)])
def test_a_cbc_encrypted_name_is_read_of_nemlogin_only(
    parties: Parties, role: LogoutService, upstream: str, why: str | None
) -> None:
    """CBC ciphertext can be changed unnoticed, so only the upstream that needs it (NemLog-in) may use it."""
    party, there = parties.signer(upstream), f"{BASE}/saml/sp/{upstream}/slo"
    root = make_message(REQUEST, issuer=parties.upstreams[upstream].entity_id, to=there)
    encrypt_name(root, parties.ring.sp.encryption_certificate, EncryptionAlgorithms(content=AES_CBC))
    if why:
        assert cause(role, root, party.key, "post", upstream=upstream) == why
    else:
        read = send_message(role, root, party.key, "post", upstream=upstream)
        assert isinstance(read, LogoutRequest)
        assert read.name_id.value == "pairwise-1"


@pytest.mark.attack(6, 29)
@BOTH
@KINDS
def test_a_service_and_an_upstream_of_one_name_are_two_peers(
    parties: Parties, role: LogoutService, by: str, written: str
) -> None:
    """A service and an upstream with the same name are different peers, each with its own key."""
    both = replace(
        role,
        services={**role.services, "wayf": role.services["my-loans"]},
        upstreams={**role.upstreams, "my-loans": role.upstreams["wayf"]},
    )
    to_us = make_message(written, issuer=HUB, to=HUB_SLO)
    assert cause(both, to_us, parties.service.key, by, upstream="wayf") == "xml.signature"
    assert cause(both, make_message(written), parties.hub.key, by) == "xml.signature"
    assert send_message(both, make_message(written), parties.service.key, by).peer.side == "service"
