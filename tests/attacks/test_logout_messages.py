"""Forged logout messages: each a true one with one thing changed, by both bindings and on both sides.

Source: docs/reference/attacks.md#29.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest
from lxml import etree

from broker.adapters.saml.logout.single_logout import SingleLogout
from broker.adapters.saml.metadata.metadata_folder import Metadata
from broker.adapters.saml.metadata.role_descriptors import LogoutEndpoint
from broker.adapters.saml.xml_security import encryption, http_bindings, signature
from broker.adapters.saml.xml_security.algorithm_selection import EncryptionAlgorithms
from broker.adapters.saml.xml_security.xml_names import ASSERTION, SAML, SIGNATURE
from broker.core.errors import MessageRefused
from broker.core.logout.single_logout import LogoutPeer, LogoutRequest, LogoutResponse
from tests.plugins import cbc_encryption
from tests.plugins.cbc_encryption import AES_CBC
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
def role(parties: Parties) -> SingleLogout:
    """Give our single logout between peers that all have an endpoint."""
    endpoint = LogoutEndpoint("redirect", "https://peer.example/slo", "https://peer.example/slo")
    read = Metadata(
        {name: replace(each, logout=endpoint) for name, each in parties.metadata.upstreams.items()},
        {name: replace(each, logout=endpoint) for name, each in parties.metadata.services.items()},
    )
    return SingleLogout.from_keys(BASE, IDP, parties.ring, read, services=parties.services, upstreams=parties.upstreams)


def made(written: str, *changes: Change, issuer: str = LOANS, to: str = SLO) -> Any:
    """Give a message, true but for the changes."""
    root = etree.fromstring(written % {"issuer": issuer, "to": to})
    for change in changes:
        change(root)
    return root


def sent(
    role: SingleLogout,
    root: Any,
    key: signature.SigningKey | None,
    by: str,
    *,
    upstream: str | None = None,
    after: Callable[[str], str] = str,
) -> LogoutRequest | LogoutResponse:
    """Send a message, signed as its binding signs; ``after`` changes the query string after that."""
    kind: http_bindings.MessageField = "SAMLResponse" if root.tag.endswith("Response") else "SAMLRequest"
    if by == "redirect":
        url = http_bindings.build_redirect_url(SLO, kind, etree.tostring(root), "state", key)
        return role.read_redirect(upstream, after(url.partition("?")[2]), NOW)
    if key:
        signature.sign(root, key)
    return role.read_post(
        upstream, list(http_bindings.build_post_fields(etree.tostring(root), kind, "state").items()), NOW
    )


def sealed_name(root: Any, certificate: bytes, by: EncryptionAlgorithms) -> None:
    """Put an EncryptedID in the place of the NameID."""
    named = root.find("{*}NameID")
    sealed = (
        cbc_encryption.encrypt_with_cbc(named, certificate)
        if by.content == AES_CBC
        else encryption.encrypt(named, certificate, by)
    )
    sealed.tag = ASSERTION.replace("Assertion", "EncryptedID")
    root.replace(named, sealed)


def cause(*sending: Any, **how: Any) -> str:
    """Give why a message is refused."""
    with pytest.raises(MessageRefused) as caught:
        sent(*sending, **how)
    return caught.value.cause


def later(seconds: int) -> str:
    """Give a time so many seconds from now."""
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
def test_a_true_message_is_read(parties: Parties, role: SingleLogout, by: str, written: str, change: Change) -> None:
    """Both kinds by both bindings, and from a peer whose clock is 180 seconds off."""
    read = sent(role, made(written, change), parties.service.key, by)
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
    "xml.signature": say("saml:Issuer", OPEN),  # a service without keys: nobody can sign as it
}


@pytest.mark.attack(29)
@pytest.mark.profile(1)
@BOTH
@KINDS
@pytest.mark.parametrize("why", CHANGES)
def test_a_changed_message_is_refused(parties: Parties, role: SingleLogout, by: str, written: str, why: str) -> None:
    """Signed by a service's own key, and still not for us, not of now, or not its own."""
    assert cause(role, made(written, CHANGES[why]), parties.service.key, by) == why.strip()


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
def test_a_request_that_ran_out_or_names_nobody_is_refused(
    parties: Parties, role: SingleLogout, by: str, change: Change, why: str
) -> None:
    """NotOnOrAfter is honoured, as far as clocks differ; markup in a NameID is text and names nobody else."""
    if why.startswith("pairwise"):
        read = sent(role, made(REQUEST, change), parties.service.key, by)
        assert isinstance(read, LogoutRequest)
        assert read.name_id.value == why
    else:
        assert cause(role, made(REQUEST, change), parties.service.key, by) == why


