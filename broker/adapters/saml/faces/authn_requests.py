"""Reads a service's AuthnRequest once its sender is sure: what is asked, and whether it can be answered at all.

Sources: saml-core 3.4.1, saml-profiles 4.1.4.1, attacks.md rows 24 to 27, saml_profiles.md rows
24-28, 35-37, 40, 42.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from lxml import etree

from broker.adapters.saml.faces.received_response import saml, text
from broker.adapters.saml.gate import xml_times
from broker.adapters.saml.gate.xml_names import POST, SAMLP
from broker.adapters.saml.metadata.role_descriptors import ServiceDescriptor
from broker.core.entities import PERSISTENT, TRANSIENT, UNSPECIFIED
from broker.core.errors import (
    INVALID_NAME_ID_POLICY,
    NO_AUTHN_CONTEXT,
    PROXY_COUNT_EXCEEDED,
    REQUEST_DENIED,
    REQUEST_UNSUPPORTED,
    MessageRefused,
    RequestRefused,
    Status,
)
from broker.core.login.transaction import SKEW, AuthnRequest

# A person may leave the service's page with its form standing for a while; a bookmark of it is too
# old.
FRESH: Final = timedelta(minutes=5)
# More than that is no federation but a loop.
_MOST_HOPS: Final = 10
_MOST_DIGITS: Final = 6
_MOST_LISTED: Final = 50
_LONGEST_NAME: Final = 256  # SDP-G02
_TRUE: Final = frozenset(("true", "1"))
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_FORMATS: Final = frozenset((PERSISTENT, TRANSIENT, UNSPECIFIED))


def _p(*path: str) -> str:
    return "/".join(f"{{{SAMLP}}}{name}" for name in path)


@dataclass(frozen=True)
class ReceivedAuthnRequest:
    """An AuthnRequest whose sender is known and whose signatures hold, and what it is held against."""

    root: etree._Element
    service: str
    descriptor: ServiceDescriptor
    signed: bool
    sso: str
    own: frozenset[str]  # our entityIDs
    now: datetime

    @property
    def issued(self) -> datetime:
        """Give when it was made."""
        return xml_times.read(self.root.get("IssueInstant", "")) or _NEVER

    def flag(self, name: str) -> bool:
        """Give a truth value; services write 1, true, 0 and false (interop.md)."""
        return self.root.get(name, "").strip() in _TRUE

    def texts(self, *path: str) -> tuple[str, ...]:
        """Give the texts of the elements at a path."""
        return tuple(text(each) for each in self.root.iterfind(_p(*path)))


def _unsigned(question: ReceivedAuthnRequest) -> bool:
    """Refuse a request without signature where the service signs: somebody took it off (row 24)."""
    return question.descriptor.signs_requests and not question.signed


def _version(question: ReceivedAuthnRequest) -> bool:
    """Refuse another version of SAML, whose rules are others."""
    return question.root.get("Version") != "2.0"


def _destination(question: ReceivedAuthnRequest) -> bool:
    """Refuse a request made for another identity provider; a signed one must say for whom (bindings 3.4.5.2)."""
    destination = question.root.get("Destination")
    return question.signed if destination is None else destination != question.sso


def _zone(question: ReceivedAuthnRequest) -> bool:
    """Refuse a time without Z."""
    return not xml_times.marked(question.root.get("IssueInstant", ""))


def _issued_later(question: ReceivedAuthnRequest) -> bool:
    """Refuse a request from the future."""
    return question.issued > question.now + SKEW


def _issued_long_ago(question: ReceivedAuthnRequest) -> bool:
    """Refuse a request that lay somewhere: a bookmark, or one kept to be used on somebody (row 26)."""
    return question.issued <= question.now - FRESH - SKEW


def _acs_twice(question: ReceivedAuthnRequest) -> bool:
    """Refuse an ACS by index and by URL at once: they exclude each other (core 3.4.1)."""
    return {"AssertionConsumerServiceURL", "AssertionConsumerServiceIndex"} <= set(
        question.root.attrib
    )


def _acs(question: ReceivedAuthnRequest) -> bool:
    """Refuse an ACS that is not in the service's metadata, to the letter (row 25)."""
    return acs(question) is None


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


def acs(question: ReceivedAuthnRequest) -> str | None:
    """Give the registered ACS that a request names by URL or index, or the default; None where it is not registered."""
    url = question.root.get("AssertionConsumerServiceURL")
    index = question.root.get("AssertionConsumerServiceIndex")
    registered = question.descriptor.acs
    if url is not None:
        return next((each.location for each in registered if each.location == url), None)
    if index is not None:
        return next(
            (each.location for each in registered if str(each.index) == index.strip()), None
        )
    return question.descriptor.default_acs.location


def _binding(question: ReceivedAuthnRequest) -> Status | None:
    """Answer by POST only."""
    return None if question.root.get("ProtocolBinding", POST) == POST else REQUEST_UNSUPPORTED


