"""Writes our AuthnRequests to upstreams with pysaml2's classes, unsigned."""

from datetime import datetime
from typing import Final

from saml2 import saml, samlp

from broker.adapters.saml.messages.upstream_profiles import traits_of
from broker.adapters.saml.sp.received_response import list_scoped_institutions
from broker.adapters.saml.xml_security import xml_times
from broker.adapters.saml.xml_security.xml_names import POST
from broker.core.entities import Upstream
from broker.core.errors import (
    NO_AUTHN_CONTEXT,
    NO_SUPPORTED_IDP,
    PROXY_COUNT_EXCEEDED,
    RequestRefused,
)
from broker.core.login.authn_context import (
    classes_to_request,
    describe_unmet,
    level_to_request,
    nsis_class,
)
from broker.core.login.transaction import AuthnRequest

PERSON: Final = "https://data.gov.dk/eid/Person"


def write_authn_request(
    upstream: Upstream,
    request: AuthnRequest,
    *,
    request_id: str,
    destination: str,
    acs: str,
    now: datetime,
) -> samlp.AuthnRequest:
    """Return our AuthnRequest to ``upstream``, as the service's ``request`` demands.

    Raises RequestRefused if the service's IDPList contains no institution of the upstream, if its
    ProxyCount is 0, or if it asks for a level that the upstream cannot give. Sources: saml-core
    3.4.1, docs/reference/saml-profiles.md#12 to #15 and #35 to #37.
    """
    return samlp.AuthnRequest(
        id=request_id,
        version="2.0",
        issue_instant=xml_times.write(now),
        destination=destination,
        assertion_consumer_service_url=acs,
        protocol_binding=POST,
        issuer=saml.Issuer(text=upstream.sp_entity_id),
        subject=_subject(upstream, request),
        name_id_policy=samlp.NameIDPolicy(allow_create="true"),
        force_authn=_optional_flag(wanted=request.force_authn or upstream.force_authn),
        is_passive=_optional_flag(wanted=request.is_passive),
        requested_authn_context=_authn_context(upstream, request),
        scoping=_scoping(upstream, request),
    )


def _subject(upstream: Upstream, request: AuthnRequest) -> saml.Subject | None:
    hint = request.subject_hint
    if hint is None or not upstream.subject_hint:  # the upstream might refuse a Subject
        return None
    return saml.Subject(name_id=saml.NameID(text=hint.name, format=hint.format))


def _optional_flag(*, wanted: bool) -> str | None:
    """Write a flag; leave out a false one."""
    return "true" if wanted else None


def _authn_context(upstream: Upstream, request: AuthnRequest) -> samlp.RequestedAuthnContext | None:
    """Return the AuthnContext classes that the service asks for.

    An upstream that knows NSIS levels is upstream for a level and for the class of persons
    (docs/reference/nemlog-in.md#request).
    """
    classes: tuple[str, ...]
    comparison = request.comparison
    if traits_of(upstream).nsis:
        least = level_to_request(request, upstream.least, upstream.meets)
        if least is None:
            detail = describe_unmet(
                request, f"{nsis_class(upstream.least)} or higher", upstream.name
            )
            raise RequestRefused(NO_AUTHN_CONTEXT, detail=detail, request=request)
        classes = (nsis_class(least), PERSON)
        comparison = "minimum"
    elif request.authn_contexts:
        classes = tuple(classes_to_request(request, upstream.meets))
    else:
        return None
    return samlp.RequestedAuthnContext(
        authn_context_class_ref=[saml.AuthnContextClassRef(text=name) for name in classes],
        comparison=comparison,
    )


def _scoping(upstream: Upstream, request: AuthnRequest) -> samlp.Scoping | None:
    """Return the Scoping: institutions, ProxyCount less one, and chain of requesting services.

    The service of this login is the last of the chain. An upstream with NSIS levels gets no Scoping
    unless ``requester_id`` is configured (docs/reference/saml-profiles.md#36).
    """
    if request.proxy_count == 0:
        raise RequestRefused(PROXY_COUNT_EXCEEDED, request=request)
    institutions = list_scoped_institutions(upstream, request.idp_list)
    if not institutions:
        raise RequestRefused(NO_SUPPORTED_IDP, request=request)
    traits = traits_of(upstream)
    if traits.nsis and not upstream.requester_id:
        return None
    entries = []
    if traits.hub:
        entries = [samlp.IDPEntry(provider_id=name) for name in institutions]
    requesters = _requesters(upstream, request)
    if not entries and not requesters and request.proxy_count is None:
        return None
    return samlp.Scoping(
        idp_list=samlp.IDPList(idp_entry=entries) if entries else None,
        requester_id=requesters,
        proxy_count=None if request.proxy_count is None else str(request.proxy_count - 1),
    )


def _requesters(upstream: Upstream, request: AuthnRequest) -> list[samlp.RequesterID]:
    """Return the chain of requesting services; empty for a sign-up, which no service requests."""
    if not upstream.requester_id or not request.entity_id:
        return []
    chain = (*request.requester_ids, request.entity_id)
    return [samlp.RequesterID(text=name) for name in chain]