@pytest.mark.attack(29)
@pytest.mark.profile(23)
@BOTH
@KINDS
@pytest.mark.parametrize("signed", [(None, "logout.unsigned"), ("stranger", "xml.signature"), ("hub", "xml.signature")])
def test_only_the_peers_own_signature_counts(
    parties: Parties, role: SingleLogout, by: str, written: str, signed: tuple[str | None, str]
) -> None:
    """None, a stranger's and an upstream's are all refused, always: logout has no unsigned peers."""
    signer, why = signed
    party: Party | None = getattr(parties, signer) if signer else None
    assert cause(role, made(written), party.key if party else None, by) == why


@pytest.mark.attack(29)
@BOTH
@KINDS
def test_an_upstream_speaks_at_its_own_address_only(
    parties: Parties, role: SingleLogout, by: str, written: str
) -> None:
    """The hub's own message is good at its address; at another upstream's and as another's it is refused."""
    own = made(written, issuer=HUB, to=HUB_SLO)
    assert sent(role, own, parties.hub.key, by, upstream="wayf").peer == LogoutPeer("upstream", "wayf")
    again = made(written, issuer=HUB, to=HUB_SLO)
    assert cause(role, again, parties.hub.key, by, upstream="kb") == "logout.unknown_peer"
    assert cause(role, made(written), parties.service.key, by, upstream="wayf") == "logout.unknown_peer"
    assert cause(role, made(written), parties.service.key, by, upstream="none") == "logout.unknown_peer"
    wrong = made(written, issuer=HUB, to=HUB_SLO)
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
def test_a_query_is_signed_as_it_came(
    parties: Parties, role: SingleLogout, written: str, change: Callable[[str], str], why: str | None
) -> None:
    """The signature is over the octets of the query, RelayState included, by an algorithm of the list."""
    found = cause(role, made(written), parties.service.key, "redirect", after=change)
    assert found == why if why else found in {"xml.signature", "xml.signature_method"}


@pytest.mark.attack(29)
def test_a_signature_within_stands_in_for_no_signed_query(parties: Parties, role: SingleLogout) -> None:
    """Who cuts a posted message out and sends it by Redirect has no signature over what the query says."""
    root = made(REQUEST)
    signature.sign(root, parties.service.key)
    assert cause(role, root, None, "redirect") == "logout.unsigned"


@pytest.mark.attack(29)
@pytest.mark.parametrize("more", [("SAMLRequest", "x"), ("SAMLResponse", "x"), ("RelayState", "x")])
def test_a_form_has_one_message(parties: Parties, role: SingleLogout, more: tuple[str, str]) -> None:
    """Which of two is verified and which is read would differ."""
    root = made(REQUEST)
    signature.sign(root, parties.service.key)
    fields = [*http_bindings.build_post_fields(etree.tostring(root), "SAMLRequest", "state").items(), more]
    with pytest.raises(MessageRefused, match=r"logout\.fields"):
        role.read_post(None, fields, NOW)


@pytest.mark.attack(29)
def test_a_wrapped_request_is_refused(parties: Parties, role: SingleLogout) -> None:
    """A true signed request within another's Extensions names nobody."""
    inner, outer = made(REQUEST), made(REQUEST, edit(".", ID="_evil"), say("saml:NameID", "somebody-else"))
    signature.sign(inner, parties.service.key)
    extensions = etree.SubElement(outer, "{urn:oasis:names:tc:SAML:2.0:protocol}Extensions")
    outer.insert(1, extensions)
    outer.insert(1, inner.find(SIGNATURE))
    extensions.append(inner)
    assert cause(role, outer, None, "post").startswith("xml.")


@pytest.mark.attack(29)
def test_an_answer_to_nothing_is_refused(parties: Parties, role: SingleLogout) -> None:
    """A LogoutResponse says what it answers."""
    root = made(RESPONSE, edit(".", InResponseTo=None))
    assert cause(role, root, parties.service.key, "redirect") == "logout.unsolicited"


