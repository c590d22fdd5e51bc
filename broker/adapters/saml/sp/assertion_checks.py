"""The checks of the Assertion in an upstream's Response: a function for every check.

Sources: saml-core 2.3-2.7, saml-profiles 4.1.4, docs/reference/attacks.md#15 to #20,
docs/reference/saml-profiles.md#18, #26 and #42.
"""

import re
from collections.abc import Callable
from typing import Final

from saml2 import saml

from broker.adapters.saml.messages import refusal_details
from broker.adapters.saml.messages.message_values import lacks_zone, read_text, read_time
from broker.adapters.saml.sp.received_response import (
    ReceivedAssertion,
    confirmation_data,
    foreign,
    scoped,
)
from broker.adapters.saml.xml_security.xml_names import BEARER
from broker.core.entities import PERSISTENT, TRANSIENT
from broker.core.errors import MessageRefused

_UUID: Final = r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_EID_NAME: Final = re.compile(
    r"https://data\.gov\.dk/model/core/eid/(person|professional)/uuid/" + _UUID
)


def _zone(received: ReceivedAssertion) -> bool:
    """Refuse a time without Z."""
    return lacks_zone(received.written_times())


def _version(received: ReceivedAssertion) -> bool:
    """Refuse another version of SAML, whose rules are others."""
    return bool(received.assertion.version != "2.0")


def _issuer(received: ReceivedAssertion) -> bool:
    """Refuse an Assertion by anybody but the upstream that was asked.

    The issuer of the Response around it does not matter.

    Source: docs/reference/attacks.md#18.
    """
    return foreign(received.assertion.issuer, received.response.upstream)


def _issued_later(received: ReceivedAssertion) -> bool:
    """Refuse an Assertion from the future."""
    return received.response.issued_later(received.assertion)


def _issued_long_ago(received: ReceivedAssertion) -> bool:
    """Refuse an Assertion older than the request: made for another login, and wrapped anew."""
    return received.response.issued_long_ago(received.assertion)


def _confirmations(received: ReceivedAssertion) -> bool:
    """Refuse none, and several where the profile has one."""
    count = len(received.confirmations)
    return count == 0 or (received.traits.strict and count > 1)


# The checks of a SubjectConfirmation. Of several all look at the one that counts, so that no two
# make up one between them (docs/reference/attacks.md#20).


def _bearer(_received: ReceivedAssertion, confirmation: saml.SubjectConfirmation) -> bool:
    """Refuse sender-vouches and holder-of-key, whose conditions nothing here looks at."""
    return bool(confirmation.method != BEARER)


def _recipient(received: ReceivedAssertion, confirmation: saml.SubjectConfirmation) -> bool:
    """Refuse an Assertion made for another ACS: a service's that replays it here.

    Source: docs/reference/attacks.md#17.
    """
    return bool(confirmation_data(confirmation).recipient != received.response.acs)


def _confirms_request(received: ReceivedAssertion, confirmation: saml.SubjectConfirmation) -> bool:
    """Refuse an Assertion that answers another request (docs/reference/attacks.md#16).

    It is a genuine one in a Response that an attacker wrote.
    """
    expected = received.response.expected.id
    return bool(confirmation_data(confirmation).in_response_to != expected)


def _confirmation_end(_received: ReceivedAssertion, confirmation: saml.SubjectConfirmation) -> bool:
    """Refuse a confirmation without an end: it could be used for ever."""
    return confirmation_data(confirmation).not_on_or_after is None


def _confirmation_expired(
    received: ReceivedAssertion, confirmation: saml.SubjectConfirmation
) -> bool:
    """Refuse a confirmation that has run out (docs/reference/attacks.md#19)."""
    return received.response.over(read_time(confirmation_data(confirmation).not_on_or_after))


def _confirmation_start(
    _received: ReceivedAssertion, confirmation: saml.SubjectConfirmation
) -> bool:
    """Refuse a bearer confirmation that starts later, which the profile forbids (4.1.4.2)."""
    return confirmation_data(confirmation).not_before is not None


