"""An upstream's Response and the Assertion in it, read from verified nodes, beside everything they are held against."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final, TypeVar

from lxml import etree

from broker.adapters.saml.faces.upstream_profiles import ProfileTraits, traits_of
from broker.adapters.saml.gate import xml_times
from broker.adapters.saml.gate.xml_names import ASSERTION, ENCRYPTED_ASSERTION, SAML, SAMLP
from broker.core.entities import Institution, Upstream
from broker.core.errors import MessageRefused
from broker.core.login.transaction import Outstanding

SUCCESS: Final = "urn:oasis:names:tc:SAML:2.0:status:Success"
ENTITY_FORMAT: Final = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
_TIMES: Final = ("IssueInstant", "NotBefore", "NotOnOrAfter", "AuthnInstant", "SessionNotOnOrAfter")
_INNER: Final = f"{{{SAMLP}}}StatusCode"
_CODE: Final = f"{{{SAMLP}}}Status/{_INNER}"
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_Subject = TypeVar("_Subject", "ReceivedResponse", "ReceivedAssertion")


def saml(*path: str) -> str:
    """Give the path of elements of the assertion namespace."""
    return "/".join(f"{{{SAML}}}{name}" for name in path)


_CONFIRMATION: Final = saml("Subject", "SubjectConfirmation", "SubjectConfirmationData")


def text(element: etree._Element | None) -> str:
    """Give all text within an element: what stands behind a child is part of the value too (attacks.md row 11)."""
    return "" if element is None else "".join(str(each) for each in element.itertext())


@dataclass(frozen=True)
class ReceivedResponse:
    """A Response that passed the gate, and everything it is held against; signatures in it have been verified."""

    response: etree._Element
    upstream: Upstream
    acs: str
    expected: Outstanding
    now: datetime

    @property
    def manner(self) -> ProfileTraits:
        """Give the manner of the upstream's profile."""
        return traits_of(self.upstream)

    @property
    def skew(self) -> timedelta:
        """Give how far the upstream's clock may differ from ours."""
        return self.manner.skew

    @property
    def codes(self) -> tuple[str, ...]:
        """Give the status codes, top first.

        Read where they stand and nowhere else: KeyInfo, which no signature covers, may hold another
        (attacks.md row 5).
        """
        found, written = self.response.find(_CODE), []
        while found is not None:
            written.append(found.get("Value", ""))
            found = found.find(_INNER)
        return tuple(written)

    @property
    def succeeded(self) -> bool:
        """Say whether the upstream says that it authenticated the person."""
        return self.codes[:1] == (SUCCESS,)

    @property
    def assertions(self) -> list[etree._Element]:
        """Give its assertions, plain or encrypted."""
        return [*self.response.findall(ASSERTION), *self.response.findall(ENCRYPTED_ASSERTION)]


@dataclass(frozen=True)
class ReceivedAssertion:
    """An Assertion whose signature, or the one around it, has been verified, and what it is held against."""

    assertion: etree._Element
    answer: ReceivedResponse
    own: frozenset[str]  # our entityIDs
    force_authn: bool
    idp_list: tuple[str, ...]  # what the service's request allows; empty means all

    @cached_property
    def confirmation(self) -> etree._Element | None:
        """Give the first SubjectConfirmationData."""
        return self.assertion.find(_CONFIRMATION)

    def confirmed(self, name: str) -> str | None:
        """Give an attribute of the SubjectConfirmationData."""
        return None if self.confirmation is None else self.confirmation.get(name)

    @cached_property
    def conditions(self) -> etree._Element | None:
        """Give the Conditions."""
        return self.assertion.find(saml("Conditions"))

    def restrictions(self, tag: str) -> list[etree._Element]:
        """Give the conditions of a kind."""
        return [] if self.conditions is None else self.conditions.findall(tag)

    @property
    def subject(self) -> etree._Element:
        """Give the Subject, or what an Assertion without one has in its place: nothing."""
        found = self.assertion.find(saml("Subject"))
        return etree.Element("none") if found is None else found

    def bound(self, name: str) -> datetime | None:
        """Give NotBefore or NotOnOrAfter of the Conditions."""
        return None if self.conditions is None else moment(self.conditions, name)

    @cached_property
    def statements(self) -> list[etree._Element]:
        """Give the AuthnStatements."""
        return self.assertion.findall(saml("AuthnStatement"))

    @cached_property
    def instants(self) -> list[datetime]:
        """Give when the person was authenticated."""
        found = (moment(each, "AuthnInstant") for each in self.statements)
        return [each for each in found if each]

    @cached_property
    def authorities(self) -> tuple[str, ...]:
        """Give the AuthenticatingAuthority chain, the one who met the person last (wayf.md section 4)."""
        path = saml("AuthnContext", "AuthenticatingAuthority")
        return tuple(
            text(each) for statement in self.statements for each in statement.iterfind(path)
        )

    @cached_property
    def institution(self) -> Institution | None:
        """Give the institution that answered: only the last authority counts; an upstream that is no hub is its own."""
        upstream = self.answer.upstream
        if not self.authorities and not self.answer.manner.hub:
            return upstream.institution(upstream.entity_id)
        return upstream.institution(self.authorities[-1]) if self.authorities else None


