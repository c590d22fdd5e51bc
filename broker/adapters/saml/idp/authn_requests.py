"""Checks the AuthnRequest of an identified service, and decides whether to answer it.

Each check is a function that returns True if the request must be refused. If a check of
UNANSWERABLE_CHECKS fails, there is no safe address for an answer. If a check of ANSWERED_CHECKS
fails, the service gets an error Response.

Sources: saml-core 3.4.1, saml-profiles 4.1.4.1, docs/reference/attacks.md#24 to #27,
docs/reference/saml-profiles.md#24 to #28, #35 to #37, #40, #42.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from saml2 import samlp

from broker.adapters.saml.idp import subject_hints
from broker.adapters.saml.messages import refusal_details
from broker.adapters.saml.messages.message_checks import (
    MESSAGE_CHECKS,
    ReceivedMessage,
    apply_checks,
)
from broker.adapters.saml.messages.message_values import read_flag, read_text
from broker.adapters.saml.metadata.role_descriptors import ServiceDescriptor
from broker.adapters.saml.xml_security.xml_names import POST
from broker.core.entities import EMAIL, PERSISTENT, TRANSIENT, UNSPECIFIED
from broker.core.errors import (
    INVALID_NAME_ID_POLICY,
    NO_AUTHN_CONTEXT,
    PROXY_COUNT_EXCEEDED,
    REQUEST_DENIED,
    REQUEST_UNSUPPORTED,
    UNSUPPORTED_BINDING,
    RequestRefused,
)
from broker.core.login.transaction import AuthnRequest

# The most RequesterIDs in a request: a longer chain is probably a loop.
_MOST_HOPS: Final = 10
_MOST_DIGITS: Final = 6
_MOST_LISTED: Final = 50
_LONGEST_NAME: Final = 256  # the longest name by SDP-G02 (SAML V2.0 Deployment Profile)
_FORMATS: Final = frozenset((EMAIL, PERSISTENT, TRANSIENT, UNSPECIFIED))


@dataclass(frozen=True)
class ReceivedAuthnRequest(ReceivedMessage):
    """An AuthnRequest of a known sender, and the data that its checks need.

    The signature, if there is one, has been verified.
    """

    message: samlp.AuthnRequest
    service: str
    descriptor: ServiceDescriptor
    own_entity_ids: frozenset[str]  # our entityIDs
    relay_state: str | None = None

    @cached_property
    def scoping(self) -> samlp.Scoping:
        """Return the Scoping, empty if the request has none."""
        return self.message.scoping or samlp.Scoping()

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Return the authentication classes that the service asks for."""
        return tuple(read_text(each) for each in self.authn_context.authn_context_class_ref)

    @cached_property
    def authn_context(self) -> samlp.RequestedAuthnContext:
        """Return the RequestedAuthnContext, empty if the request has none."""
        return self.message.requested_authn_context or samlp.RequestedAuthnContext()

    @cached_property
    def name_id_policy(self) -> samlp.NameIDPolicy:
        """Return the NameIDPolicy, empty if the request has none."""
        return self.message.name_id_policy or samlp.NameIDPolicy()

    @cached_property
    def idp_list(self) -> tuple[str, ...]:
        """Return the entityIDs of the identity providers that the service lists."""
        if self.scoping.idp_list is None:
            return ()
        return tuple(str(entry.provider_id or "") for entry in self.scoping.idp_list.idp_entry)

    @cached_property
    def requester_ids(self) -> tuple[str, ...]:
        """Return the RequesterIDs: the services for which this service acts as a proxy."""
        return tuple(read_text(requester) for requester in self.scoping.requester_id)

    @cached_property
    def proxy_count(self) -> int | None:
        """Return the ProxyCount, cut to six digits: the schema allows any number."""
        if self.scoping.proxy_count is None:
            return None
        # A non-negative integer of the schemas: its only value with a minus sign is -0.
        digits = str(self.scoping.proxy_count).strip("+- ").lstrip("0") or "0"
        return int(digits[:_MOST_DIGITS])


def _lacks_signature(received: ReceivedAuthnRequest) -> bool:
    """Refuse an unsigned request of a service that signs: an attacker may have removed it.

    Source: docs/reference/attacks.md#24.
    """
    return received.descriptor.signs_requests and not received.signed


def _has_two_acs(received: ReceivedAuthnRequest) -> bool:
    """Refuse an ACS by index and by URL: they exclude each other (core 3.4.1)."""
    by_url = received.message.assertion_consumer_service_url is not None
    by_index = received.message.assertion_consumer_service_index is not None
    return by_url and by_index


def _has_unknown_acs(received: ReceivedAuthnRequest) -> bool:
    """Refuse an ACS that is not exactly in the service's metadata.

    Source: docs/reference/attacks.md#25.
    """
    return find_acs(received) is None


UNANSWERABLE_CHECKS: Final[dict[str, Callable[[ReceivedAuthnRequest], bool]]] = {
    "unsigned": _lacks_signature,
    **MESSAGE_CHECKS,
    "acs_twice": _has_two_acs,
    "acs": _has_unknown_acs,
}