_CONFIRMATION_CHECKS: Final[
    dict[str, Callable[[ReceivedAssertion, saml.SubjectConfirmation], bool]]
] = {
    "bearer": _bearer,
    "recipient": _recipient,
    "confirms_request": _confirms_request,
    "confirmation_end": _confirmation_end,
    "confirmation_expired": _confirmation_expired,
    "confirmation_start": _confirmation_start,
}


def _counting(received: ReceivedAssertion) -> saml.SubjectConfirmation:
    """Return the SubjectConfirmation that counts: the first that no check refuses, else the first.

    Any one that holds suffices (core 2.4.1.1). Without one, an element without content.
    """
    confirmations = received.confirmations or [saml.SubjectConfirmation()]
    if len(confirmations) > 1:
        for confirmation in confirmations:
            checks = _CONFIRMATION_CHECKS.values()
            if not any(offends(received, confirmation) for offends in checks):
                return confirmation
    return confirmations[0]


def _of_counting(name: str) -> Callable[[ReceivedAssertion], bool]:
    """Return a check of the confirmation that counts as a check of the Assertion."""
    offends = _CONFIRMATION_CHECKS[name]
    return lambda received: offends(received, _counting(received))


def _identifiers(received: ReceivedAssertion) -> bool:
    """Refuse two identifiers, and any that is no plain NameID (docs/reference/attacks.md#20).

    One of the two may stand in the confirmation.
    """
    found = received.identifiers
    return len(found) > 1 or not all(isinstance(each, saml.NameID) for each in found)


def _bounds(received: ReceivedAssertion) -> bool:
    """Refuse an Assertion without the beginning or the end of its validity.

    Source: docs/reference/attacks.md#19.
    """
    return received.begins is None or received.ends is None


def _not_yet_valid(received: ReceivedAssertion) -> bool:
    """Refuse an Assertion before it holds."""
    return received.response.ahead(received.begins)


def _expired(received: ReceivedAssertion) -> bool:
    """Refuse an Assertion after it has run out."""
    return received.response.over(received.ends)


def _interval(received: ReceivedAssertion) -> bool:
    """Refuse a validity that ends before it begins: within the skew both bounds would hold."""
    start, end = received.begins, received.ends
    return start is not None and end is not None and end <= start


def _audience_missing(received: ReceivedAssertion) -> bool:
    """Refuse an Assertion for anybody."""
    return not received.conditions.audience_restriction


def _audience(received: ReceivedAssertion) -> bool:
    """Refuse an Assertion one of whose restrictions leaves us out (core 2.5.1.4).

    All restrictions must hold at once.
    """
    own = received.response.upstream.sp_entity_id
    for restriction in received.conditions.audience_restriction:
        audiences = [read_text(audience) for audience in restriction.audience]
        if own not in audiences:
            return True
    return False


def _unknown_condition(received: ReceivedAssertion) -> bool:
    """Refuse a condition not understood here: its validity cannot be established (core 2.5.1.1)."""
    return bool(received.conditions.condition or received.conditions.extension_elements)


def _proxying_forbidden(received: ReceivedAssertion) -> bool:
    """Refuse an Assertion that we may not pass on, or to listed services only (core 2.5.1.6)."""
    for restriction in received.conditions.proxy_restriction:
        nought = not (restriction.count or "1").strip("+-0 ")
        if nought or restriction.audience:
            return True
    return False


def _statements(received: ReceivedAssertion) -> bool:
    """Refuse none and several AuthnStatements: which of them is meant would be a guess."""
    return len(received.statements) != 1


def _attribute_statements(received: ReceivedAssertion) -> bool:
    """Refuse none and several AttributeStatements where the profile has one.

    Then no attribute can stand in two places.
    """
    return received.traits.strict and len(received.assertion.attribute_statement) != 1


