"""Our service provider face, toward the upstreams: asks by a signed AuthnRequest, and verifies the answer in full."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lxml import etree
from saml2 import saml, samlp

from broker.adapters.saml.faces import error_urls
from broker.adapters.saml.faces.assertion_checks import ASSERTION_CHECKS
from broker.adapters.saml.faces.authentications import authentication
from broker.adapters.saml.faces.received_response import (
    ReceivedAssertion,
    ReceivedResponse,
    moment,
    refuse,
    scoped,
)
from broker.adapters.saml.faces.response_checks import RESPONSE_CHECKS
from broker.adapters.saml.faces.upstream_profiles import traits_of
from broker.adapters.saml.gate import encryption, http_bindings, safe_parser, signature, xml_times
from broker.adapters.saml.gate.xml_names import (
    ASSERTION,
    ENCRYPTED_ASSERTION,
    POST,
    RESPONSE,
    SIGNATURE,
)
from broker.adapters.saml.keys.key_ring import FaceKeys
from broker.adapters.saml.metadata.metadata_folder import Source
from broker.core.entities import Upstream
from broker.core.errors import (
    AUTHN_FAILED,
    NO_AUTHN_CONTEXT,
    NO_AVAILABLE_IDP,
    NO_SUPPORTED_IDP,
    PROXY_COUNT_EXCEEDED,
    MessageRefused,
    RequestRefused,
    Status,
)
from broker.core.login.authn_context import classes_to_request, level_to_request, nsis
from broker.core.login.transaction import AuthnRequest, Outstanding, UpstreamRefusal
from broker.core.ports import Received

PERSON: Final = "https://data.gov.dk/eid/Person"
_STATUS: Final = "urn:oasis:names:tc:SAML:2.0:status:"
_TOPS: Final = frozenset(_STATUS + each for each in ("Requester", "Responder", "VersionMismatch"))


def acs(base_url: str, upstream: str) -> str:
    """Give our ACS toward one upstream, under which it answers and nobody else."""
    return f"{base_url}/saml/sp/{upstream}/acs"


@dataclass(frozen=True, slots=True, repr=False)
class ServiceProviderFace:
    """The face over one key ring and the metadata of the moment; ``own`` holds the entityIDs of all our faces."""

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
        keys: FaceKeys,
        metadata: Source,
        *,
        upstreams: Mapping[str, Upstream],
        idp_entity_id: str,
    ) -> "ServiceProviderFace":
        """Load the face's keys; ``idp_entity_id`` is our other face's, by which a loop is known."""
        return cls(
            base_url=base_url,
            key=signature.SigningKey.of(keys.signing.private, keys.signing.certificate),
            decryption=encryption.DecryptionKeys.of(each.private for each in keys.decryption),
            metadata=metadata,
            upstreams=upstreams,
            own=frozenset((idp_entity_id, *(each.sp_entity_id for each in upstreams.values()))),
        )

    def ask(self, upstream: str, request_id: str, request: AuthnRequest, now: datetime) -> str:
        """Give the URL that carries our signed AuthnRequest, with what the service asked carried through.

        No RelayState: the answer finds its transaction by ``request_id``. ``RequestRefused`` where
        the service's IDPList leaves no institution, its ProxyCount no proxy, or the upstream has no
        metadata in force. Sources: saml-core 3.4.1, saml_profiles.md rows 12-15 and 35-37.
        """
        peers = self.metadata.current
        party = peers.party(self.upstreams[upstream])
        descriptor = peers.upstream(party.entity_id, now)
        if descriptor is None:
            raise RequestRefused(
                NO_AVAILABLE_IDP, f"no metadata of {upstream} is in force", request=request
            )
        sso = descriptor.sso
        message = samlp.AuthnRequest(
            id=request_id,
            version="2.0",
            issue_instant=xml_times.write(now),
            destination=sso,
            assertion_consumer_service_url=acs(self.base_url, upstream),
            protocol_binding=POST,
            issuer=saml.Issuer(text=party.sp_entity_id),
            name_id_policy=samlp.NameIDPolicy(allow_create="true"),
            force_authn="true" if request.force_authn or party.force_authn else None,
            is_passive="true" if request.is_passive else None,
            requested_authn_context=_authn_context(party, request),
            scoping=_scoping(party, request),
        )
        return http_bindings.redirect_url(
            sso, "SAMLRequest", message.to_string(), None, self.key, by=descriptor.signing.method
        )

    def error_url(
        self, upstream: str, code: str, reference: str, names: str, now: datetime
    ) -> str | None:
        """Give the page where an upstream helps its own, filled in; None where its metadata names none (row 50)."""
        party = self.upstreams[upstream]
        found = self.metadata.current.upstream(party.entity_id, now)
        if found is None or found.error_url is None:
            return None
        given = {"CODE": code, "RP": party.sp_entity_id, "TID": reference, "CTX": names}
        return error_urls.filled_error_url(found.error_url, given, now)

    def in_response_to(
        self, upstream: str, fields: Sequence[tuple[str, str]]
    ) -> tuple[object, str]:
        """Give the Response, past the gate, and the request that it says it answers; nothing of it is trusted yet.

        ``MessageRefused``: ``response.unknown_upstream``, ``response.fields``,
        ``response.unsolicited``, or the gate's.
        """
        if upstream not in self.upstreams:
            raise MessageRefused("response.unknown_upstream")
        names = [name for name, _ in fields]
        if names.count("SAMLResponse") != 1 or len(set(names)) != len(names):
            raise MessageRefused(
                "response.fields"
            )  # which of two is looked up and which is read would differ
        root = safe_parser.parse(http_bindings.decode_post(dict(fields)["SAMLResponse"]), RESPONSE)
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
        """Verify a Response in full: gate, signatures by this upstream's keys only, then every check of both tables.

        ``idp_list`` is the service's own (an answer by an institution it left out is refused).
        ``MessageRefused`` names the check that failed. An error status is an UpstreamRefusal,
        signed or not: some sign none (interop.md).
        """
        peers = self.metadata.current
        party = peers.party(self.upstreams[upstream])
        descriptor = peers.upstream(party.entity_id, now)
        if descriptor is None:
            raise MessageRefused(
                "response.no_metadata"
            )  # it ran out, or its federation took it back
        keys = descriptor.keys
        # An element is one that ``in_response_to`` let through the gate: parsed once, read from the
        # same tree.
        root = _opened(message)
        whole = root.find(SIGNATURE) is not None
        if whole:
            signature.verify(root, keys)
        answer = ReceivedResponse(root, party, acs(self.base_url, upstream), expected, now)
        refuse(RESPONSE_CHECKS, answer)
        if not answer.succeeded:
            until = (
                (moment(root, "IssueInstant") or now) + answer.manner.fresh + answer.manner.longer
            )
            return Received(
                UpstreamRefusal(upstream, _refusal(answer.codes)), root.get("ID", ""), until
            )
        assertion = self._assertion(root, party)
        _verify(assertion, keys, party, covered=whole)
        claim = ReceivedAssertion(
            assertion, answer, self.own, force_authn or party.force_authn, idp_list
        )
        refuse(ASSERTION_CHECKS, claim)
        found = authentication(claim)
        opened = b"" if assertion.getparent() is not None else etree.tostring(assertion)
        return Received(found, assertion.get("ID", ""), found.assertion_until, opened)

    def _assertion(self, root: etree._Element, party: Upstream) -> etree._Element:
        plain, sealed = root.find(ASSERTION), root.find(ENCRYPTED_ASSERTION)
        if plain is not None:
            return plain
        if sealed is None:
            raise MessageRefused("response.assertion_missing")
        return encryption.decrypt(sealed, self.decryption, allow_cbc=party.cbc)


def _opened(message: object) -> etree._Element:
    if isinstance(message, bytes):
        return safe_parser.parse(message, RESPONSE)
    if not etree.iselement(message):
        raise MessageRefused("response.fields")
    return message


def _verify(
    assertion: etree._Element,
    keys: tuple[signature.VerifyKey, ...],
    party: Upstream,
    *,
    covered: bool,
) -> None:
    """Demand a signature over the very element that will be read; NemLog-in signs the Assertion itself (nemid.md)."""
    if assertion.find(SIGNATURE) is not None:
        signature.verify(assertion, keys)
    elif not covered or traits_of(party).strict:
        raise MessageRefused("response.unsigned")


def _authn_context(party: Upstream, request: AuthnRequest) -> samlp.RequestedAuthnContext | None:
    """Carry the classes asked for through; one that knows NSIS levels is asked for a level and a person (nemid.md)."""
    if traits_of(party).nsis:
        least = level_to_request(request, party.least, party.meets)
        if least is None:
            raise RequestRefused(NO_AUTHN_CONTEXT, request=request)
        refs = [saml.AuthnContextClassRef(text=each) for each in (nsis(least), PERSON)]
        return samlp.RequestedAuthnContext(authn_context_class_ref=refs, comparison="minimum")
    if not request.authn_contexts:
        return None
    refs = [
        saml.AuthnContextClassRef(text=each) for each in classes_to_request(request, party.meets)
    ]
    return samlp.RequestedAuthnContext(authn_context_class_ref=refs, comparison=request.comparison)


def _scoping(party: Upstream, request: AuthnRequest) -> samlp.Scoping | None:
    """Name the institutions, ourselves one proxy fewer, and the chain of services that asked, the nearest last."""
    if request.proxy_count == 0:
        raise RequestRefused(PROXY_COUNT_EXCEEDED, request=request)
    institutions = scoped(party, request.idp_list)
    if not institutions:
        raise RequestRefused(NO_SUPPORTED_IDP, request=request)
    hub = traits_of(party).hub
    if traits_of(party).nsis and not party.requester_id:
        return None  # whom we ask for is no matter of the national eID's (saml_profiles.md row 36)
    scoping = samlp.Scoping()
    if hub:
        scoping.idp_list = samlp.IDPList(
            idp_entry=[samlp.IDPEntry(provider_id=each) for each in institutions]
        )
    # A sign-up is an errand of our own: no service asked.
    chain = (
        (*request.requester_ids, request.entity_id)
        if party.requester_id and request.entity_id
        else ()
    )
    if chain:
        scoping.requester_id = [samlp.RequesterID(text=each) for each in chain]
    if request.proxy_count is not None:
        scoping.proxy_count = str(request.proxy_count - 1)
    empty = not (hub or chain or request.proxy_count is not None)
    return None if empty else scoping


def _refusal(codes: tuple[str, ...]) -> Status:
    """Give an upstream's status as SAML has it: some put the detail first, and text of their own is not passed on."""
    top, *rest = codes  # the schema demands one
    if top not in _TOPS:
        top, rest = AUTHN_FAILED.top, [top]
    second = rest[0] if rest and rest[0].startswith(_STATUS) and rest[0] not in _TOPS else None
    return Status(top, second)
