"""The checks of the Assertion in an upstream's Response: a function for every check.

Sources: saml-core 2.3-2.7, saml-profiles 4.1.4, docs/reference/attacks.md#15 to #20,
docs/reference/saml-profiles.md#18, #26 and #42.
"""

import re
from collections.abc import Callable
from typing import Final

from lxml import etree

from broker.adapters.saml.faces import refusal_details
from broker.adapters.saml.faces.received_response import (
    ReceivedAssertion,
    confirmation_end,
    confirmed,
    foreign,
    moment,
    saml,
    scoped,
    text,
    unmarked,
    written_times,
)
from broker.adapters.saml.gate.xml_names import BEARER, ISSUER
from broker.core.entities import PERSISTENT, TRANSIENT
from broker.core.errors import MessageRefused

_AUDIENCES: Final = saml("AudienceRestriction")
_PROXY: Final = saml("ProxyRestriction")
_ATTRIBUTES: Final = saml("AttributeStatement")
_UUID: Final = r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_EID_NAME: Final = re.compile(
    r"https://data\.gov\.dk/model/core/eid/(person|professional)/uuid/" + _UUID
)
_NAME_ID: Final = saml("NameID")
_IDENTIFIERS: Final = (saml("BaseID"), _NAME_ID, saml("EncryptedID"))
_AUDIENCE: Final = saml("Audience")
_CONDITIONS: Final = frozenset((_AUDIENCES, _PROXY, saml("OneTimeUse")))


def _zone(received: ReceivedAssertion) -> bool:
    """Refuse a time without Z."""
    return unmarked(received.assertion.iter())


def _version(received: ReceivedAssertion) -> bool:
    """Refuse another version of SAML, whose rules are others."""
    return received.assertion.get("Version") != "2.0"


def _issuer(received: ReceivedAssertion) -> bool:
    """Refuse an Assertion by anybody but the upstream that was asked.

    The issuer of the Response around it does not matter.

    Source: docs/reference/attacks.md#18.
    """
    issuers = received.assertion.findall(ISSUER)
    return any(foreign(issuer, received.response.upstream) for issuer in issuers)


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


def _bearer(_received: ReceivedAssertion, confirmation: etree._Element) -> bool:
    """Refuse sender-vouches and holder-of-key, whose conditions nothing here looks at."""
    return confirmation.get("Method") != BEARER


def _recipient(received: ReceivedAssertion, confirmation: etree._Element) -> bool:
    """Refuse an Assertion made for another ACS: a service's that replays it here.

    Source: docs/reference/attacks.md#17.
    """
    return confirmed(confirmation, "Recipient") != received.response.acs


def _confirms_request(received: ReceivedAssertion, confirmation: etree._Element) -> bool:
    """Refuse an Assertion that answers another request (docs/reference/attacks.md#16).

    It is a genuine one in a Response that an attacker wrote.
    """
    return confirmed(confirmation, "InResponseTo") != received.response.expected.id


def _confirmation_end(_received: ReceivedAssertion, confirmation: etree._Element) -> bool:
    """Refuse a confirmation without an end: it could be used for ever."""
    return confirmed(confirmation, "NotOnOrAfter") is None


def _confirmation_expired(received: ReceivedAssertion, confirmation: etree._Element) -> bool:
    """Refuse a confirmation that has run out (docs/reference/attacks.md#19)."""
    return received.response.over(confirmation_end(confirmation))


def _confirmation_start(_received: ReceivedAssertion, confirmation: etree._Element) -> bool:
    """Refuse a bearer confirmation that starts later, which the profile forbids (4.1.4.2)."""
    return confirmed(confirmation, "NotBefore") is not None


_CONFIRMATION_CHECKS: Final[dict[str, Callable[[ReceivedAssertion, etree._Element], bool]]] = {
    "bearer": _bearer,
    "recipient": _recipient,
    "confirms_request": _confirms_request,
    "confirmation_end": _confirmation_end,
    "confirmation_expired": _confirmation_expired,
    "confirmation_start": _confirmation_start,
}


