"""Logout messages that we send: signed by either binding, to the peer's own places, with the names as they were."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from broker.adapters.saml.logout.logout_service import LogoutService
from broker.adapters.saml.metadata.metadata_folder import Metadata
from broker.adapters.saml.metadata.role_descriptors import LogoutEndpoint
from broker.adapters.saml.xml_security import http_bindings, safe_parser, signature
from broker.adapters.saml.xml_security.xml_names import SAMLP
from broker.core.errors import PARTIAL_LOGOUT, MessageRefused
from broker.core.logout.logout_state import LogoutPeer, LogoutRequest, Participant
from broker.core.logout.sessions import NameID
from broker.core.saml_ports import PostForm
from tests.plugins.saml_parties import BASE, IDP, LOANS, NOW, Parties, stamp

ASKED_AT, TOLD_AT = "https://peer.example/slo", "https://peer.example/slo/done"
ISSUERS: Final = {
    LogoutPeer("service", "my-loans"): IDP,
    LogoutPeer("upstream", "wayf"): f"{BASE}/saml/sp/wayf/metadata",
}
NAMED: Final = NameID("pairwise-1", "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent", IDP, LOANS)
PEERS: Final = pytest.mark.parametrize("peer", list(ISSUERS), ids=lambda peer: peer.side)
BINDINGS: Final = pytest.mark.parametrize("binding", ["redirect", "post"])


def facing(parties: Parties, endpoint: LogoutEndpoint | None, **more: Any) -> LogoutService:
    """Give our single logout between peers that have this endpoint."""
    read = Metadata(
        {name: replace(each, logout=endpoint, **more) for name, each in parties.metadata.upstreams.items()},
        {name: replace(each, logout=endpoint, **more) for name, each in parties.metadata.services.items()},
    )
    return LogoutService(BASE, IDP, parties.ring, read, services=parties.services, upstreams=parties.upstreams)


def read_sent(
    parties: Parties, leaving: str | PostForm | None, kind: Any, peer: LogoutPeer
) -> tuple[Any, str, str | None]:
    """Read a message as the peer does, its signature verified: its root, where it went, and RelayState."""
    ring = parties.ring.idp if peer.side == "service" else parties.ring.sp
    keys = [signature.VerifyKey.load(each) for each in ring.signing_certificates]
    tag = f"{{{SAMLP}}}Logout{kind.removeprefix('SAML')}"
    if isinstance(leaving, str):
        message = http_bindings.inflate_redirect(urlsplit(leaving).query, kind)
        assert message.signed is not None
        signature.verify_bytes(message.signed.octets, message.signed.signature, message.signed.sigalg, keys)
        return safe_parser.parse(message.xml, tag), leaving.partition("?")[0], message.relay_state
    assert leaving is not None
    root = safe_parser.parse(http_bindings.decode_post(leaving.fields[kind]), tag)
    signature.verify(root, keys)
    return root, leaving.action, leaving.fields.get("RelayState")


@pytest.mark.profile(23, 34)
@PEERS
@BINDINGS
def test_a_participant_is_asked_by_the_names_it_knows(parties: Parties, binding: Any, peer: LogoutPeer) -> None:
    """NameID and every SessionIndex exactly as they were, for five minutes, signed by the role that the peer knows."""
    role = facing(parties, LogoutEndpoint(binding, ASKED_AT, TOLD_AT))
    leaving = role.request(Participant(peer, NAMED, ("_i1", "_i2")), "_l9", NOW)
    assert isinstance(leaving, str) is (binding == "redirect")
    root, place, state = read_sent(parties, leaving, "SAMLRequest", peer)
    assert (place, root.get("Destination"), state) == (ASKED_AT, ASKED_AT, None)
    assert (root.get("ID"), root.findtext("{*}Issuer")) == ("_l9", ISSUERS[peer])
    assert (root.get("IssueInstant"), root.get("NotOnOrAfter")) == (stamp(NOW), stamp(NOW + timedelta(minutes=5)))
    name = root.find("{*}NameID")
    assert (name.text, name.get("Format"), name.get("NameQualifier"), name.get("SPNameQualifier")) == (
        NAMED.value,
        NAMED.format,
        NAMED.name_qualifier,
        NAMED.sp_name_qualifier,
    )
    assert [each.text for each in root.iter("{*}SessionIndex")] == ["_i1", "_i2"]


@pytest.mark.profile(34)
@PEERS
@BINDINGS
def test_an_answer_goes_to_the_askers_own_place(parties: Parties, binding: Any, peer: LogoutPeer) -> None:
    """To ResponseLocation, signed, with the status, what it answers, and RelayState verbatim."""
    role = facing(parties, LogoutEndpoint(binding, ASKED_AT, TOLD_AT))
    asked = LogoutRequest(peer, "_theirs", NAMED, relay_state="state/1", latest_issue_time=NOW)
    leaving = role.respond(asked, "_r9", PARTIAL_LOGOUT, NOW)
    assert isinstance(leaving, str) is (binding == "redirect")
    root, place, state = read_sent(parties, leaving, "SAMLResponse", peer)
    assert (place, root.get("Destination"), state) == (TOLD_AT, TOLD_AT, "state/1")
    assert (root.get("InResponseTo"), root.findtext("{*}Issuer")) == ("_theirs", ISSUERS[peer])
    codes = [each.get("Value") for each in root.iter("{*}StatusCode")]
    assert codes == [PARTIAL_LOGOUT.top, PARTIAL_LOGOUT.second]


@PEERS
def test_a_peer_without_a_place_is_neither_asked_nor_answered(parties: Parties, peer: LogoutPeer) -> None:
    """A peer may lose its endpoint during a logout: the broker reports that, and sends nobody there."""
    role = facing(parties, None)
    assert not role.can_reach(peer, NOW)
    assert (
        role.respond(LogoutRequest(peer, "_theirs", NAMED, latest_issue_time=NOW), "_r9", PARTIAL_LOGOUT, NOW) is None
    )
    with pytest.raises(MessageRefused, match=r"logout\.no_endpoint"):
        role.request(Participant(peer, NAMED, ()), "_l9", NOW)


@PEERS
def test_a_peer_without_keys_is_not_asked(parties: Parties, peer: LogoutPeer) -> None:
    """Without keys, its answer could not be verified."""
    endpoint = LogoutEndpoint("redirect", ASKED_AT, TOLD_AT)
    assert facing(parties, endpoint).can_reach(peer, NOW)
    assert not facing(parties, endpoint, keys=()).can_reach(peer, NOW)
