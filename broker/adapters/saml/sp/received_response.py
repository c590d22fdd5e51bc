"""An upstream's Response and the Assertion in it, beside everything they are held against."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

from lxml import etree
from saml2 import ExtensionElement, saml, samlp

from broker.adapters.saml.messages.message_values import (
    IssuedMessage,
    read_issue_time,
    read_issuer,
    read_status_codes,
    read_text,
    read_time,
)
from broker.adapters.saml.messages.upstream_profiles import ProfileTraits, traits_of
from broker.adapters.saml.xml_security import message_model
from broker.adapters.saml.xml_security.xml_names import ASSERTION, ENCRYPTED_ASSERTION, SAML
from broker.core.entities import Institution, Upstream
from broker.core.errors import SUCCESS
from broker.core.login.transaction import Outstanding

_IDENTIFIERS: Final = frozenset(("BaseID", "NameID", "EncryptedID"))


@dataclass(frozen=True)
class ReceivedResponse:
    """A Response that passed XML security, and everything it is held against.

    Of a Response that is not ``signed`` itself ``message`` is the envelope: without assertions.
    """

    message: samlp.Response
    signed: bool
    has_plain_assertion: bool
    has_encrypted_assertion: bool
    upstream: Upstream
    acs: str
    expected: Outstanding
    now: datetime

    @classmethod
    def read(
        cls,
        root: etree._Element,
        signed_octets: bytes | None,
        upstream: Upstream,
        acs: str,
        *,
        expected: Outstanding,
        now: datetime,
    ) -> "ReceivedResponse":
        """Read a Response from the octets that its signature covers, None for an unsigned one."""
        if signed_octets is None:
            message = message_model.read_unsigned(samlp.Response, root)
        else:
            message = message_model.read_message(samlp.Response, root, signed_octets)
        return cls(
            message=message,
            signed=signed_octets is not None,
            has_plain_assertion=root.find(ASSERTION) is not None,
            has_encrypted_assertion=root.find(ENCRYPTED_ASSERTION) is not None,
            upstream=upstream,
            acs=acs,
            expected=expected,
            now=now,
        )

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

    def issued_later(self, message: IssuedMessage) -> bool:
        """Return whether a message was issued after now, as far as clocks may differ."""
        return self.ahead(read_issue_time(message))

    def issued_long_ago(self, message: IssuedMessage) -> bool:
        """Return whether a message was issued before we asked, or lay somewhere for long."""
        issued = read_issue_time(message)
        if issued < self.expected.sent - self.skew:
            return True
        return issued <= self.now - self.traits.fresh - self.skew

    def clock_off(self, message: IssuedMessage) -> int | None:
        """Return by how many seconds the upstream's clock is off, for the log.

        None where it is by no more than is allowed. A true answer is made after our request and
        before now: an IssueInstant outside that time is another clock's.
        """
        issued = read_time(message.issue_instant) or self.now
        ahead = max(issued - self.now, timedelta())
        behind = min(issued - self.expected.sent, timedelta())
        off = ahead + behind
        if abs(off) <= self.skew:
            return None
        return round(off.total_seconds())

    @property
    def codes(self) -> tuple[str, ...]:
        """Return the status codes, top first."""
        return read_status_codes(self.message.status)

    @property
    def succeeded(self) -> bool:
        """Return whether the upstream answers that it authenticated the person."""
        return self.codes[:1] == (SUCCESS.top,)


@dataclass(frozen=True)
class ReceivedAssertion:
    """An Assertion whose signature, or the one around it, has been verified.

    Beside it is everything it is held against.
    """

    assertion: saml.Assertion
    response: ReceivedResponse
    own: frozenset[str]  # our entityIDs
    force_authn: bool
    idp_list: tuple[str, ...]  # what the service's request allows; empty means all

    @cached_property
    def traits(self) -> ProfileTraits:
        """Return the traits of the upstream's profile."""
        return self.response.traits

    @cached_property
    def subject(self) -> saml.Subject:
        """Return the Subject, or an empty one where the Assertion has none."""
        return self.assertion.subject or saml.Subject()

    @cached_property
    def confirmations(self) -> list[saml.SubjectConfirmation]:
        """Return the SubjectConfirmations, in their order."""
        return list(self.subject.subject_confirmation)

    @cached_property
    def identifiers(self) -> list[object]:
        """Return everything that names a person in the Subject, its confirmations and their data.

        An ExtensionElement stands for one in a place that the standard leaves open.
        """
        found: list[object] = []
        for holder in (self.subject, *self.confirmations):
            found += [holder.base_id, holder.name_id, holder.encrypted_id]
        for confirmation in self.confirmations:
            data = confirmation_data(confirmation)
            found += [each for each in _nested(data.extension_elements) if _is_identifier(each)]
        return [each for each in found if each is not None]

    @cached_property
    def conditions(self) -> saml.Conditions:
        """Return the Conditions, or empty ones where the Assertion has none."""
        return self.assertion.conditions or saml.Conditions()

    @cached_property
    def begins(self) -> datetime | None:
        """Return NotBefore of the Conditions."""
        return read_time(self.conditions.not_before)

    @cached_property
    def ends(self) -> datetime | None:
        """Return NotOnOrAfter of the Conditions."""
        return read_time(self.conditions.not_on_or_after)

    @cached_property
    def statements(self) -> list[saml.AuthnStatement]:
        """Return the AuthnStatements."""
        return list(self.assertion.authn_statement)

    @cached_property
    def instants(self) -> list[datetime]:
        """Return when the person was authenticated."""
        written = [read_time(statement.authn_instant) for statement in self.statements]
        return [instant for instant in written if instant]

    @cached_property
    def authorities(self) -> tuple[str, ...]:
        """Return the AuthenticatingAuthority chain; the last met the person.

        Source: docs/reference/wayf.md#authenticating-authority.
        """
        contexts = [each.authn_context for each in self.statements if each.authn_context]
        return tuple(read_text(name) for each in contexts for name in each.authenticating_authority)

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

    def written_times(self) -> Iterator[str]:
        """Yield the times of the Assertion as they are written."""
        written = [
            self.assertion.issue_instant,
            self.conditions.not_before,
            self.conditions.not_on_or_after,
        ]
        for data in map(confirmation_data, self.confirmations):
            written += [data.not_before, data.not_on_or_after]
        for statement in self.statements:
            written += [statement.authn_instant, statement.session_not_on_or_after]
        yield from (str(time) for time in written if time is not None)