def find_acs(received: ReceivedAuthnRequest) -> str | None:
    """Return the registered ACS that a request names by URL or index, else the default ACS.

    None if the named ACS is not registered.
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


def _asks_other_binding(received: ReceivedAuthnRequest) -> bool:
    """Refuse a request for an answer by another binding than HTTP-POST."""
    return (received.message.protocol_binding or POST) != POST


def _demands_person(received: ReceivedAuthnRequest) -> bool:
    """Refuse a demand for a particular person: we cannot guarantee who logs in (core 3.4.1)."""
    return subject_hints.demands_person(received.message)


def _asks_other_name_id(received: ReceivedAuthnRequest) -> bool:
    """Refuse other NameID formats, and an SPNameQualifier that is not the service itself.

    Source: docs/reference/attacks.md#26.
    """
    policy = received.name_id_policy
    if policy.format not in {None, *_FORMATS}:
        return True
    return policy.sp_name_qualifier not in {None, received.descriptor.entity_id}


def _asks_declarations(received: ReceivedAuthnRequest) -> bool:
    """Refuse authentication context declarations: only classes are supported."""
    return bool(received.authn_context.authn_context_decl_ref)


def _allows_no_proxy(received: ReceivedAuthnRequest) -> bool:
    """Refuse a ProxyCount of 0, because we are a proxy, and a chain of too many RequesterIDs.

    Source: docs/reference/saml-profiles.md#35.
    """
    return received.proxy_count == 0 or len(received.requester_ids) > _MOST_HOPS


def _is_loop(received: ReceivedAuthnRequest) -> bool:
    """Refuse a request that went through this broker (docs/reference/saml-profiles.md#42)."""
    return not received.own_entity_ids.isdisjoint(received.requester_ids)


def _is_too_large(received: ReceivedAuthnRequest) -> bool:
    """Refuse long lists and names: they are stored with the transaction of any visitor."""
    listed = received.idp_list
    declared = [read_text(each) for each in received.authn_context.authn_context_decl_ref]
    classes = [*received.classes, *declared]
    if len(listed) > _MOST_LISTED or len(classes) > _MOST_LISTED:
        return True
    names = (received.message.id or "", *listed, *classes, *received.requester_ids)
    return any(len(name) > _LONGEST_NAME for name in names)


ANSWERED_CHECKS: Final[dict[str, Callable[[ReceivedAuthnRequest], bool]]] = {
    "binding": _asks_other_binding,
    "sizes": _is_too_large,
    "subject": _demands_person,
    "name_id": _asks_other_name_id,
    "declarations": _asks_declarations,
    "proxies": _allows_no_proxy,
    "loop": _is_loop,
}
# The status of the error Response; REQUEST_UNSUPPORTED for the other checks.
_STATUSES: Final = {
    "binding": UNSUPPORTED_BINDING,
    "name_id": INVALID_NAME_ID_POLICY,
    "declarations": NO_AUTHN_CONTEXT,
    "proxies": PROXY_COUNT_EXCEEDED,
    "loop": REQUEST_DENIED,
}


# Explanations for the log that help an administrator.
_DETAILS: Final[dict[str, Callable[[ReceivedAuthnRequest], str]]] = {
    "binding": lambda received: refusal_details.explain_binding(
        received.message.protocol_binding or ""
    ),
    "subject": lambda _: (
        "the Subject demands a person, and the broker cannot guarantee who logs in"
    ),
}


def check_request(received: ReceivedAuthnRequest) -> AuthnRequest:
    """Apply all checks and return the content of the request.

    Raises MessageRefused with ``request.<check>`` if a check of UNANSWERABLE_CHECKS fails, and
    RequestRefused with the request if a check of ANSWERED_CHECKS fails.
    """
    apply_checks("request", UNANSWERABLE_CHECKS, received)
    request = _make_request(received)
    for name, is_refused in ANSWERED_CHECKS.items():
        if is_refused(received):
            status = _STATUSES.get(name, REQUEST_UNSUPPORTED)
            explain = _DETAILS.get(name)
            detail = explain(received) if explain else ""
            raise RequestRefused(status, f"request.{name}", detail=detail, request=request)
    return request


def _make_request(received: ReceivedAuthnRequest) -> AuthnRequest:
    return AuthnRequest(
        id=str(received.message.id or ""),
        service=received.service,
        entity_id=received.descriptor.entity_id,
        acs=find_acs(received) or received.descriptor.default_acs.location,
        relay_state=received.relay_state,
        force_authn=read_flag(received.message.force_authn),
        is_passive=read_flag(received.message.is_passive),
        name_id_format=_read_name_id_format(received),
        authn_contexts=received.classes,
        comparison=str(received.authn_context.comparison or "exact"),
        idp_list=received.idp_list,
        requester_ids=received.requester_ids,
        proxy_count=received.proxy_count,
        subject_hint=subject_hints.read_hint(received.message),
    )


def _read_name_id_format(received: ReceivedAuthnRequest) -> str | None:
    """Return the requested NameID format; None if the service accepts any."""
    wanted = received.name_id_policy.format
    if wanted in {None, UNSPECIFIED}:
        return None
    return str(wanted)
