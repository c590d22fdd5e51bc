"""Reads a service's AuthnRequest once its sender is verified, and decides whether to answer it.

Sources: saml-core 3.4.1, saml-profiles 4.1.4.1, docs/reference/attacks.md#24 to #27,
docs/reference/saml-profiles.md#24 to #28, #35 to #37, #40, #42.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

from saml2 import samlp

from broker.adapters.saml.idp import subject_hints
from broker.adapters.saml.messages import refusal_details
from broker.adapters.saml.messages.message_values import read_issue_time, read_text
from broker.adapters.saml.metadata.role_descriptors import ServiceDescriptor
from broker.adapters.saml.xml_security import http_bindings, xml_times
from broker.adapters.saml.xml_security.xml_names import POST
from broker.core.entities import EMAIL, PERSISTENT, TRANSIENT, UNSPECIFIED
from broker.core.errors import (
    INVALID_NAME_ID_POLICY,
    NO_AUTHN_CONTEXT,
    PROXY_COUNT_EXCEEDED,
    REQUEST_DENIED,
    REQUEST_UNSUPPORTED,
    UNSUPPORTED_BINDING,
    MessageRefused,
    RequestRefused,
    Status,
)
from broker.core.login.transaction import SKEW, AuthnRequest

# A person may leave the service's page open with its form for a while; a bookmark of it is too old.
FRESH: Final = timedelta(minutes=5)
# More than that is no federation but a loop.
_MOST_HOPS: Final = 10
_MOST_DIGITS: Final = 6
_MOST_LISTED: Final = 50
_LONGEST_NAME: Final = 256  # SDP-G02
_TRUE: Final = frozenset(("true", "1"))
_FORMATS: Final = frozenset((EMAIL, PERSISTENT, TRANSIENT, UNSPECIFIED))


@dataclass(frozen=True)
class ReceivedAuthnRequest:
    """An AuthnRequest with a known sender and verified signatures, and what it is held against."""

    message: samlp.AuthnRequest
    service: str
    descriptor: ServiceDescriptor
    signed: bool
    sso: str
    own: frozenset[str]  # our entityIDs
    now: datetime
    relay_state: str | None = None

    @cached_property
    def issued(self) -> datetime:
        """Return when it was made."""
        return read_issue_time(self.message)

    @cached_property
    def scoping(self) -> samlp.Scoping:
        """Return the Scoping, or an empty one where the request has none."""
        return self.message.scoping or samlp.Scoping()

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Return the authentication classes that the service asks for."""
        return tuple(read_text(each) for each in self.requested.authn_context_class_ref)

    @cached_property
    def requested(self) -> samlp.RequestedAuthnContext:
        """Return the RequestedAuthnContext, or an empty one where the request has none."""
        return self.message.requested_authn_context or samlp.RequestedAuthnContext()

    @cached_property
    def name_id_policy(self) -> samlp.NameIDPolicy:
        """Return the NameIDPolicy, or an empty one where the request has none."""
        return self.message.name_id_policy or samlp.NameIDPolicy()

    @cached_property
    def idp_list(self) -> tuple[str, ...]:
        """Return the entityIDs of the identity providers that the service lists."""
        if self.scoping.idp_list is None:
            return ()
        return tuple(str(entry.provider_id or "") for entry in self.scoping.idp_list.idp_entry)

    @cached_property
    def requester_ids(self) -> tuple[str, ...]:
        """Return the chain of those who asked before the service."""
        return tuple(read_text(requester) for requester in self.scoping.requester_id)

    @cached_property
    def proxy_count(self) -> int | None:
        """Return the ProxyCount; the schema bounds it below only, so it may have many digits."""
        if self.scoping.proxy_count is None:
            return None
        digits = str(self.scoping.proxy_count).strip("+- ").lstrip("0") or "0"
        return int(digits[:_MOST_DIGITS])


def _unsigned(received: ReceivedAuthnRequest) -> bool:
    """Refuse a request without signature where the service signs: somebody took it off.

    Source: docs/reference/attacks.md#24.
    """
    return received.descriptor.signs_requests and not received.signed


def _version(received: ReceivedAuthnRequest) -> bool:
    """Refuse another version of SAML, whose rules are others."""
    return bool(received.message.version != "2.0")