def moment(element: etree._Element, name: str) -> datetime | None:
    """Give a time attribute, or None where it is absent."""
    written = element.get(name)
    return None if written is None else xml_times.read(written)


def scoped(upstream: Upstream, idp_list: tuple[str, ...]) -> tuple[str, ...]:
    """Give the entityIDs to put into our IDPList: what is configured, narrowed by what the service lists.

    An entry nobody here knows narrows and never widens (saml_profiles.md row 37).
    """
    configured = upstream.scoped()
    if not idp_list or upstream.entity_id in idp_list:
        return configured
    wanted = {each.entity_id for each in map(upstream.institution, idp_list) if each}
    return tuple(
        name
        for name in configured
        if (each := upstream.institution(name)) and each.entity_id in wanted
    )


def unmarked(elements: Iterable[etree._Element]) -> bool:
    """Say whether some time in these elements lacks its Z: read in another zone, a minute becomes an hour."""
    return not all(
        xml_times.marked(each.get(name, ""))
        for each in elements
        for name in _TIMES
        if name in each.attrib
    )


def foreign(issuer: etree._Element, upstream: Upstream) -> bool:
    """Say whether an Issuer is anybody but this upstream."""
    return (
        text(issuer) != upstream.entity_id or issuer.get("Format", ENTITY_FORMAT) != ENTITY_FORMAT
    )


def future(element: etree._Element, answer: ReceivedResponse) -> bool:
    """Say whether an element was issued later than now, as far as clocks may differ."""
    return (moment(element, "IssueInstant") or _NEVER) > answer.now + answer.skew


def old(element: etree._Element, answer: ReceivedResponse) -> bool:
    """Say whether an element was issued before we asked, or so long ago that it lay somewhere before it came."""
    issued = moment(element, "IssueInstant") or _NEVER
    stale = issued <= answer.now - answer.manner.fresh - answer.skew
    return issued < answer.expected.sent - answer.skew or stale


def refuse(table: dict[str, Callable[[_Subject], bool]], subject: _Subject) -> None:
    """Raise MessageRefused ``response.<name>`` for the first check of the table that offends."""
    for name, offends in table.items():
        if offends(subject):
            raise MessageRefused(f"response.{name}", clock_off=_clock_off(subject))


def _clock_off(subject: ReceivedResponse | ReceivedAssertion) -> int | None:
    """Give by how many seconds the upstream's clock is off, where it is by more than is allowed, for the log.

    A true answer is made after our request and before now: an IssueInstant outside that time is
    another clock's.
    """
    element, answer = (
        (subject.response, subject)
        if isinstance(subject, ReceivedResponse)
        else (subject.assertion, subject.answer)
    )
    issued = moment(element, "IssueInstant") or answer.now
    off = max(issued - answer.now, timedelta()) + min(issued - answer.expected.sent, timedelta())
    return round(off.total_seconds()) if abs(off) > answer.skew else None
