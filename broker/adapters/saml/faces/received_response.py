"""An upstream's Response and the Assertion in it, beside everything they are held against."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final

from lxml import etree

from broker.adapters.saml.faces.upstream_profiles import ProfileTraits, traits_of
from broker.adapters.saml.gate import xml_times
from broker.adapters.saml.gate.xml_names import (
    ASSERTION,
    ENCRYPTED_ASSERTION,
    SAML,
    SAMLP,
    SIGNATURE,
)
from broker.core.entities import Institution, Upstream
from broker.core.login.transaction import Outstanding

SUCCESS: Final = "urn:oasis:names:tc:SAML:2.0:status:Success"
ENTITY_FORMAT: Final = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
_TIMES: Final = frozenset(
    ("IssueInstant", "NotBefore", "NotOnOrAfter", "AuthnInstant", "SessionNotOnOrAfter")
)
_INNER: Final = f"{{{SAMLP}}}StatusCode"
_CODE: Final = f"{{{SAMLP}}}Status/{_INNER}"
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


def saml(*path: str) -> str:
    """Return the path of elements of the assertion namespace."""
    return "/".join(f"{{{SAML}}}{name}" for name in path)


_CONFIRMATION: Final = saml("Subject", "SubjectConfirmation")
_CONFIRMATION_DATA: Final = saml("SubjectConfirmationData")
_SUBJECT: Final = saml("Subject")
_CONDITIONS: Final = saml("Conditions")
_STATEMENT: Final = saml("AuthnStatement")
_AUTHORITY: Final = saml("AuthnContext", "AuthenticatingAuthority")


def text(element: etree._Element | None) -> str:
    """Return all text within an element; the text behind a child belongs to the value too.

    Source: docs/reference/attacks.md#11.
    """
    if element is None:
        return ""
    if not len(element):
        return element.text or ""
    return "".join(str(part) for part in element.itertext())


@dataclass(frozen=True)
class ReceivedResponse:
    """A Response that passed the gate, and everything it is held against.

    The signatures in it have been verified.
    """

    element: etree._Element
    upstream: Upstream
    acs: str
    expected: Outstanding
    now: datetime

    @cached_property
    def traits(self) -> ProfileTraits:
        """Return the traits of the upstream's profile."""
        return traits_of(self.upstream)

    @cached_property
    def skew(self) -> timedelta:
        """Return how far the upstream's clock may differ from ours."""
        return self.traits.skew

    def over(self, end: datetime | None) -> bool:
        """Return whether an end that is written has passed, as far as clocks may differ."""
        return end is not None and end <= self.now - self.skew

    def ahead(self, start: datetime | None) -> bool:
        """Return whether a moment that is written is yet to come, as far as clocks may differ."""
        return start is not None and start > self.now + self.skew

    def issued_later(self, element: etree._Element) -> bool:
        """Return whether an element was issued after now, as far as clocks may differ."""
        return self.ahead(moment(element, "IssueInstant"))

    def issued_long_ago(self, element: etree._Element) -> bool:
        """Return whether an element was issued before we asked, or lay somewhere for long."""
        issued = moment(element, "IssueInstant") or _NEVER
        if issued < self.expected.sent - self.skew:
            return True
        return issued <= self.now - self.traits.fresh - self.skew

    def clock_off(self, element: etree._Element) -> int | None:
        """Return by how many seconds the upstream's clock is off, for the log.

        None where it is by no more than is allowed. A true answer is made after our request and
        before now: an IssueInstant outside that time is another clock's.
        """
        issued = moment(element, "IssueInstant") or self.now
        ahead = max(issued - self.now, timedelta())
        behind = min(issued - self.expected.sent, timedelta())
        off = ahead + behind
        if abs(off) <= self.skew:
            return None
        return round(off.total_seconds())

    @property
    def codes(self) -> tuple[str, ...]:
        """Return the status codes, top first.

        Read where they stand and nowhere else: KeyInfo, which no signature covers, may hold another
        (docs/reference/attacks.md#5).
        """
        written: list[str] = []
        found = self.element.find(_CODE)
        while found is not None:
            written.append(found.get("Value", ""))
            found = found.find(_INNER)
        return tuple(written)

    @property
    def signed(self) -> bool:
        """Return whether the Response itself is signed."""
        return self.element.find(SIGNATURE) is not None

    @property
    def succeeded(self) -> bool:
        """Return whether the upstream answers that it authenticated the person."""
        return self.codes[:1] == (SUCCESS,)

    @property
    def assertions(self) -> list[etree._Element]:
        """Return its assertions, plain or encrypted."""
        return [*self.element.findall(ASSERTION), *self.element.findall(ENCRYPTED_ASSERTION)]