def _destination(received: ReceivedAuthnRequest) -> bool:
    """Refuse a request made for another identity provider.

    A signed one must have a Destination (bindings 3.4.5.2).
    """
    destination = received.message.destination
    if destination is None:
        return received.signed
    return bool(destination != received.sso)


def _zone(received: ReceivedAuthnRequest) -> bool:
    """Refuse a time without Z."""
    return not xml_times.marked(received.message.issue_instant or "")


def _issued_later(received: ReceivedAuthnRequest) -> bool:
    """Refuse a request from the future."""
    return received.issued > received.now + SKEW


def _issued_long_ago(received: ReceivedAuthnRequest) -> bool:
    """Refuse a request that lay somewhere: a bookmark, or one kept to attack with.

    Source: docs/reference/attacks.md#26.
    """
    return received.issued <= received.now - FRESH - SKEW


def _acs_twice(received: ReceivedAuthnRequest) -> bool:
    """Refuse an ACS by index and by URL at once: they exclude each other (core 3.4.1)."""
    by_url = received.message.assertion_consumer_service_url is not None
    by_index = received.message.assertion_consumer_service_index is not None
    return by_url and by_index


def _acs(received: ReceivedAuthnRequest) -> bool:
    """Refuse an ACS that is not in the service's metadata, to the letter.

    Source: docs/reference/attacks.md#25.
    """
    return acs(received) is None


REQUEST_CHECKS: Final[dict[str, Callable[[ReceivedAuthnRequest], bool]]] = {
    "unsigned": _unsigned,
    "version": _version,
    "destination": _destination,
    "zone": _zone,
    "issued_later": _issued_later,
    "issued_long_ago": _issued_long_ago,
    "acs_twice": _acs_twice,
    "acs": _acs,
}


def acs(received: ReceivedAuthnRequest) -> str | None:
    """Return the registered ACS that a request names by URL or index, or else the default.

    None where it is not registered.
    """
    url = received.message.assertion_consumer_service_url
    index = received.message.assertion_consumer_service_index
    registered = received.descriptor.acs
    if url is not None:
        named = [endpoint for endpoint in registered if endpoint.location == url]
    elif index is not None:
        named = [endpoint for endpoint in registered if str(endpoint.index) == index.strip()]
    else:
        named = [received.descriptor.default_acs]
    return named[0].location if named else None


def _binding(received: ReceivedAuthnRequest) -> Status | None:
    """Answer by POST only."""
    if (received.message.protocol_binding or POST) != POST:
        return UNSUPPORTED_BINDING
    return None


def _relay_state(received: ReceivedAuthnRequest) -> Status | None:
    """Keep no RelayState beyond the bound: it is stored with the transaction."""
    state = received.relay_state
    if state is not None and not http_bindings.keepable(state):
        return REQUEST_UNSUPPORTED
    return None


def _subject(received: ReceivedAuthnRequest) -> Status | None:
    """Promise no particular person: only that person could answer the request (core 3.4.1)."""
    if subject_hints.demands_person(received.message):
        return REQUEST_UNSUPPORTED
    return None


def _name_id(received: ReceivedAuthnRequest) -> Status | None:
    """Issue pairwise and transient identifiers only, none of a group of services.

    Source: docs/reference/attacks.md#26.
    """
    policy = received.name_id_policy
    if policy.format not in {None, *_FORMATS}:
        return INVALID_NAME_ID_POLICY
    if policy.sp_name_qualifier not in {None, received.descriptor.entity_id}:
        return INVALID_NAME_ID_POLICY
    return None


def _declarations(received: ReceivedAuthnRequest) -> Status | None:
    """Know authentication by class only."""
    if received.requested.authn_context_decl_ref:
        return NO_AUTHN_CONTEXT
    return None


def _proxies(received: ReceivedAuthnRequest) -> Status | None:
    """Obey a ProxyCount of nought: we cannot authenticate anybody ourselves.

    Source: docs/reference/saml-profiles.md#35.
    """
    if received.proxy_count == 0 or len(received.requester_ids) > _MOST_HOPS:
        return PROXY_COUNT_EXCEEDED
    return None


