"""Our service provider role, toward the upstreams: sends AuthnRequests and verifies Responses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote

from lxml import etree
from saml2 import saml

from broker.adapters.saml.keys.key_ring import RoleKeys
from broker.adapters.saml.messages.addresses import acs_url
from broker.adapters.saml.messages.message_values import read_time
from broker.adapters.saml.metadata.metadata_folder import Source
from broker.adapters.saml.sp import authn_request_writer
from broker.adapters.saml.sp.assertion_checks import check_assertion
from broker.adapters.saml.sp.authentications import authentication
from broker.adapters.saml.sp.received_response import ReceivedAssertion, ReceivedResponse
from broker.adapters.saml.sp.response_checks import check_response
from broker.adapters.saml.xml_security import (
    encryption,
    http_bindings,
    message_model,
    outgoing_message,
    safe_parser,
    signature,
    written_message,
)
from broker.adapters.saml.xml_security.canonical_form import canonical, separate
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
    """The role over one key ring and the metadata of the moment.

    ``own`` holds the entityIDs of all our roles.
    """

    base_url: str
    key: signature.SigningKey
    decryption: encryption.DecryptionKeys
    metadata: Source
    upstreams: Mapping[str, Upstream]
    own: frozenset[str]

    @classmethod
    def of(
        cls,
        base_url: str,
        keys: RoleKeys,
        metadata: Source,
        *,
        upstreams: Mapping[str, Upstream],
        idp_entity_id: str,
    ) -> "ServiceProvider":
        """Load the role's keys; ``idp_entity_id`` is our other role's, by which a loop is known."""
        sp_entity_ids = [upstream.sp_entity_id for upstream in upstreams.values()]
        return cls(
            base_url=base_url,
            key=signature.SigningKey.of(keys.signing.private, keys.signing.certificate),
            decryption=encryption.DecryptionKeys.of(pair.private for pair in keys.decryption),
            metadata=metadata,
            upstreams=upstreams,
            own=frozenset((idp_entity_id, *sp_entity_ids)),
        )

    def ask(
        self, upstream: str, request_id: str, request: AuthnRequest, now: datetime
    ) -> str | PostForm:
        """Return what carries our signed AuthnRequest, as the service's request demands.

        It is a URL, or a form for an upstream that has no SingleSignOnService for HTTP-Redirect.
        No RelayState: the answer finds its transaction by ``request_id``. ``RequestRefused`` where
        the service's IDPList leaves no institution, its ProxyCount no proxy, or the upstream has no
        metadata in force. Sources: saml-core 3.4.1, docs/reference/saml-profiles.md#12 to #15 and
        #35 to #37.
        """
        metadata = self.metadata.current
        asked = metadata.completed(self.upstreams[upstream])
        descriptor = metadata.upstream(asked.entity_id, now)
        if descriptor is None:
            raise RequestRefused(
                NO_AVAILABLE_IDP, f"no metadata of {upstream} is in force", request=request
            )
        message = authn_request_writer.authn_request(
            asked,
            request,
            request_id=request_id,
            destination=descriptor.sso,
            acs=acs_url(self.base_url, upstream),
            now=now,
        )
        root = written_message.tree(message)
        by = descriptor.signing_algorithms
        if descriptor.sso_by_post:
            return outgoing_message.signed_form(root, "SAMLRequest", descriptor.sso, self.key, by)
        return outgoing_message.signed_url(root, "SAMLRequest", descriptor.sso, self.key, by)

    def error_url(
        self, upstream: str, code: str, reference: str, names: str, now: datetime
    ) -> str | None:
        """Return the page where an upstream helps its own people, filled in.

        None where its metadata names none.

        Source: docs/reference/saml-profiles.md#50.
        """
        configured = self.upstreams[upstream]
        descriptor = self.metadata.current.upstream(configured.entity_id, now)
        if descriptor is None or descriptor.error_url is None:
            return None
        values = {"CODE": code, "RP": configured.sp_entity_id, "TID": reference, "CTX": names}
        return fill_error_url(descriptor.error_url, {**values, "TS": str(int(now.timestamp()))})

    def in_response_to(
        self, upstream: str, fields: Sequence[tuple[str, str]]
    ) -> tuple[object, str]:
        """Return the Response, past XML security, and the id of the request that it names.

        Nothing of it is trusted yet. ``MessageRefused``: ``response.unknown_upstream``,
        ``response.fields``, ``response.unsolicited``, or XML security's.
        """
        if upstream not in self.upstreams:
            raise MessageRefused("response.unknown_upstream")
        names = [name for name, _ in fields]
        # Which of two is looked up and which is read would differ.
        if names.count("SAMLResponse") != 1 or len(set(names)) != len(names):
            raise MessageRefused("response.fields")
        xml = http_bindings.decode_post(dict(fields)["SAMLResponse"])
        root = safe_parser.parse(xml, RESPONSE)
        answered = root.get("InResponseTo")
        if not answered:
            raise MessageRefused("response.unsolicited")
        return root, answered

    def receive(
        self,
        upstream: str,
        message: object,
        expected: Outstanding,
        *,
        force_authn: bool,
        now: datetime,
        idp_list: tuple[str, ...] = (),
    ) -> Received:
        """Verify a Response in full, by this upstream's keys only, and every check of both tables.

        ``message`` is what ``in_response_to`` returned, or octets. ``idp_list`` is the service's
        own (an answer by an institution it left out is refused). ``MessageRefused`` names the check
        that failed. An error status is an UpstreamRefusal, signed or not: some sign none
        (docs/reference/interop.md#status).
        """
        asked, keys = self._asked(upstream, now)
        root = _parsed(message)
        signed_octets = None
        if root.find(SIGNATURE) is not None:
            signed_octets = signature.verify(root, keys)
        response = ReceivedResponse.read(
            root, signed_octets, asked, acs_url(self.base_url, upstream), expected=expected, now=now
        )
        check_response(response)
        if not response.succeeded:
            return _upstream_refusal(response)
        # CBC can be changed unnoticed, but not within what is signed (docs/reference/attacks.md#23)
        element = self._assertion(root, allow_cbc=asked.encryption == "cbc" and response.signed)
        assertion = _verified(element, keys, response)
        received = ReceivedAssertion(
            assertion=assertion,
            response=response,
            own=self.own,
            force_authn=force_authn or asked.force_authn,
            idp_list=idp_list,
        )
        check_assertion(received)
        found = authentication(received)
        return Received(found, str(assertion.id), found.assertion_until, _decrypted(element))

    def _asked(
        self, upstream: str, now: datetime
    ) -> tuple[Upstream, tuple[signature.VerifyKey, ...]]:
        """Return the upstream that was asked, and the only keys by which its answer is believed."""
        metadata = self.metadata.current
        asked = metadata.completed(self.upstreams[upstream])
        descriptor = metadata.upstream(asked.entity_id, now)
        if descriptor is None:  # it ran out, or its federation withdrew it
            raise MessageRefused("response.no_metadata")
        return asked, descriptor.keys

    def _assertion(self, root: etree._Element, *, allow_cbc: bool) -> etree._Element:
        """Return the one assertion, decrypted if need be; XML security has refused a second."""
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


def _parsed(message: object) -> etree._Element:
    """Return the root of a message in octets, or of one that ``in_response_to`` has parsed.

    That one passed XML security then: parsed once, it is read from the same tree.
    """
    if isinstance(message, bytes):
        return safe_parser.parse(message, RESPONSE)
    if not etree.iselement(message):
        raise MessageRefused("response.fields")
    return message


def _upstream_refusal(response: ReceivedResponse) -> Received:
    """Return an error status, and until when its Response must be remembered as spent."""
    issued = read_time(response.message.issue_instant) or response.now
    until = issued + response.traits.fresh + response.traits.longer
    refusal = UpstreamRefusal(response.upstream.name, _refusal(response.codes))
    return Received(refusal, str(response.message.id or ""), until)


def _decrypted(assertion: etree._Element) -> bytes:
    """Return the octets of an assertion that came encrypted; none for one in its Response."""
    if assertion.getparent() is not None:
        return b""
    return etree.tostring(assertion)


def _verified(
    element: etree._Element, keys: tuple[signature.VerifyKey, ...], response: ReceivedResponse
) -> saml.Assertion:
    """Return the Assertion, read from the very octets that a signature covers.

    That is its own, or the one of the Response around it. NemLog-in signs the Assertion itself
    (docs/reference/nemlog-in.md#response).
    """
    if element.find(SIGNATURE) is not None:
        octets = signature.verify(element, keys)
    elif response.signed and not response.traits.strict:
        for assertion in response.message.assertion:
            return assertion
        octets = canonical(separate(element))
    else:
        raise MessageRefused("response.unsigned")
    return message_model.read_message(saml.Assertion, element, octets)


def _refusal(codes: tuple[str, ...]) -> Status:
    """Return an upstream's status as SAML has it.

    Some write the detail first, and codes of their own are not passed on.
    """
    top, *rest = codes  # the schema demands one
    if top not in _TOPS:
        rest = [top]
        top = AUTHN_FAILED.top
    second = rest[0] if rest else ""
    if not second.startswith(_STATUS) or second in _TOPS:
        return Status(top)
    return Status(top, second)
