"""Our single logout service toward services and upstreams: every message is signed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from saml2 import saml, samlp

from broker.adapters.saml.keys.key_ring import KeyRing, RoleKeys
from broker.adapters.saml.logout import logout_messages
from broker.adapters.saml.logout.logout_messages import ReceivedLogoutMessage
from broker.adapters.saml.messages.addresses import idp_logout_url, sp_logout_url
from broker.adapters.saml.messages.message_checks import BOUNDS
from broker.adapters.saml.messages.message_values import read_form, read_issuer
from broker.adapters.saml.messages.upstream_profiles import ProfileTraits, traits_of
from broker.adapters.saml.metadata.metadata_folder import Source
from broker.adapters.saml.metadata.role_descriptors import PeerDescriptor
from broker.adapters.saml.xml_security import (
    encryption,
    http_bindings,
    message_reading,
    safe_parser,
    signature,
)
from broker.adapters.saml.xml_security.xml_names import (
    ENCRYPTED_ID,
    LOGOUT_REQUEST,
    LOGOUT_RESPONSE,
    NAME_ID,
    SIGNATURE,
)
from broker.core.entities import Service, Upstream
from broker.core.errors import MessageRefused, Status
from broker.core.logout.logout_state import LogoutPeer, LogoutRequest, LogoutResponse, Participant
from broker.core.saml_ports import PostForm

_ROOTS: Final[Mapping[http_bindings.MessageField, str]] = {
    "SAMLRequest": LOGOUT_REQUEST,
    "SAMLResponse": LOGOUT_RESPONSE,
}
_KINDS: Final[Mapping[http_bindings.MessageField, Any]] = {
    "SAMLRequest": samlp.LogoutRequest,
    "SAMLResponse": samlp.LogoutResponse,
}


@dataclass(frozen=True, slots=True, repr=False)
class LogoutService:
    """Our single logout service, toward services and upstreams by their name in broker.toml.

    ``upstream`` None means the endpoint for services.
    """

    base_url: str
    idp_entity_id: str
    ring: KeyRing
    metadata: Source
    services: Mapping[str, Service]
    upstreams: Mapping[str, Upstream]

    def read_redirect(
        self, upstream: str | None, query: str, now: datetime
    ) -> LogoutRequest | LogoutResponse:
        """Verify a message by HTTP-Redirect, from the query string exactly as it came.

        Raises MessageRefused with ``xml.*``, ``logout.unsigned``, ``logout.unknown_peer`` or a
        check of ``logout_messages``. Only the signature of the query counts; a signature inside the
        message does not replace it (saml-bindings 3.4.4.1, docs/reference/attacks.md#29).
        """
        kind: http_bindings.MessageField = "SAMLRequest"
        if "&SAMLResponse=" in f"&{query}":
            kind = "SAMLResponse"
        carried = http_bindings.read_redirect(query, kind, BOUNDS.octets)
        return self._read(upstream, kind, carried, now, posted=False)

    def read_post(
        self, upstream: str | None, fields: Sequence[tuple[str, str]], now: datetime
    ) -> LogoutRequest | LogoutResponse:
        """Verify a message by HTTP-POST, from the form's name-value pairs.

        Raises the errors of ``read_redirect``, and MessageRefused with ``logout.fields``.
        """
        form = read_form(fields, _ROOTS, "logout.fields")
        (kind,) = (each for each in _ROOTS if each in form)
        carried = http_bindings.read_post(form, kind, BOUNDS.octets)
        return self._read(upstream, kind, carried, now, posted=True)

    def request(self, participant: Participant, request_id: str, now: datetime) -> str | PostForm:
        """Return the URL or the form with our signed LogoutRequest to a participant.

        Raises MessageRefused if the participant has no endpoint or no valid metadata.
        """
        descriptor = self._find_descriptor(participant.peer, now)
        endpoint = descriptor.logout
        if endpoint is None:
            raise MessageRefused("logout.no_endpoint")  # its metadata has changed
        issuer, keys = self._own_role(participant.peer)
        message = logout_messages.write_request(
            issuer, endpoint.location, participant, request_id, now
        )
        return http_bindings.build_signed_message(
            message,
            "SAMLRequest",
            endpoint.location,
            keys.load_signing_key(),
            descriptor.signing_algorithms,
            as_post=endpoint.binding == "post",
        )

    def respond(
        self, request: LogoutRequest, response_id: str, status: Status, now: datetime
    ) -> str | PostForm | None:
        """Return the URL or the form with our signed LogoutResponse to the sender.

        It goes to the address in the sender's metadata, with the RelayState of the request. None if
        the metadata has no address.
        """
        descriptor = self._find_descriptor(request.peer, now)
        endpoint = descriptor.logout
        if endpoint is None:
            return None
        issuer, keys = self._own_role(request.peer)
        message = logout_messages.write_response(
            issuer, endpoint.response, request.id, response_id, status=status, now=now
        )
        return http_bindings.build_signed_message(
            message,
            "SAMLResponse",
            endpoint.response,
            keys.load_signing_key(),
            descriptor.signing_algorithms,
            as_post=endpoint.binding == "post",
            relay_state=request.relay_state,
        )

    def can_reach(self, peer: LogoutPeer, now: datetime) -> bool:
        """Return whether a peer has a logout endpoint, and keys to verify its answer."""
        try:
            descriptor = self._find_descriptor(peer, now)
        except MessageRefused:
            return False
        return descriptor.logout is not None and bool(descriptor.keys)

    def _find_peer(self, upstream: str | None, issuer: saml.Issuer | None) -> LogoutPeer:
        """Return the peer that the Issuer names.

        At an upstream's URL only that upstream is accepted.
        """
        entity_id = read_issuer(issuer)
        if upstream is None:
            for service in self.services.values():
                if service.entity_id == entity_id:
                    return LogoutPeer("service", service.name)
        elif upstream in self.upstreams and self.upstreams[upstream].entity_id == entity_id:
            return LogoutPeer("upstream", upstream)
        raise MessageRefused("logout.unknown_peer")

    def _read(
        self,
        upstream: str | None,
        kind: http_bindings.MessageField,
        carried: http_bindings.CarriedMessage,
        now: datetime,
        *,
        posted: bool,
    ) -> LogoutRequest | LogoutResponse:
        root = safe_parser.parse(carried.xml, _ROOTS[kind], BOUNDS)
        message = message_reading.read_unsigned(_KINDS[kind], root)
        peer = self._find_peer(upstream, message.issuer)
        query = carried.signed
        if query is None and (not posted or root.find(SIGNATURE) is None):
            raise MessageRefused("logout.unsigned")
        keys = self._find_descriptor(peer, now).keys
        if query:
            signature.verify_bytes(query.octets, query.signature, query.sigalg, keys)
        else:
            message = message_reading.read_signed(_KINDS[kind], root, keys)
        address = idp_logout_url(self.base_url)
        traits = ProfileTraits()
        cbc = False
        if peer.side == "upstream":
            configured = self.upstreams[peer.name]
            address = sp_logout_url(self.base_url, peer.name)
            traits = traits_of(configured)
            cbc = configured.encryption == "cbc"
        received = ReceivedLogoutMessage(message, address, signed=True, now=now, traits=traits)
        if isinstance(message, samlp.LogoutResponse):
            return logout_messages.read_response(received, peer)

        def decrypt_name_id() -> saml.NameID:
            (identifier,) = root.iterchildren(ENCRYPTED_ID)
            own_keys = self._own_role(peer)[1].load_decryption_keys()
            opened = encryption.decrypt(identifier, own_keys, allow_cbc=cbc, within=NAME_ID)
            return message_reading.read_unsigned(saml.NameID, opened)

        return logout_messages.read_request(received, peer, carried.relay_state, decrypt_name_id)

    def _own_role(self, peer: LogoutPeer) -> tuple[str, RoleKeys]:
        """Return our entityID and keys toward the peer."""
        if peer.side == "service":
            return self.idp_entity_id, self.ring.idp
        return self.upstreams[peer.name].sp_entity_id, self.ring.sp

    def _find_descriptor(self, peer: LogoutPeer, now: datetime) -> PeerDescriptor:
        current = self.metadata.current
        descriptor: PeerDescriptor | None = None
        if peer.side == "service" and peer.name in self.services:
            descriptor = current.service(self.services[peer.name].entity_id, now)
        elif peer.side == "upstream" and peer.name in self.upstreams:
            descriptor = current.upstream(self.upstreams[peer.name].entity_id, now)
        if descriptor is None:  # its metadata has expired, or broker.toml does not list it any more
            raise MessageRefused("logout.unknown_peer")
        return descriptor
