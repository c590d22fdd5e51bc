"""Our SP role toward the upstreams: sends AuthnRequests and verifies Responses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from lxml import etree
from saml2 import saml, samlp

from broker.adapters.saml.messages.addresses import acs_url
from broker.adapters.saml.messages.message_checks import apply_checks
from broker.adapters.saml.messages.message_values import read_form
from broker.adapters.saml.metadata.metadata_folder import Source
from broker.adapters.saml.sp import authn_request_writer
from broker.adapters.saml.sp.assertion_checks import ASSERTION_CHECKS
from broker.adapters.saml.sp.authentications import make_authentication
from broker.adapters.saml.sp.received_response import ReceivedAssertion, ReceivedResponse
from broker.adapters.saml.sp.response_checks import RESPONSE_CHECKS
from broker.adapters.saml.xml_security import (
    encryption,
    http_bindings,
    message_model,
    safe_parser,
    signature,
    written_message,
    xml_times,
)
from broker.adapters.saml.xml_security.xml_names import (
    ASSERTION,
    ENCRYPTED_ASSERTION,
    RESPONSE,
    SIGNATURE,
)
from broker.core.entities import Upstream
from broker.core.errors import (
    AUTHN_FAILED,
    NO_AVAILABLE_IDP,
    MessageRefused,
    RequestRefused,
    Status,
)
from broker.core.login.transaction import AuthnRequest, Outstanding, UpstreamRefusal
from broker.core.saml_ports import PostForm, Received

_STATUS: Final = "urn:oasis:names:tc:SAML:2.0:status:"
_TOPS: Final = frozenset(
    (_STATUS + "Requester", _STATUS + "Responder", _STATUS + "VersionMismatch")
)


@dataclass(frozen=True, slots=True, repr=False)
class ServiceProvider:
    """Our SP role. ``own`` contains the entityIDs of all our roles."""

    base_url: str
    key: signature.SigningKey
    decryption: encryption.DecryptionKeys
    metadata: Source
    upstreams: Mapping[str, Upstream]
    own: frozenset[str]

    def ask(
        self, upstream: str, request_id: str, request: AuthnRequest, now: datetime
    ) -> str | PostForm:
        """Return the URL or form with our signed AuthnRequest, as the service's request demands.

        An upstream without SingleSignOnService for HTTP-Redirect gets a form. There is no
        RelayState: ``request_id`` finds the transaction of the answer. ``RequestRefused`` if the
        service's IDPList leaves no institution, its ProxyCount no proxy, or the upstream has no
        valid metadata. Sources: saml-core 3.4.1, docs/reference/saml-profiles.md#12 to #15 and
        #35 to #37.
        """
        metadata = self.metadata.current
        asked = metadata.complete(self.upstreams[upstream])
        descriptor = metadata.upstream(asked.entity_id, now)
        if descriptor is None:
            raise RequestRefused(
                NO_AVAILABLE_IDP, f"no metadata of {upstream} is in force", request=request
            )
        message = authn_request_writer.write_authn_request(
            asked,
            request,
            request_id=request_id,
            destination=descriptor.sso,
            acs=acs_url(self.base_url, upstream),
            now=now,
        )
        root = written_message.tree(message)
        return http_bindings.build_signed(
            root,
            "SAMLRequest",
            descriptor.sso,
            self.key,
            descriptor.signing_algorithms,
            by_post=descriptor.sso_by_post,
        )

    def error_url(
        self, upstream: str, code: str, reference: str, names: str, now: datetime
    ) -> str | None:
        """Return the upstream's help page with its placeholders replaced; None if it has none.

        Source: docs/reference/saml-profiles.md#50.
        """
        configured = self.upstreams[upstream]
        descriptor = self.metadata.current.upstream(configured.entity_id, now)
        if descriptor is None or descriptor.error_url is None:
            return None
        values = {"CODE": code, "RP": configured.sp_entity_id, "TID": reference, "CTX": names}
        return fill_error_url(descriptor.error_url, {**values, "TS": str(int(now.timestamp()))})

    def parse_response(
        self, upstream: str, fields: Sequence[tuple[str, str]]
    ) -> tuple[object, str]:
        """Parse the Response and return it with the id of the request that it answers.

        Its signature is not verified yet. ``MessageRefused``: ``response.unknown_upstream``,
        ``response.fields``, ``response.unsolicited``, ``xml.*``.
        """
        if upstream not in self.upstreams:
            raise MessageRefused("response.unknown_upstream")
        form = read_form(fields, ("SAMLResponse",), "response.fields")
        xml = http_bindings.decode_post(form["SAMLResponse"])
        root = safe_parser.parse(xml, RESPONSE)
        answered = root.get("InResponseTo")
        if not answered:
            raise MessageRefused("response.unsolicited")
        return root, answered

    def receive(
        self,
        upstream: str,
        message: Any,
        expected: Outstanding,
        *,
        force_authn: bool,
        now: datetime,
        idp_list: tuple[str, ...] = (),
    ) -> Received:
        """Verify a Response with this upstream's keys, and apply every check of both tables.

        ``message`` is the result of ``parse_response``. ``idp_list`` is the list of the service's
        request: other institutions are refused. ``MessageRefused`` names the check that
        failed. An error status is an UpstreamRefusal, signed or not: some upstreams sign none
        (docs/reference/interop.md#status).
        """
        asked, keys = self._find_upstream(upstream, now)
        root: etree._Element = message
        is_signed = root.find(SIGNATURE) is not None
        if is_signed:
            envelope = message_model.read_signed(samlp.Response, root, keys)
        else:
            envelope = message_model.read_unsigned(samlp.Response, root)
        response = ReceivedResponse(
            message=envelope,
            address=acs_url(self.base_url, upstream),
            signed=is_signed,
            now=now,
            upstream=asked,
            expected=expected,
            has_plain_assertion=root.find(ASSERTION) is not None,
            has_encrypted_assertion=root.find(ENCRYPTED_ASSERTION) is not None,
        )
        apply_checks("response", RESPONSE_CHECKS, response)
        if not response.is_success:
            return _upstream_refusal(response)
        # AES-CBC is safe only inside a signed Response (docs/reference/attacks.md#23)
        element = self._find_assertion(
            root, allow_cbc=asked.encryption == "cbc" and response.signed
        )
        assertion = _verify_assertion(element, keys, response)
        received = ReceivedAssertion(
            message=assertion,
            address=response.address,
            signed=True,
            now=now,
            upstream=asked,
            expected=expected,
            own=self.own,
            force_authn=force_authn or asked.force_authn,
            idp_list=idp_list,
        )
        apply_checks("response", ASSERTION_CHECKS, received)
        found = make_authentication(received)
        return Received(found, str(assertion.id), found.assertion_until, _dump_decrypted(element))

    def _find_upstream(
        self, upstream: str, now: datetime
    ) -> tuple[Upstream, tuple[signature.VerifyKey, ...]]:
        """Return the upstream, and the keys that may sign its answer."""
        metadata = self.metadata.current
        asked = metadata.complete(self.upstreams[upstream])
        descriptor = metadata.upstream(asked.entity_id, now)
        if descriptor is None:  # it expired, or the federation withdrew it
            raise MessageRefused("response.no_metadata")
        return asked, descriptor.keys

    def _find_assertion(self, root: etree._Element, *, allow_cbc: bool) -> etree._Element:
        """Return the only assertion, decrypted if necessary; XML security refuses a second one."""
        plain = root.find(ASSERTION)
        if plain is not None:
            return plain
        encrypted = root.find(ENCRYPTED_ASSERTION)
        if encrypted is None:
            raise MessageRefused("response.assertion_missing")
        return encryption.decrypt(encrypted, self.decryption, allow_cbc=allow_cbc)


def fill_error_url(template: str, values: Mapping[str, str]) -> str:
    """Return an upstream's errorURL with its placeholders replaced by escaped values.

    Source: REFEDS "SAML Metadata errorURL Attribute" 1.0. CTX holds names of attributes only.
    """
    for part, value in values.items():
        template = template.replace(f"ERRORURL_{part}", quote(value, safe=""))
    return template


def _upstream_refusal(response: ReceivedResponse) -> Received:
    """Return an error status, and until when a replay of its Response must be refused."""
    issued = xml_times.read(response.message.issue_instant) or response.now
    until = issued + response.traits.fresh + response.traits.replay_margin
    refusal = UpstreamRefusal(response.upstream.name, _map_status(response.codes))
    return Received(refusal, str(response.message.id or ""), until)


def _dump_decrypted(assertion: etree._Element) -> bytes:
    """Return the octets of an assertion that was encrypted, else no octets."""
    if assertion.getparent() is not None:
        return b""
    return etree.tostring(assertion)


def _verify_assertion(
    element: etree._Element, keys: tuple[signature.VerifyKey, ...], response: ReceivedResponse
) -> saml.Assertion:
    """Return the Assertion, read from the octets that its signature or the Response's covers.

    NemLog-in must sign the Assertion itself (docs/reference/nemlog-in.md#response).
    """
    if element.find(SIGNATURE) is not None:
        return message_model.read_signed(saml.Assertion, element, keys)
    if not response.signed or response.traits.strict:
        raise MessageRefused("response.unsigned")
    for assertion in response.message.assertion:
        return assertion
    return message_model.read_unsigned(saml.Assertion, element)  # the Response covers it, encrypted


def _map_status(codes: tuple[str, ...]) -> Status:
    """Return an upstream's status in standard codes.

    Some upstreams write the second-level code first, or codes of their own.
    """
    top, *rest = codes  # the schema demands one
    if top not in _TOPS:
        rest = [top]
        top = AUTHN_FAILED.top
    second = rest[0] if rest else ""
    if not second.startswith(_STATUS) or second in _TOPS:
        return Status(top)
    return Status(top, second)
