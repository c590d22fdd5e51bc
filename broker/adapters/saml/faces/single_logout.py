"""Our single logout service toward services and upstreams: every message signed, by the one whose session it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lxml import etree

from broker.adapters.saml.faces import logout_messages
from broker.adapters.saml.faces.logout_messages import ReceivedLogoutMessage
from broker.adapters.saml.faces.received_response import ENTITY_FORMAT, text
from broker.adapters.saml.faces.upstream_profiles import traits_of
from broker.adapters.saml.gate import encryption, http_bindings, safe_parser, signature
from broker.adapters.saml.gate.xml_names import ISSUER, LOGOUT_REQUEST, LOGOUT_RESPONSE, SIGNATURE
from broker.adapters.saml.keys.key_ring import FaceKeys, KeyRing
from broker.adapters.saml.metadata.metadata_folder import Source
from broker.adapters.saml.metadata.role_descriptors import ServiceDescriptor, UpstreamDescriptor
from broker.core.entities import Service, Upstream
from broker.core.errors import MessageRefused, Status
from broker.core.login.transaction import SKEW
from broker.core.logout.single_logout import LogoutPeer, LogoutRequest, LogoutResponse, Participant
from broker.core.ports import PostForm

# A real one has two kilobytes, and an encrypted NameID four.
BOUNDS: Final = safe_parser.Bounds(octets=32 * 1024, nodes=1_000, attributes=1_000, namespaces=100)
_ROOTS: Final[Mapping[http_bindings.MessageField, str]] = {
    "SAMLRequest": LOGOUT_REQUEST,
    "SAMLResponse": LOGOUT_RESPONSE,
}


def service_side(base_url: str) -> str:
    """Give our address for the services' logout messages, for both bindings."""
    return f"{base_url}/saml/idp/slo"


def upstream_side(base_url: str, upstream: str) -> str:
    """Give our address for one upstream's logout messages, for both bindings."""
    return f"{base_url}/saml/sp/{upstream}/slo"


@dataclass(frozen=True, slots=True, repr=False)
class _Own:
    """What we are on one side: entityID and keys."""

    entity_id: str
    key: signature.SigningKey
    decryption: encryption.DecryptionKeys


def _own(entity_id: str, keys: FaceKeys) -> _Own:
    signing = signature.SigningKey.of(keys.signing.private, keys.signing.certificate)
    return _Own(
        entity_id, signing, encryption.DecryptionKeys.of(each.private for each in keys.decryption)
    )


