"""Writes our AuthnRequests as canonical text: by pysaml2 once a kind, then filled in."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from lxml import etree
from saml2 import saml, samlp

from broker.adapters.saml.gate import canonical_text, written_message
from broker.adapters.saml.gate.signed_text import Signable
from broker.adapters.saml.gate.xml_names import POST
from broker.core.login.transaction import SubjectHint

# A value's place in a kind, by its number. The characters are for private use: no name of the
# standards holds one, and values are put in when the places are found already.
_PLACE: Final = "\ue000{}\ue001"
_PLACES: Final = re.compile("\ue000([0-9]+)\ue001")
# Kinds differ in flags and in the lengths of lists, of which a service chooses some.
_MOST_KINDS: Final = 128
_END_OF_ISSUER: Final = "</saml:Issuer>"


@dataclass(frozen=True, slots=True)
class RequestedClasses:
    """The RequestedAuthnContext: the classes asked for, and how they are compared."""

    classes: tuple[str, ...]
    comparison: str


@dataclass(frozen=True, slots=True)
class Scoping:
    """Who may answer, who asked before, and how many proxies may follow."""

    institutions: tuple[str, ...] = ()
    requesters: tuple[str, ...] = ()
    proxy_count: str | None = None


_UNSCOPED: Final = Scoping()


@dataclass(frozen=True, slots=True)
class RequestText:
    """All that goes into one AuthnRequest; every text in it may be of somebody else."""

    id: str
    issued: str
    destination: str
    acs: str
    issuer: str
    subject: SubjectHint | None = None
    force_authn: bool = False
    is_passive: bool = False
    requested: RequestedClasses | None = None
    scoping: Scoping = _UNSCOPED

    def signable(self) -> Signable:
        """Return the request in exclusive canonical form, cut where a signature stands.

        ``BrokerError`` for a character that XML cannot hold.
        """
        places = _Places()
        kind = _written(places.kind(self))
        filled = "".join(part.filled(places.values) for part in kind.parts) + kind.end
        # The first is the request's own: "<" is escaped in every value.
        before, end, after = filled.partition(_END_OF_ISSUER)
        return Signable(self.id, before + end, after)


def message(of: RequestText) -> samlp.AuthnRequest:
    """Return the request as pysaml2's classes have it.

    Sources: saml-core 3.4.1, docs/reference/saml-profiles.md#12 to #14.
    """
    return samlp.AuthnRequest(
        id=of.id,
        version="2.0",
        issue_instant=of.issued,
        destination=of.destination,
        assertion_consumer_service_url=of.acs,
        protocol_binding=POST,
        issuer=saml.Issuer(text=of.issuer),
        subject=_subject(of),
        name_id_policy=samlp.NameIDPolicy(allow_create="true"),
        force_authn=_optional_flag(wanted=of.force_authn),
        is_passive=_optional_flag(wanted=of.is_passive),
        requested_authn_context=_authn_context(of),
        scoping=_scoping(of.scoping),
    )


def _subject(of: RequestText) -> saml.Subject | None:
    if of.subject is None:
        return None
    name_id = saml.NameID(text=of.subject.name, format=of.subject.format)
    return saml.Subject(name_id=name_id)


def _optional_flag(*, wanted: bool) -> str | None:
    """Write a truth value; one that is false is left out."""
    return "true" if wanted else None


def _authn_context(of: RequestText) -> samlp.RequestedAuthnContext | None:
    if of.requested is None:
        return None
    references = [saml.AuthnContextClassRef(text=name) for name in of.requested.classes]
    return samlp.RequestedAuthnContext(
        authn_context_class_ref=references, comparison=of.requested.comparison
    )


def _scoping(of: Scoping) -> samlp.Scoping | None:
    if of == _UNSCOPED:
        return None
    institutions = None
    if of.institutions:
        entries = [samlp.IDPEntry(provider_id=name) for name in of.institutions]
        institutions = samlp.IDPList(idp_entry=entries)
    return samlp.Scoping(
        idp_list=institutions,
        requester_id=[samlp.RequesterID(text=name) for name in of.requesters],
        proxy_count=of.proxy_count,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """Text as it stands in all requests of a kind, and the place of a value behind it."""

    fixed: str
    value: int
    escaped: Callable[[str], str]

    def filled(self, values: list[str]) -> str:
        return self.fixed + self.escaped(values[self.value])


@dataclass(frozen=True, slots=True)
class _Kind:
    """What all requests of a kind have in common, cut at their values."""

    parts: tuple[_Part, ...]
    end: str


@lru_cache(maxsize=_MOST_KINDS)
def _written(kind: RequestText) -> _Kind:
    """Write a kind with pysaml2, in exclusive canonical form, and find the places of its values."""
    root = written_message.tree(message(kind))
    canonical = etree.tostring(root, method="c14n", exclusive=True).decode()
    # Fixed texts and numbers by turns: the last is a fixed one.
    *cut, end = _PLACES.split(canonical)
    parts = []
    for fixed, number in zip(cut[::2], cut[1::2], strict=True):
        escaped = canonical_text.text
        if fixed.endswith('="'):
            escaped = canonical_text.attribute_value
        parts.append(_Part(fixed, int(number), escaped))
    return _Kind(tuple(parts), end)


class _Places:
    """Puts places instead of the values of a request, numbered in the order of ``values``."""

    def __init__(self) -> None:
        self.values: list[str] = []

    def kind(self, of: RequestText) -> RequestText:
        """Return the kind of a request: the same for all that differ in values only."""
        return RequestText(
            id=self._place(of.id),
            issued=self._place(of.issued),
            destination=self._place(of.destination),
            acs=self._place(of.acs),
            issuer=self._place(of.issuer),
            subject=self._subject(of.subject),
            force_authn=of.force_authn,
            is_passive=of.is_passive,
            requested=self._requested(of.requested),
            scoping=self._scoping(of.scoping),
        )

    def _place(self, value: str) -> str:
        number = len(self.values)
        self.values.append(value)
        return _PLACE.format(number)

    def _places(self, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(self._place, values))

    def _subject(self, of: SubjectHint | None) -> SubjectHint | None:
        if of is None:
            return None
        return SubjectHint(self._place(of.name), self._place(of.format))

    def _requested(self, of: RequestedClasses | None) -> RequestedClasses | None:
        if of is None:
            return None
        return RequestedClasses(self._places(of.classes), self._place(of.comparison))

    def _scoping(self, of: Scoping) -> Scoping:
        proxy_count = None
        if of.proxy_count is not None:
            proxy_count = self._place(of.proxy_count)
        return Scoping(
            institutions=self._places(of.institutions),
            requesters=self._places(of.requesters),
            proxy_count=proxy_count,
        )
