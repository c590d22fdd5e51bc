"""The checks of the Assertion in an upstream's Response.

Each check is a function that returns True if the Assertion must be refused. Its name in
ASSERTION_CHECKS is the refusal code.

Sources: saml-core 2.3-2.7, saml-profiles 4.1.4, docs/reference/attacks.md#15 to #20,
docs/reference/saml-profiles.md#18, #26 and #42.
"""

import re
from collections.abc import Callable
from typing import Final

from saml2 import saml

from broker.adapters.saml.messages.message_checks import MESSAGE_CHECKS
from broker.adapters.saml.messages.message_values import read_text
from broker.adapters.saml.sp.received_response import (
    ReceivedAssertion,
    ReceivedFromUpstream,
    confirmation_data,
    list_allowed_institutions,
)
from broker.adapters.saml.xml_security import xml_times
from broker.adapters.saml.xml_security.xml_names import BEARER
from broker.core.entities import PERSISTENT, TRANSIENT

_UUID: Final = r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_EID_NAME: Final = re.compile(
    r"https://data\.gov\.dk/model/core/eid/(person|professional)/uuid/" + _UUID
)


def _has_wrong_confirmation_count(received: ReceivedAssertion) -> bool:
    """Refuse an Assertion without SubjectConfirmation; OIOSAML 3 (NemLog-in) allows only one."""
    count = len(received.confirmations)
    return count == 0 or (received.traits.strict and count > 1)


# The checks of a SubjectConfirmation. If there are several, all checks look at the same one:
# two incomplete confirmations do not make up a complete one (docs/reference/attacks.md#20).


def _is_not_bearer(_received: ReceivedAssertion, confirmation: saml.SubjectConfirmation) -> bool:
    """Refuse sender-vouches and holder-of-key: their conditions are not checked here."""
    return bool(confirmation.method != BEARER)


def _has_other_recipient(
    received: ReceivedAssertion, confirmation: saml.SubjectConfirmation
) -> bool:
    """Refuse an Assertion made for another ACS: another service may replay it here.

    Source: docs/reference/attacks.md#17.
    """
    return bool(confirmation_data(confirmation).recipient != received.address)


def _confirms_other_request(
    received: ReceivedAssertion, confirmation: saml.SubjectConfirmation
) -> bool:
    """Refuse an Assertion that answers another request (docs/reference/attacks.md#16).

    An attacker may put a genuine Assertion into a forged Response.
    """
    expected = received.expected.id
    return bool(confirmation_data(confirmation).in_response_to != expected)


def _has_no_confirmation_end(
    _received: ReceivedAssertion, confirmation: saml.SubjectConfirmation
) -> bool:
    """Refuse a confirmation without an end: it could be used forever."""
    return confirmation_data(confirmation).not_on_or_after is None


def _has_expired_confirmation(
    received: ReceivedAssertion, confirmation: saml.SubjectConfirmation
) -> bool:
    """Refuse a confirmation that has expired (docs/reference/attacks.md#19)."""
    return received.has_passed(xml_times.read(confirmation_data(confirmation).not_on_or_after))


def _has_confirmation_start(
    _received: ReceivedAssertion, confirmation: saml.SubjectConfirmation
) -> bool:
    """Refuse a bearer confirmation with NotBefore: the profile forbids it (4.1.4.2)."""
    return confirmation_data(confirmation).not_before is not None


_CONFIRMATION_CHECKS: Final[
    dict[str, Callable[[ReceivedAssertion, saml.SubjectConfirmation], bool]]
] = {
    "bearer": _is_not_bearer,
    "recipient": _has_other_recipient,
    "confirms_request": _confirms_other_request,
    "confirmation_end": _has_no_confirmation_end,
    "confirmation_expired": _has_expired_confirmation,
    "confirmation_start": _has_confirmation_start,
}


def _choose_confirmation(received: ReceivedAssertion) -> saml.SubjectConfirmation:
    """Return the first SubjectConfirmation that passes all checks, else the first of all.

    One valid confirmation suffices (core 2.4.1.1). Without any, return an empty element.
    """
    confirmations = received.confirmations or [saml.SubjectConfirmation()]
    if len(confirmations) > 1:
        for confirmation in confirmations:
            checks = _CONFIRMATION_CHECKS.values()
            if not any(is_refused(received, confirmation) for is_refused in checks):
                return confirmation
    return confirmations[0]


def _make_assertion_check(name: str) -> Callable[[ReceivedAssertion], bool]:
    """Return the check of the Assertion that applies a check of its chosen SubjectConfirmation."""
    is_refused = _CONFIRMATION_CHECKS[name]
    return lambda received: is_refused(received, _choose_confirmation(received))


def _has_ambiguous_identifier(received: ReceivedAssertion) -> bool:
    """Refuse two identifiers, and an identifier that is not a plain NameID.

    Different readers could use different identifiers. The second one may be in the
    SubjectConfirmation. Source: docs/reference/attacks.md#20.
    """
    found = received.identifiers
    return len(found) > 1 or not all(isinstance(each, saml.NameID) for each in found)


def _lacks_validity(received: ReceivedAssertion) -> bool:
    """Refuse an Assertion without NotBefore or NotOnOrAfter.

    Source: docs/reference/attacks.md#19.
    """
    return received.begins is None or received.ends is None


def _is_not_yet_valid(received: ReceivedAssertion) -> bool:
    """Refuse an Assertion before its NotBefore."""
    return received.is_ahead(received.begins)


def _is_expired(received: ReceivedAssertion) -> bool:
    """Refuse an Assertion after its NotOnOrAfter."""
    return received.has_passed(received.ends)


def _has_inverted_validity(received: ReceivedAssertion) -> bool:
    """Refuse a validity that ends before it starts: with the clock skew it could still pass."""
    start, end = received.begins, received.ends
    return start is not None and end is not None and end <= start