def _nested(elements: Iterable[ExtensionElement]) -> Iterator[ExtensionElement]:
    for element in elements:
        yield element
        yield from _nested(element.children)


def _is_identifier(element: ExtensionElement) -> bool:
    return element.namespace == SAML and element.tag in _IDENTIFIERS


def confirmation_data(confirmation: saml.SubjectConfirmation) -> saml.SubjectConfirmationData:
    """Return the data of a SubjectConfirmation, or empty ones where it has none."""
    return confirmation.subject_confirmation_data or saml.SubjectConfirmationData()


def scoped(upstream: Upstream, idp_list: tuple[str, ...]) -> tuple[str, ...]:
    """Return the entityIDs for our IDPList: those configured, narrowed by the service's list.

    An entry that is not configured narrows and never widens (docs/reference/saml-profiles.md#37).
    """
    configured = upstream.idp_list()
    if not idp_list or upstream.entity_id in idp_list:
        return configured
    listed = [upstream.institution(name) for name in idp_list]
    wanted = {institution.entity_id for institution in listed if institution}
    return tuple(name for name in configured if _named_in(wanted, upstream.institution(name)))


def _named_in(wanted: set[str], institution: Institution | None) -> bool:
    return institution is not None and institution.entity_id in wanted


def foreign(issuer: saml.Issuer | None, upstream: Upstream) -> bool:
    """Return whether an Issuer that is there is anybody but this upstream."""
    if issuer is None:
        return False
    return read_issuer(issuer) != upstream.entity_id