@dataclass(frozen=True, slots=True, repr=False)
class SingleLogout:
    """The face over both key sets and the metadata of the moment; ``upstream`` None means the services' side."""

    base_url: str
    idp: _Own
    sps: Mapping[str, _Own]
    metadata: Source
    services: Mapping[str, Service]
    upstreams: Mapping[str, Upstream]

    @classmethod
    def of(
        cls,
        base_url: str,
        idp_entity_id: str,
        ring: KeyRing,
        metadata: Source,
        *,
        services: Mapping[str, Service],
        upstreams: Mapping[str, Upstream],
    ) -> "SingleLogout":
        """Load the keys of both faces; services and upstreams are named as in broker.toml."""
        sps = {name: _own(each.sp_entity_id, ring.sp) for name, each in upstreams.items()}
        return cls(base_url, _own(idp_entity_id, ring.idp), sps, metadata, services, upstreams)

    def read_redirect(
        self, upstream: str | None, query: str, now: datetime
    ) -> LogoutRequest | LogoutResponse:
        """Verify a message by HTTP-Redirect, from the query string exactly as it came.

        ``MessageRefused``: ``gate.*``, ``logout.unsigned``, ``logout.unknown_peer`` and the checks
        of ``logout_messages``. The signature is the query's, always: one within the message is not
        looked at, and does not stand in for it (saml-bindings 3.4.4.1, attacks.md row 29).
        """
        kind: http_bindings.MessageField = (
            "SAMLResponse" if "&SAMLResponse=" in f"&{query}" else "SAMLRequest"
        )
        message = http_bindings.inflate_redirect(query, kind, BOUNDS.octets)
        root = safe_parser.parse(message.xml, _ROOTS[kind], BOUNDS)
        peer = self._peer(upstream, root)
        if message.signed is None:
            raise MessageRefused("logout.unsigned")
        signed = message.signed
        signature.verify_bytes(
            signed.octets, signed.signature, signed.sigalg, self._descriptor(peer, now).keys
        )
        return self._read(kind, root, peer, message.relay_state, now)

    def read_post(
        self, upstream: str | None, fields: Sequence[tuple[str, str]], now: datetime
    ) -> LogoutRequest | LogoutResponse:
        """Verify a message by HTTP-POST, from the form's pairs; errors as ``read_redirect``, and ``logout.fields``."""
        names = [name for name, _ in fields]
        kinds: list[http_bindings.MessageField] = [each for each in _ROOTS if each in names]
        if len(kinds) != 1 or len(set(names)) != len(names):
            raise MessageRefused(
                "logout.fields"
            )  # which of two is verified and which is read would differ
        form, kind = dict(fields), kinds[0]
        state = http_bindings.relay_state_of(form["RelayState"]) if "RelayState" in form else None
        root = safe_parser.parse(
            http_bindings.decode_post(form[kind], longest=BOUNDS.octets), _ROOTS[kind], BOUNDS
        )
        peer = self._peer(upstream, root)
        if root.find(SIGNATURE) is None:
            raise MessageRefused("logout.unsigned")
        signature.verify(root, self._descriptor(peer, now).keys)
        return self._read(kind, root, peer, state, now)

    def request(self, participant: Participant, request_id: str, now: datetime) -> str | PostForm:
        """Give the URL or the form that takes our signed LogoutRequest to a participant that is reached."""
        descriptor = self._descriptor(participant.peer, now)
        endpoint = descriptor.logout
        if endpoint is None:
            raise MessageRefused("logout.no_endpoint")  # metadata has lost it since
        own = self._side(participant.peer)
        made = logout_messages.request(
            own.entity_id, endpoint.location, participant, request_id, now
        )
        return _leaving(made, "SAMLRequest", endpoint.location, own.key, descriptor)

    def respond(
        self, request: LogoutRequest, response_id: str, status: Status, now: datetime
    ) -> str | PostForm | None:
        """Give the URL or the form that takes our signed LogoutResponse to the one place that is the asker's own.

        None where its metadata names none. RelayState goes back verbatim, and nowhere else.
        """
        descriptor = self._descriptor(request.peer, now)
        endpoint = descriptor.logout
        if endpoint is None:
            return None
        own, to = self._side(request.peer), endpoint.response
        made = logout_messages.response(
            own.entity_id, to, request.id, response_id, status=status, now=now
        )
        return _leaving(
            made, "SAMLResponse", to, own.key, descriptor, relay_state=request.relay_state
        )

    def reaches(self, peer: LogoutPeer, now: datetime) -> bool:
        """Say whether a peer has an endpoint, and keys by which its answer could be believed."""
        try:
            found = self._descriptor(peer, now)
        except MessageRefused:
            return False
        return found.logout is not None and bool(found.keys)

    def _peer(self, upstream: str | None, root: etree._Element) -> LogoutPeer:
        """Find who says to have sent it: at an upstream's address that upstream and nobody else (cross-IdP)."""
        issuer = root.find(ISSUER)
        if issuer is None or issuer.get("Format", ENTITY_FORMAT) != ENTITY_FORMAT:
            raise MessageRefused("logout.unknown_peer")
        name = text(issuer)
        if upstream is None:
            found = next(
                (each.name for each in self.services.values() if each.entity_id == name), None
            )
            if found:
                return LogoutPeer("service", found)
        elif upstream in self.upstreams and self.upstreams[upstream].entity_id == name:
            return LogoutPeer("upstream", upstream)
        raise MessageRefused("logout.unknown_peer")

    def _read(
        self,
        kind: http_bindings.MessageField,
        root: etree._Element,
        peer: LogoutPeer,
        relay_state: str | None,
        now: datetime,
    ) -> LogoutRequest | LogoutResponse:
        up = peer.side == "upstream"
        address = upstream_side(self.base_url, peer.name) if up else service_side(self.base_url)
        logging = ReceivedLogoutMessage(
            root, address, now, traits_of(self.upstreams[peer.name]).skew if up else SKEW
        )
        if kind == "SAMLResponse":
            return logout_messages.read_response(logging, peer)
        cbc = up and self.upstreams[peer.name].cbc
        return logout_messages.read_request(
            logging, peer, relay_state, self._side(peer).decryption, cbc=cbc
        )

    def _side(self, peer: LogoutPeer) -> _Own:
        return self.idp if peer.side == "service" else self.sps[peer.name]

    def _descriptor(
        self, peer: LogoutPeer, now: datetime
    ) -> ServiceDescriptor | UpstreamDescriptor:
        current = self.metadata.current
        found: ServiceDescriptor | UpstreamDescriptor | None = None
        if peer.side == "service" and peer.name in self.services:
            found = current.service(self.services[peer.name].entity_id, now)
        elif peer.side == "upstream" and peer.name in self.upstreams:
            found = current.upstream(self.upstreams[peer.name].entity_id, now)
        if found is None:  # its metadata has run out, or it stands in broker.toml no more
            raise MessageRefused("logout.unknown_peer")
        return found


def _leaving(
    root: etree._Element,
    kind: http_bindings.MessageField,
    to: str,
    key: signature.SigningKey,
    descriptor: ServiceDescriptor | UpstreamDescriptor,
    *,
    relay_state: str | None = None,
) -> str | PostForm:
    if descriptor.logout and descriptor.logout.binding == "redirect":
        return http_bindings.redirect_url(
            to,
            kind,
            etree.tostring(root, encoding="utf-8"),
            relay_state,
            key,
            by=descriptor.signing.method,
        )
    signature.sign(root, key, descriptor.signing)
    return PostForm(
        to, http_bindings.post_fields(etree.tostring(root, encoding="utf-8"), kind, relay_state)
    )