def _loop(received: ReceivedAuthnRequest) -> Status | None:
    """Refuse a request that has come through ourselves (docs/reference/saml-profiles.md#42)."""
    if not received.own.isdisjoint(received.requester_ids):
        return REQUEST_DENIED
    return None


def _sizes(received: ReceivedAuthnRequest) -> Status | None:
    """Keep little: a transaction is stored for anybody who writes a request.

    The store is not theirs to fill.
    """
    listed = received.idp_list
    declared = [read_text(each) for each in received.requested.authn_context_decl_ref]
    classes = [*received.classes, *declared]
    if len(listed) > _MOST_LISTED or len(classes) > _MOST_LISTED:
        return REQUEST_UNSUPPORTED
    names = (received.message.id or "", *listed, *classes, *received.requester_ids)
    if any(len(name) > _LONGEST_NAME for name in names):
        return REQUEST_UNSUPPORTED
    return None


LIMITS: Final[dict[str, Callable[[ReceivedAuthnRequest], Status | None]]] = {
    "binding": _binding,
    "relay_state": _relay_state,
    "sizes": _sizes,
    "subject": _subject,
    "name_id": _name_id,
    "declarations": _declarations,
    "proxies": _proxies,
    "loop": _loop,
}


# What the log says beside the name, where the name alone leaves an administrator searching.
_DETAILS: Final[dict[str, Callable[[ReceivedAuthnRequest], str]]] = {
    "destination": lambda received: refusal_details.destination(
        received.message.destination, received.sso
    ),
    "zone": lambda received: refusal_details.zone([received.message.issue_instant or ""]),
    "binding": lambda received: refusal_details.binding(received.message.protocol_binding or ""),
    "relay_state": lambda _: f"RelayState has more than {http_bindings.LONGEST_RELAY_STATE} octets",
    "subject": lambda _: "a Subject that is more than a hint names somebody whom none can promise",
}


def _detail(name: str, received: ReceivedAuthnRequest) -> str:
    explain = _DETAILS.get(name)
    return explain(received) if explain else ""


def read(received: ReceivedAuthnRequest) -> AuthnRequest:
    """Return the request in the core's words.

    ``MessageRefused`` ``request.<check>`` of REQUEST_CHECKS: there is no address to answer to.
    ``RequestRefused`` of LIMITS, with the request in it: the service is answered at its ACS.
    """
    for name, offends in REQUEST_CHECKS.items():
        if offends(received):
            detail = _detail(name, received)
            clock_off = _clock_off(name, received)
            raise MessageRefused(f"request.{name}", detail, clock_off=clock_off)
    request = _request(received)
    for name, limit in LIMITS.items():
        status = limit(received)
        if status:
            detail = _detail(name, received)
            raise RequestRefused(status, f"request.{name}", detail=detail, request=request)
    return request


def _clock_off(check: str, received: ReceivedAuthnRequest) -> int | None:
    """Return by how many seconds the service's clock is ahead, where that is why it is refused."""
    if check != "issued_later":
        return None
    return round((received.issued - received.now).total_seconds())


def _request(received: ReceivedAuthnRequest) -> AuthnRequest:
    state = received.relay_state
    if state is not None and not http_bindings.keepable(state):
        state = None
    return AuthnRequest(
        id=str(received.message.id or ""),
        service=received.service,
        entity_id=received.descriptor.entity_id,
        acs=acs(received) or received.descriptor.default_acs.location,
        relay_state=state,
        force_authn=_is_true(received.message.force_authn),
        is_passive=_is_true(received.message.is_passive),
        name_id_format=_name_id_format(received),
        authn_contexts=received.classes,
        comparison=str(received.requested.comparison or "exact"),
        idp_list=received.idp_list,
        requester_ids=received.requester_ids,
        proxy_count=received.proxy_count,
        subject_hint=subject_hints.read(received.message),
    )


def _name_id_format(received: ReceivedAuthnRequest) -> str | None:
    """Return the NameID format asked for; None where any will do."""
    wanted = received.name_id_policy.format
    if wanted in {None, UNSPECIFIED}:
        return None
    return str(wanted)


def _is_true(written: str | None) -> bool:
    """Return a truth value; services write 1, true, 0 and false.

    Source: docs/reference/interop.md#booleans.
    """
    return (written or "").strip() in _TRUE