def _subject(question: ReceivedAuthnRequest) -> Status | None:
    """Promise no particular person: the request would have to be answered with just that one (core 3.4.1)."""
    return None if question.root.find(saml("Subject")) is None else REQUEST_UNSUPPORTED


def _name_id(question: ReceivedAuthnRequest) -> Status | None:
    """Give pairwise and transient identifiers only, and none that belongs to a group of services (row 26)."""
    policy = question.root.find(_p("NameIDPolicy"))
    if policy is None:
        return None
    known = policy.get("Format", UNSPECIFIED) in _FORMATS
    own = (
        policy.get("SPNameQualifier", question.descriptor.entity_id)
        == question.descriptor.entity_id
    )
    return None if known and own else INVALID_NAME_ID_POLICY


def _declarations(question: ReceivedAuthnRequest) -> Status | None:
    """Know authentication by class only."""
    path = f"{_p('RequestedAuthnContext')}/{saml('AuthnContextDeclRef')}"
    return None if question.root.find(path) is None else NO_AUTHN_CONTEXT


def _proxies(question: ReceivedAuthnRequest) -> Status | None:
    """Obey a ProxyCount of nought: we cannot authenticate anybody ourselves (row 35)."""
    hops = len(question.texts("Scoping", "RequesterID"))
    return PROXY_COUNT_EXCEEDED if _proxy_count(question) == 0 or hops > _MOST_HOPS else None


def _loop(question: ReceivedAuthnRequest) -> Status | None:
    """Refuse a request that has come through ourselves (row 42)."""
    return (
        None
        if question.own.isdisjoint(question.texts("Scoping", "RequesterID"))
        else REQUEST_DENIED
    )


def _sizes(question: ReceivedAuthnRequest) -> Status | None:
    """Keep little: a transaction is stored for anybody who writes a request, and the store is not theirs to fill."""
    listed = [
        each.get("ProviderID", "")
        for each in question.root.iterfind(_p("Scoping", "IDPList", "IDPEntry"))
    ]
    wanted = [text(each) for each in question.root.iterfind(f"{_p('RequestedAuthnContext')}/*")]
    names = [
        question.root.get("ID", ""),
        *listed,
        *wanted,
        *question.texts("Scoping", "RequesterID"),
    ]
    many = len(listed) > _MOST_LISTED or len(wanted) > _MOST_LISTED
    return REQUEST_UNSUPPORTED if many or any(len(each) > _LONGEST_NAME for each in names) else None


LIMITS: Final[dict[str, Callable[[ReceivedAuthnRequest], Status | None]]] = {
    "binding": _binding,
    "sizes": _sizes,
    "subject": _subject,
    "name_id": _name_id,
    "declarations": _declarations,
    "proxies": _proxies,
    "loop": _loop,
}


def read(question: ReceivedAuthnRequest, relay_state: str | None) -> AuthnRequest:
    """Give the request in the core's words.

    ``MessageRefused`` ``request.<check>`` of REQUEST_CHECKS: nobody may be answered.
    ``RequestRefused`` of LIMITS, with the request in it: the service is told at its ACS.
    """
    for name, offends in REQUEST_CHECKS.items():
        if offends(question):
            ahead = (
                round((question.issued - question.now).total_seconds())
                if name == "issued_later"
                else None
            )
            raise MessageRefused(f"request.{name}", clock_off=ahead)
    request = _request(question, relay_state)
    for name, limit in LIMITS.items():
        if status := limit(question):
            raise RequestRefused(status, f"request.{name}", request=request)
    return request


def _request(question: ReceivedAuthnRequest, relay_state: str | None) -> AuthnRequest:
    policy = question.root.find(_p("NameIDPolicy"))
    authn_contexts = question.root.find(_p("RequestedAuthnContext"))
    wanted = None if policy is None else policy.get("Format")
    refs = () if authn_contexts is None else authn_contexts.iterfind(saml("AuthnContextClassRef"))
    return AuthnRequest(
        id=question.root.get("ID", ""),
        service=question.service,
        entity_id=question.descriptor.entity_id,
        acs=acs(question) or question.descriptor.default_acs.location,
        relay_state=relay_state,
        force_authn=question.flag("ForceAuthn"),
        is_passive=question.flag("IsPassive"),
        name_id_format=None if wanted == UNSPECIFIED else wanted,
        authn_contexts=tuple(text(each) for each in refs),
        comparison="exact" if authn_contexts is None else authn_contexts.get("Comparison", "exact"),
        idp_list=tuple(
            each.get("ProviderID", "")
            for each in question.root.iterfind(_p("Scoping", "IDPList", "IDPEntry"))
        ),
        requester_ids=question.texts("Scoping", "RequesterID"),
        proxy_count=_proxy_count(question),
    )


def _proxy_count(question: ReceivedAuthnRequest) -> int | None:
    """Give the ProxyCount; the schema bounds it below only, so that its digits may be any number."""
    scoping = question.root.find(_p("Scoping"))
    written = None if scoping is None else scoping.get("ProxyCount")
    if written is None:
        return None
    digits = written.strip("+- ").lstrip("0") or "0"
    return int(digits[:_MOST_DIGITS])