@dataclass(frozen=True)
class ReceivedAssertion:
    """An Assertion whose signature, or the one around it, has been verified.

    Beside it is everything it is held against.
    """

    assertion: etree._Element
    response: ReceivedResponse
    own: frozenset[str]  # our entityIDs
    force_authn: bool
    idp_list: tuple[str, ...]  # what the service's request allows; empty means all

    @cached_property
    def traits(self) -> ProfileTraits:
        """Return the traits of the upstream's profile."""
        return self.response.traits

    @cached_property
    def confirmations(self) -> list[etree._Element]:
        """Return the SubjectConfirmations, in their order."""
        return self.assertion.findall(_CONFIRMATION)

    @cached_property
    def conditions(self) -> etree._Element | None:
        """Return the Conditions."""
        return self.assertion.find(_CONDITIONS)

    def restrictions(self, tag: str) -> list[etree._Element]:
        """Return the conditions of a kind."""
        if self.conditions is None:
            return []
        return self.conditions.findall(tag)

    @cached_property
    def subject(self) -> etree._Element:
        """Return the Subject, or an element without content where the Assertion has none."""
        found = self.assertion.find(_SUBJECT)
        if found is None:
            return etree.Element("none")
        return found

    def bound(self, name: str) -> datetime | None:
        """Return NotBefore or NotOnOrAfter of the Conditions."""
        if self.conditions is None:
            return None
        return moment(self.conditions, name)

    @cached_property
    def statements(self) -> list[etree._Element]:
        """Return the AuthnStatements."""
        return self.assertion.findall(_STATEMENT)

    @cached_property
    def instants(self) -> list[datetime]:
        """Return when the person was authenticated."""
        written = [moment(statement, "AuthnInstant") for statement in self.statements]
        return [instant for instant in written if instant]

    @cached_property
    def authorities(self) -> tuple[str, ...]:
        """Return the AuthenticatingAuthority chain; the last met the person.

        Source: docs/reference/wayf.md#authenticating-authority.
        """
        chain: list[str] = []
        for statement in self.statements:
            chain += [text(authority) for authority in statement.iterfind(_AUTHORITY)]
        return tuple(chain)

    @cached_property
    def institution(self) -> Institution | None:
        """Return the institution that answered.

        Only the last authority counts; an upstream that is no hub is its own.
        """
        upstream = self.response.upstream
        if self.authorities:
            return upstream.institution(self.authorities[-1])
        if self.traits.hub:
            return None
        return upstream.institution(upstream.entity_id)


def moment(element: etree._Element, name: str) -> datetime | None:
    """Return a time attribute, or None where it is absent."""
    written = element.get(name)
    if written is None:
        return None
    return xml_times.read(written)


def confirmed(confirmation: etree._Element, name: str) -> str | None:
    """Return an attribute of the SubjectConfirmationData of a SubjectConfirmation."""
    found = confirmation.find(_CONFIRMATION_DATA)
    if found is None:
        return None
    return found.get(name)


def confirmation_end(confirmation: etree._Element) -> datetime | None:
    """Return the end of a SubjectConfirmation, or None where it has none."""
    written = confirmed(confirmation, "NotOnOrAfter")
    if written is None:
        return None
    return xml_times.read(written)


def scoped(upstream: Upstream, idp_list: tuple[str, ...]) -> tuple[str, ...]:
    """Return the entityIDs for our IDPList: those configured, narrowed by the service's list.

    An entry that is not configured narrows and never widens (docs/reference/saml-profiles.md#37).
    """
    configured = upstream.scoped()
    if not idp_list or upstream.entity_id in idp_list:
        return configured
    listed = [upstream.institution(name) for name in idp_list]
    wanted = {institution.entity_id for institution in listed if institution}
    return tuple(name for name in configured if _named_in(wanted, upstream.institution(name)))


def _named_in(wanted: set[str], institution: Institution | None) -> bool:
    return institution is not None and institution.entity_id in wanted


def unmarked(elements: Iterable[etree._Element]) -> bool:
    """Return whether some time in these elements lacks its Z.

    Read in another zone, a minute becomes an hour.
    """
    return not all(xml_times.marked(time) for time in written_times(elements))


def written_times(elements: Iterable[etree._Element]) -> Iterator[str]:
    """Yield the times that stand in these elements, as they are written."""
    for element in elements:
        for name in element.keys():  # noqa: SIM118 - an element's own items are its children
            if name in _TIMES:
                yield element.get(name, "")


def foreign(issuer: etree._Element, upstream: Upstream) -> bool:
    """Return whether an Issuer is anybody but this upstream."""
    if text(issuer) != upstream.entity_id:
        return True
    return issuer.get("Format", ENTITY_FORMAT) != ENTITY_FORMAT