def _lacks_audience(received: ReceivedAssertion) -> bool:
    """Refuse an Assertion without AudienceRestriction."""
    return not received.conditions.audience_restriction


def _has_other_audience(received: ReceivedAssertion) -> bool:
    """Refuse an Assertion if one AudienceRestriction does not name us (core 2.5.1.4)."""
    own = received.upstream.sp_entity_id
    for restriction in received.conditions.audience_restriction:
        audiences = [read_text(audience) for audience in restriction.audience]
        if own not in audiences:
            return True
    return False


def _has_unknown_condition(received: ReceivedAssertion) -> bool:
    """Refuse an unknown condition: the validity cannot be established (core 2.5.1.1)."""
    return bool(received.conditions.condition or received.conditions.extension_elements)


def _forbids_proxying(received: ReceivedAssertion) -> bool:
    """Refuse an Assertion that must not be passed on, or only to some services (core 2.5.1.6)."""
    for restriction in received.conditions.proxy_restriction:
        # Count is a non-negative integer of the schemas: 0, 00, +0 and -0 all forbid proxying.
        is_zero = not (restriction.count or "1").strip("+-0 ")
        if is_zero or restriction.audience:
            return True
    return False


def _has_wrong_statement_count(received: ReceivedAssertion) -> bool:
    """Refuse an Assertion without exactly one AuthnStatement: no rule says which one counts."""
    return len(received.statements) != 1


def _has_wrong_attribute_statement_count(received: ReceivedAssertion) -> bool:
    """Refuse an OIOSAML 3 Assertion without exactly one AttributeStatement."""
    return received.traits.strict and len(received.message.attribute_statement) != 1


def _has_wrong_eid_name(received: ReceivedAssertion) -> bool:
    """Refuse an OIOSAML 3 subject that is no persistent or transient UUID of the national eID.

    The profile's own validator refuses it too.
    """
    if not received.traits.strict:
        return False
    name_id = received.subject.name_id
    if name_id is None:
        return True
    if name_id.format not in {PERSISTENT, TRANSIENT}:
        return True
    return not _EID_NAME.fullmatch(read_text(name_id))


def _is_authenticated_in_future(received: ReceivedAssertion) -> bool:
    """Refuse an authentication in the future."""
    return any(received.is_ahead(instant) for instant in received.authn_instants)


def _is_authenticated_too_early(received: ReceivedAssertion) -> bool:
    """Refuse an older authentication if a new one was demanded (ForceAuthn).

    Source: docs/reference/saml-profiles.md#26.
    """
    if not received.force_authn:
        return False
    earliest = received.expected.sent - received.skew
    return any(instant < earliest for instant in received.authn_instants)


def _has_ended_session(received: ReceivedAssertion) -> bool:
    """Refuse a session that has ended (docs/reference/attacks.md#19)."""
    ends = [xml_times.read(statement.session_not_on_or_after) for statement in received.statements]
    return any(received.has_passed(end) for end in ends)


def _is_loop(received: ReceivedAssertion) -> bool:
    """Refuse an authentication through this broker (docs/reference/saml-profiles.md#42)."""
    return not received.own_entity_ids.isdisjoint(received.authorities)


def _lacks_authority(received: ReceivedAssertion) -> bool:
    """Refuse a hub's Assertion that names no institution: scopes could not be checked."""
    return received.traits.hub and not received.authorities


def _has_unknown_institution(received: ReceivedAssertion) -> bool:
    """Refuse an institution that is not configured for this upstream.

    The institution is the last AuthenticatingAuthority.

    Source: docs/reference/wayf.md#authenticating-authority.
    """
    return bool(received.authorities) and received.institution is None


def _has_institution_outside_idp_list(received: ReceivedAssertion) -> bool:
    """Refuse an institution that our IDPList did not name (docs/reference/wayf.md#choosing).

    In the browser, a user can change the hub's choice of institution. So the hub may return an
    institution that we did not allow.
    """
    institution = received.institution
    if institution is None:
        return False
    allowed = list_allowed_institutions(received.upstream, received.idp_list)
    return not any(institution.is_known_as(name) for name in allowed)


ASSERTION_CHECKS: Final[dict[str, Callable[[ReceivedAssertion], bool]]] = {
    "assertion_zone": MESSAGE_CHECKS["zone"],
    "assertion_version": MESSAGE_CHECKS["version"],
    "assertion_issuer": ReceivedFromUpstream.has_other_issuer,
    "assertion_issued_later": MESSAGE_CHECKS["issued_later"],
    "assertion_issued_long_ago": MESSAGE_CHECKS["issued_long_ago"],
    "confirmations": _has_wrong_confirmation_count,
    **{name: _make_assertion_check(name) for name in _CONFIRMATION_CHECKS},
    "identifiers": _has_ambiguous_identifier,
    "bounds": _lacks_validity,
    "not_yet_valid": _is_not_yet_valid,
    "expired": _is_expired,
    "interval": _has_inverted_validity,
    "audience_missing": _lacks_audience,
    "audience": _has_other_audience,
    "unknown_condition": _has_unknown_condition,
    "proxying_forbidden": _forbids_proxying,
    "statements": _has_wrong_statement_count,
    "attribute_statements": _has_wrong_attribute_statement_count,
    "eid_name": _has_wrong_eid_name,
    "authenticated_later": _is_authenticated_in_future,
    "authenticated_before": _is_authenticated_too_early,
    "session_ended": _has_ended_session,
    "loop": _is_loop,
    "authority_missing": _lacks_authority,
    "institution_unknown": _has_unknown_institution,
    "institution_not_asked": _has_institution_outside_idp_list,
}