@pytest.mark.parametrize(
    "codes", [("Requester",), ("Responder",), ("Success", "PartialLogout"), ("Requester", "UnknownPrincipal")]
)
def test_only_plain_success_ends_anything(parties: Parties, role: SingleLogout, codes: tuple[str, ...]) -> None:
    """An error, a Success that is partial, and a peer that knows nobody are told as not logged out."""
    root = made(RESPONSE)
    status = root.find("{*}Status")
    first = status[0]
    first.set("Value", f"urn:oasis:names:tc:SAML:2.0:status:{codes[0]}")
    for each in codes[1:]:
        etree.SubElement(first, first.tag, Value=f"urn:oasis:names:tc:SAML:2.0:status:{each}")
    read = sent(role, root, parties.service.key, "redirect")
    assert isinstance(read, LogoutResponse)
    assert not read.ended


@pytest.mark.parametrize(("ends", "reached"), [(None, True), (timedelta(seconds=1), True), (timedelta(days=-1), False)])
def test_a_peer_whose_metadata_ran_out_is_not_reached(
    role: SingleLogout, ends: timedelta | None, reached: bool
) -> None:
    """A logout that began to ask it would end there, on a page of ours that leads nowhere."""
    known, until = role.metadata.current, NOW + ends if ends is not None else None
    services = {name: replace(each, until=until) for name, each in known.services.items()}
    upstreams = {name: replace(each, until=until) for name, each in known.upstreams.items()}
    later_on = replace(role, metadata=Metadata(upstreams, services))
    assert later_on.can_reach(LogoutPeer("service", "my-loans"), NOW) is reached
    assert later_on.can_reach(LogoutPeer("upstream", "wayf"), NOW) is reached
    for gone in (LogoutPeer("service", "gone"), LogoutPeer("service", "wayf"), LogoutPeer("upstream", "my-loans")):
        assert not later_on.can_reach(gone, NOW)


@pytest.mark.attack(29, control=True)
def test_an_encrypted_name_is_read(parties: Parties, role: SingleLogout) -> None:
    """EncryptedID holds the NameID, encrypted to our key."""
    root = made(REQUEST)
    sealed_name(root, parties.ring.idp.encryption_certificate, EncryptionAlgorithms())
    read = sent(role, root, parties.service.key, "post")
    assert isinstance(read, LogoutRequest)
    assert (read.name_id.value, read.name_id.sp_name_qualifier) == ("pairwise-1", LOANS)


@pytest.mark.attack(23, 29)
@pytest.mark.parametrize(("upstream", "why"), [("wayf", "xml.content_method"), ("eid", None)])
def test_a_name_in_cbc_is_read_of_who_needs_it_only(
    parties: Parties, role: SingleLogout, upstream: str, why: str | None
) -> None:
    """What can be changed unnoticed names somebody else: only NemLog-in may, as with assertions."""
    party, there = parties.signer(upstream), f"{BASE}/saml/sp/{upstream}/slo"
    root = made(REQUEST, issuer=parties.upstreams[upstream].entity_id, to=there)
    sealed_name(root, parties.ring.sp.encryption_certificate, EncryptionAlgorithms(content=AES_CBC))
    if why:
        assert cause(role, root, party.key, "post", upstream=upstream) == why
    else:
        read = sent(role, root, party.key, "post", upstream=upstream)
        assert isinstance(read, LogoutRequest)
        assert read.name_id.value == "pairwise-1"


@pytest.mark.attack(6, 29)
@BOTH
@KINDS
def test_one_name_of_a_service_and_an_upstream_is_two_peers(
    parties: Parties, role: SingleLogout, by: str, written: str
) -> None:
    """Both may be called the same in broker.toml; the one's key signs nothing of the other."""
    both = replace(
        role,
        services={**role.services, "wayf": role.services["my-loans"]},
        upstreams={**role.upstreams, "my-loans": role.upstreams["wayf"]},
    )
    to_us = made(written, issuer=HUB, to=HUB_SLO)
    assert cause(both, to_us, parties.service.key, by, upstream="wayf") == "xml.signature"
    assert cause(both, made(written), parties.hub.key, by) == "xml.signature"
    assert sent(both, made(written), parties.service.key, by).peer.side == "service"