def _eid_name(received: ReceivedAssertion) -> bool:
    """Refuse a subject that is no UUID of the national eID's, persistent or transient.

    So does the profile's own validator.
    """
    if not received.traits.strict:
        return False
    name_id = received.subject.name_id
    if name_id is None:
        return True
    if name_id.format not in {PERSISTENT, TRANSIENT}:
        return True
    return not _EID_NAME.fullmatch(read_text(name_id))


def _authenticated_later(received: ReceivedAssertion) -> bool:
    """Refuse an authentication in the future."""
    return any(received.response.ahead(instant) for instant in received.instants)


def _authenticated_before(received: ReceivedAssertion) -> bool:
    """Refuse an older authentication where a new one was demanded.

    Source: docs/reference/saml-profiles.md#26.
    """
    if not received.force_authn:
        return False
    earliest = received.response.expected.sent - received.response.skew
    return any(instant < earliest for instant in received.instants)


def _session_ended(received: ReceivedAssertion) -> bool:
    """Refuse a session that is over (docs/reference/attacks.md#19)."""
    ends = [read_time(statement.session_not_on_or_after) for statement in received.statements]
    return any(received.response.over(end) for end in ends)


def _loop(received: ReceivedAssertion) -> bool:
    """Refuse an authentication that came through ourselves (docs/reference/saml-profiles.md#42)."""
    return not received.own.isdisjoint(received.authorities)


def _authority_missing(received: ReceivedAssertion) -> bool:
    """Refuse a hub that does not name the institution that answered.

    Scopes could not be held against any.
    """
    return received.traits.hub and not received.authorities


def _institution_unknown(received: ReceivedAssertion) -> bool:
    """Refuse an institution that is none of this upstream's.

    Only the last authority counts.

    Source: docs/reference/wayf.md#authenticating-authority.
    """
    return bool(received.authorities) and received.institution is None


def _institution_not_asked(received: ReceivedAssertion) -> bool:
    """Refuse an institution that was not scoped (docs/reference/wayf.md#choosing).

    The hub's chooser obeys the browser.
    """
    institution = received.institution
    if institution is None:
        return False
    asked = scoped(received.response.upstream, received.idp_list)
    return not any(institution.is_known_as(name) for name in asked)


ASSERTION_CHECKS: Final[dict[str, Callable[[ReceivedAssertion], bool]]] = {
    "assertion_zone": _zone,
    "assertion_version": _version,
    "assertion_issuer": _issuer,
    "assertion_issued_later": _issued_later,
    "assertion_issued_long_ago": _issued_long_ago,
    "confirmations": _confirmations,
    "bearer": _of_counting("bearer"),
    "recipient": _of_counting("recipient"),
    "confirms_request": _of_counting("confirms_request"),
    "confirmation_end": _of_counting("confirmation_end"),
    "confirmation_expired": _of_counting("confirmation_expired"),
    "confirmation_start": _of_counting("confirmation_start"),
    "identifiers": _identifiers,
    "bounds": _bounds,
    "not_yet_valid": _not_yet_valid,
    "expired": _expired,
    "interval": _interval,
    "audience_missing": _audience_missing,
    "audience": _audience,
    "unknown_condition": _unknown_condition,
    "proxying_forbidden": _proxying_forbidden,
    "statements": _statements,
    "attribute_statements": _attribute_statements,
    "eid_name": _eid_name,
    "authenticated_later": _authenticated_later,
    "authenticated_before": _authenticated_before,
    "session_ended": _session_ended,
    "loop": _loop,
    "authority_missing": _authority_missing,
    "institution_unknown": _institution_unknown,
    "institution_not_asked": _institution_not_asked,
}


def check_assertion(received: ReceivedAssertion) -> None:
    """Raise MessageRefused ``response.<name>`` for the first check that refuses the Assertion."""
    for name, offends in ASSERTION_CHECKS.items():
        if offends(received):
            clock_off = received.response.clock_off(received.assertion)
            detail = ""
            if name == "assertion_zone":
                detail = refusal_details.zone(received.written_times())
            raise MessageRefused(f"response.{name}", detail, clock_off=clock_off)