def _counting(received: ReceivedAssertion) -> etree._Element:
    """Return the SubjectConfirmation that counts: the first that no check refuses, else the first.

    Any one that holds suffices (core 2.4.1.1). Without one, an element without content.
    """
    confirmations = received.confirmations or [etree.Element("none")]
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
    found = [element.tag for element in received.subject.iter(*_IDENTIFIERS)]
    return found not in ([], [_NAME_ID])


def _bounds(received: ReceivedAssertion) -> bool:
    """Refuse an Assertion without the beginning or the end of its validity.

    Source: docs/reference/attacks.md#19.
    """
    return received.bound("NotBefore") is None or received.bound("NotOnOrAfter") is None


def _not_yet_valid(received: ReceivedAssertion) -> bool:
    """Refuse an Assertion before it holds."""
    return received.response.ahead(received.bound("NotBefore"))


def _expired(received: ReceivedAssertion) -> bool:
    """Refuse an Assertion after it has run out."""
    return received.response.over(received.bound("NotOnOrAfter"))


def _interval(received: ReceivedAssertion) -> bool:
    """Refuse a validity that ends before it begins: within the skew both bounds would hold."""
    start = received.bound("NotBefore")
    end = received.bound("NotOnOrAfter")
    return start is not None and end is not None and end <= start


def _audience_missing(received: ReceivedAssertion) -> bool:
    """Refuse an Assertion for anybody."""
    return not received.restrictions(_AUDIENCES)


def _audience(received: ReceivedAssertion) -> bool:
    """Refuse an Assertion one of whose restrictions leaves us out (core 2.5.1.4).

    All restrictions must hold at once.
    """
    own = received.response.upstream.sp_entity_id
    for restriction in received.restrictions(_AUDIENCES):
        audiences = [text(audience) for audience in restriction.iterfind(_AUDIENCE)]
        if own not in audiences:
            return True
    return False


def _unknown_condition(received: ReceivedAssertion) -> bool:
    """Refuse a condition not understood here: its validity cannot be established (core 2.5.1.1)."""
    if received.conditions is None:
        return False
    return any(condition.tag not in _CONDITIONS for condition in received.conditions)


def _proxying_forbidden(received: ReceivedAssertion) -> bool:
    """Refuse an Assertion that we may not pass on, or to listed services only (core 2.5.1.6)."""
    for restriction in received.restrictions(_PROXY):
        nought = not restriction.get("Count", "1").strip("+-0 ")
        if nought or restriction.find(_AUDIENCE) is not None:
            return True
    return False


def _statements(received: ReceivedAssertion) -> bool:
    """Refuse none and several AuthnStatements: which of them is meant would be a guess."""
    return len(received.statements) != 1


def _attribute_statements(received: ReceivedAssertion) -> bool:
    """Refuse none and several AttributeStatements where the profile has one.

    Then no attribute can stand in two places.
    """
    if not received.traits.strict:
        return False
    return len(received.assertion.findall(_ATTRIBUTES)) != 1


def _eid_name(received: ReceivedAssertion) -> bool:
    """Refuse a subject that is no UUID of the national eID's, persistent or transient.

    So does the profile's own validator.
    """
    if not received.traits.strict:
        return False
    name_id = received.subject.find(_NAME_ID)
    if name_id is None:
        return True
    if name_id.get("Format", "") not in {PERSISTENT, TRANSIENT}:
        return True
    return not _EID_NAME.fullmatch(text(name_id))


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
    ends = [moment(statement, "SessionNotOnOrAfter") for statement in received.statements]
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
    return not any(institution.answers_to(name) for name in asked)


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
                detail = refusal_details.zone(written_times(received.assertion.iter()))
            raise MessageRefused(f"response.{name}", detail, clock_off=clock_off)
