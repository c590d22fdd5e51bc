"""An upstream's Response and its Assertion, with all values that the checks compare them to."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

from saml2 import ExtensionElement, saml, samlp

from broker.adapters.saml.messages.message_checks import ReceivedMessage
from broker.adapters.saml.messages.message_values import read_issuer, read_status_codes, read_text
from broker.adapters.saml.messages.upstream_profiles import ProfileTraits, traits_of
from broker.adapters.saml.xml_security import xml_times
from broker.adapters.saml.xml_security.xml_names import SAML
from broker.core.entities import Institution, Upstream
from broker.core.errors import SUCCESS
from broker.core.login.transaction import Outstanding

_IDENTIFIER_ELEMENTS: Final = frozenset(("BaseID", "NameID", "EncryptedID"))


@dataclass(frozen=True)
class ReceivedFromUpstream(ReceivedMessage):
    """A message of an upstream, or its Assertion: the answer to the ``expected`` request."""

    upstream: Upstream
    expected: Outstanding

    @cached_property
    def traits(self) -> ProfileTraits:
        """Return the traits of the upstream's profile."""
        return traits_of(self.upstream)

    @property
    def skew(self) -> timedelta:
        """Return how far the upstream's clock may differ from ours."""
        return self.traits.skew

    @property
    def max_age(self) -> timedelta:
        """Return how old an answer may be, apart from the clock skew."""
        return self.traits.max_age

    def is_too_old(self) -> bool:
        """Return whether the answer was issued before our request, or delivered too late."""
        return self.issue_time < self.expected.sent - self.skew or super().is_too_old()

    def find_clock_offset(self) -> int | None:
        """Return by how many seconds the upstream's clock is off, for the log.

        None if the difference is allowed. A genuine answer is issued after our request and before
        now, so an IssueInstant outside that interval shows a wrong clock.
        """
        issued = xml_times.read(self.message.issue_instant) or self.now
        ahead = max(issued - self.now, timedelta())
        behind = min(issued - self.expected.sent, timedelta())
        off = ahead + behind
        if abs(off) <= self.skew:
            return None
        return round(off.total_seconds())

    def has_other_issuer(self) -> bool:
        """Return whether the message names another issuer than the upstream of this login.

        Source: docs/reference/attacks.md#18.
        """
        issuer = self.message.issuer
        return issuer is not None and read_issuer(issuer) != self.upstream.entity_id


@dataclass(frozen=True)
class ReceivedResponse(ReceivedFromUpstream):
    """A Response that passed XML security, and the values that its checks need.

    If the Response is not ``signed``, ``message`` is its envelope without assertions.
    """

    message: samlp.Response
    has_plain_assertion: bool
    has_encrypted_assertion: bool

    @property
    def codes(self) -> tuple[str, ...]:
        """Return the status codes, top first."""
        return read_status_codes(self.message.status)

    @property
    def is_success(self) -> bool:
        """Return whether the upstream states that it authenticated the person."""
        return self.codes[:1] == (SUCCESS.top,)


@dataclass(frozen=True)
class ReceivedAssertion(ReceivedFromUpstream):
    """An Assertion with verified signature (its own or the Response's), and what checks need."""

    message: saml.Assertion
    own_entity_ids: frozenset[str]  # our entityIDs
    force_authn: bool
    idp_list: tuple[str, ...]  # of the service's request; empty allows all

    @cached_property
    def subject(self) -> saml.Subject:
        """Return the Subject, or an empty one if the Assertion has none."""
        return self.message.subject or saml.Subject()

    @cached_property
    def confirmations(self) -> list[saml.SubjectConfirmation]:
        """Return the SubjectConfirmations, in their order."""
        return list(self.subject.subject_confirmation)

    @cached_property
    def identifiers(self) -> list[object]:
        """Return all identifiers in the Subject, its confirmations and their data.

        In the data of a confirmation, pysaml2 represents them as ExtensionElements.
        """
        found: list[object] = []
        for holder in (self.subject, *self.confirmations):
            found += [holder.base_id, holder.name_id, holder.encrypted_id]
        for confirmation in self.confirmations:
            data = confirmation_data(confirmation)
            found += [
                each for each in _list_nested(data.extension_elements) if _is_identifier(each)
            ]
        return [each for each in found if each is not None]

    @cached_property
    def conditions(self) -> saml.Conditions:
        """Return the Conditions, or empty ones if the Assertion has none."""
        return self.message.conditions or saml.Conditions()

    @cached_property
    def begins(self) -> datetime | None:
        """Return NotBefore of the Conditions."""
        return xml_times.read(self.conditions.not_before)

    @cached_property
    def ends(self) -> datetime | None:
        """Return NotOnOrAfter of the Conditions."""
        return xml_times.read(self.conditions.not_on_or_after)

    @cached_property
    def statements(self) -> list[saml.AuthnStatement]:
        """Return the AuthnStatements."""
        return list(self.message.authn_statement)

    @cached_property
    def authn_instants(self) -> list[datetime]:
        """Return when the person was authenticated."""
        written = [xml_times.read(statement.authn_instant) for statement in self.statements]
        return [instant for instant in written if instant]

    @cached_property
    def authorities(self) -> tuple[str, ...]:
        """Return the AuthenticatingAuthority chain; the last one authenticated the person.

        Source: docs/reference/wayf.md#authenticating-authority.
        """
        contexts = [each.authn_context for each in self.statements if each.authn_context]
        return tuple(read_text(name) for each in contexts for name in each.authenticating_authority)

    @cached_property
    def institution(self) -> Institution | None:
        """Return the institution that authenticated the person, if it is configured.

        It is the last AuthenticatingAuthority. An upstream that is no hub is its own institution.
        """
        upstream = self.upstream
        if self.authorities:
            return upstream.institution(self.authorities[-1])
        if self.traits.hub:
            return None
        return upstream.institution(upstream.entity_id)

    def list_times(self) -> list[str | None]:
        """Return all times of the Assertion as text."""
        written = [
            self.message.issue_instant,
            self.conditions.not_before,
            self.conditions.not_on_or_after,
        ]
        for data in map(confirmation_data, self.confirmations):
            written += [data.not_before, data.not_on_or_after]
        for statement in self.statements:
            written += [statement.authn_instant, statement.session_not_on_or_after]
        return written


def _list_nested(elements: Iterable[ExtensionElement]) -> Iterator[ExtensionElement]:
    for element in elements:
        yield element
        yield from _list_nested(element.children)


def _is_identifier(element: ExtensionElement) -> bool:
    return element.namespace == SAML and element.tag in _IDENTIFIER_ELEMENTS


def confirmation_data(confirmation: saml.SubjectConfirmation) -> saml.SubjectConfirmationData:
    """Return the data of a SubjectConfirmation, or empty ones if it has none."""
    return confirmation.subject_confirmation_data or saml.SubjectConfirmationData()


def list_allowed_institutions(upstream: Upstream, idp_list: tuple[str, ...]) -> tuple[str, ...]:
    """Return the entityIDs for our IDPList: those configured, narrowed by the service's list.

    The service's list never adds an institution (docs/reference/saml-profiles.md#37). A service
    that lists the upstream itself accepts all its institutions.
    """
    configured = upstream.idp_list()
    if not idp_list or upstream.entity_id in idp_list:
        return configured
    listed = [upstream.institution(name) for name in idp_list]
    wanted = {institution.entity_id for institution in listed if institution}
    narrowed = []
    for name in configured:
        institution = upstream.institution(name)
        if institution and institution.entity_id in wanted:
            narrowed.append(name)
    return tuple(narrowed)
