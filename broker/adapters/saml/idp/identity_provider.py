"""Our IdP role toward services: reads AuthnRequests and answers at their ACS."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from lxml import etree
from saml2 import samlp

from broker.adapters.saml.idp import authn_requests, response_writer
from broker.adapters.saml.idp.authn_requests import ReceivedAuthnRequest
from broker.adapters.saml.messages.addresses import sso_url
from broker.adapters.saml.messages.message_checks import BOUNDS
from broker.adapters.saml.messages.message_values import read_form, read_issuer
from broker.adapters.saml.metadata.metadata_folder import Source
from broker.adapters.saml.metadata.role_descriptors import ServiceDescriptor
from broker.adapters.saml.xml_security import (
    encryption,
    http_bindings,
    message_reading,
    safe_parser,
    signature,
    written_message,
)
from broker.adapters.saml.xml_security.xml_names import AUTHN_REQUEST, SIGNATURE
from broker.core.consent.disclosure import Disclosure
from broker.core.entities import Service
from broker.core.errors import (
    INVALID_NAME_ID_POLICY,
    SUCCESS,
    BrokerError,
    MessageRefused,
    RequestRefused,
    ServiceNotConnected,
    Status,
)
from broker.core.identity.canonical_attributes import AttributeMap
from broker.core.login.transaction import Authentication, AuthnRequest, Issued
from broker.core.logout.sessions import NameID
from broker.core.saml_ports import PostForm


@dataclass(frozen=True, slots=True, repr=False)
class IdentityProvider:
    """Our IdP role.

    ``services`` is by entityID. ``own_entity_ids`` are the entityIDs of all our roles.
    """

    base_url: str
    entity_id: str
    key: signature.SigningKey
    metadata: Source
    services: Mapping[str, Service]
    maps: Mapping[str, AttributeMap]
    own_entity_ids: frozenset[str]

    def read_redirect(self, query_string: str, now: datetime) -> AuthnRequest:
        """Verify an AuthnRequest by HTTP-Redirect, from the query string exactly as it came.

        Raises MessageRefused (``xml.*``, ``request.*``) if there is no address to answer to: the
        person sees our error page. Raises RequestRefused if the service must be answered at its
        ACS. Sources: saml-bindings 3.4, saml-core 3.4.1.
        """
        carried = http_bindings.read_redirect(query_string, "SAMLRequest", BOUNDS.octets)
        return self._read(carried, now)

    def read_post(self, fields: Sequence[tuple[str, str]], now: datetime) -> AuthnRequest:
        """Verify an AuthnRequest that came by HTTP-POST, from the form's name-value pairs.

        Raises the errors of ``read_redirect``.
        """
        carried = http_bindings.read_post(
            read_form(fields, ("SAMLRequest",), "request.fields"),
            "SAMLRequest",
            BOUNDS.octets,
            deflated=True,
        )
        return self._read(carried, now)

    def respond(
        self,
        request: AuthnRequest,
        disclosure: Disclosure,
        authentication: Authentication,
        issued: Issued,
    ) -> PostForm:
        """Write the Response with exactly what ``disclosure`` holds.

        The same ``issued`` gives the same Response. Response and Assertion are signed. The
        Assertion is encrypted as broker.toml says, or else if the service publishes a key. Raises
        RequestRefused if the service asked for another NameID format than the policy gives. Raises
        BrokerError if the ACS is no longer registered, if the disclosure is for another service, or
        if the service publishes no key for the configured encryption; also as
        ``response_writer.assertion``.
        """
        service, descriptor = self._find_service(request, issued.at)
        if (disclosure.service, disclosure.acs) != (request.service, request.acs):
            raise BrokerError("what was shown was for another service or ACS")
        if request.name_id_format not in {None, disclosure.name_id_format}:
            raise RequestRefused(
                INVALID_NAME_ID_POLICY, "the policy gives another NameID format", request=request
            )
        contents = response_writer.AssertionContents(
            self.entity_id, request, disclosure, authentication, issued
        )
        certificate = _encryption_certificate(service, descriptor)
        assertion = written_message.tree(
            response_writer.assertion(
                contents, self.maps[service.attribute_map], encrypted=certificate is not None
            )
        )
        signature.sign(assertion, self.key, descriptor.signing_algorithms)
        if certificate is not None:
            algorithms = descriptor.encryption_algorithms
            if service.encryption in {"gcm", "cbc"}:
                algorithms = algorithms.select_mode(service.encryption)
            assertion = encryption.encrypt(assertion, certificate, algorithms)
        response = self._response(request, SUCCESS, issued.response, issued.at)
        response.append(assertion)
        return self._form(response, request, descriptor)

    def subject(self, request: AuthnRequest, disclosure: Disclosure, issued: Issued) -> NameID:
        """Return the NameID of the person in the assertion of ``issued``."""
        return response_writer.subject(self.entity_id, request, disclosure, issued)

    def refuse(
        self, request: AuthnRequest, status: Status, response_id: str, now: datetime
    ) -> PostForm:
        """Write the signed error Response to the request's ACS.

        Raises BrokerError if the ACS is no longer registered.
        """
        _, descriptor = self._find_service(request, now)
        response = self._response(request, status, response_id, now)
        return self._form(response, request, descriptor)

    def _response(
        self, request: AuthnRequest, status: Status, response_id: str, at: datetime
    ) -> etree._Element:
        return written_message.tree(
            response_writer.response(self.entity_id, request, response_id, at, status)
        )

    def _form(
        self, response: etree._Element, request: AuthnRequest, descriptor: ServiceDescriptor
    ) -> PostForm:
        return http_bindings.build_signed_form(
            response,
            "SAMLResponse",
            request.acs,
            self.key,
            descriptor.signing_algorithms,
            relay_state=request.relay_state,
        )

    def _read(self, carried: http_bindings.CarriedMessage, now: datetime) -> AuthnRequest:
        """Find the service that the Issuer names, verify the signatures, and check the request."""
        root = safe_parser.parse(carried.xml, AUTHN_REQUEST, BOUNDS)
        message = message_reading.read_unsigned(samlp.AuthnRequest, root)
        service = self.services.get(read_issuer(message.issuer) or "")
        if service is None:
            raise MessageRefused("request.unknown_service")
        descriptor = self.metadata.current.service(service.entity_id, now)
        if descriptor is None:
            raise ServiceNotConnected(service.name)
        query = carried.signed
        if query:
            signature.verify_bytes(query.octets, query.signature, query.sigalg, descriptor.keys)
        is_signed_inside = root.find(SIGNATURE) is not None
        if is_signed_inside:
            message = message_reading.read_signed(samlp.AuthnRequest, root, descriptor.keys)
        received = ReceivedAuthnRequest(
            message=message,
            service=service.name,
            descriptor=descriptor,
            signed=query is not None or is_signed_inside,
            address=sso_url(self.base_url),
            own_entity_ids=self.own_entity_ids,
            now=now,
            relay_state=carried.relay_state,
        )
        return authn_requests.check_request(received)

    def _find_service(
        self, request: AuthnRequest, now: datetime
    ) -> tuple[Service, ServiceDescriptor]:
        """Find the service again: its metadata may have changed since the request.

        Source: docs/reference/design.md#invariant-3.
        """
        service = self.services.get(request.entity_id)
        if service is None or service.name != request.service:
            raise BrokerError("the service of this request is no longer configured")
        descriptor = self.metadata.current.service(request.entity_id, now)
        if descriptor is None:
            raise BrokerError("the ACS of this request is no longer registered")
        if request.acs not in {endpoint.location for endpoint in descriptor.acs}:
            raise BrokerError("the ACS of this request is no longer registered")
        return service, descriptor


def _encryption_certificate(service: Service, descriptor: ServiceDescriptor) -> bytes | None:
    """Return the certificate to encrypt to; None if the assertion is sent unencrypted."""
    if service.encryption == "none":
        return None
    if service.encryption is not None and descriptor.encryption_certificate is None:
        raise BrokerError("the service publishes no key for the encryption that is configured")
    return descriptor.encryption_certificate
