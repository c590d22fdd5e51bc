"""Every check of the Assertion in an upstream's Response, in the style of response_checks.

Sources: saml-core 2.3-2.7, saml-profiles 4.1.4, attacks.md rows 15 to 20, saml_profiles.md rows 18,
26 and 42.
"""

import re
from collections.abc import Callable
from typing import Final

from broker.adapters.saml.faces.received_response import (
    ReceivedAssertion,
    foreign,
    future,
    moment,
    old,
    saml,
    scoped,
    text,
    unmarked,
)
from broker.adapters.saml.gate.xml_names import ISSUER
from broker.core.entities import PERSISTENT, TRANSIENT

BEARER: Final = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
_CONFIRMATION: Final = saml("Subject", "SubjectConfirmation")
_AUDIENCES: Final = saml("AudienceRestriction")
_PROXY: Final = saml("ProxyRestriction")
_ATTRIBUTES: Final = saml("AttributeStatement")
_EID_NAME: Final = re.compile(
    r"https://data\.gov\.dk/model/core/eid/(person|professional)/uuid/[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
)
_CONDITIONS: Final = frozenset((_AUDIENCES, _PROXY, saml("OneTimeUse")))


def _zone(claim: ReceivedAssertion) -> bool:
    """Refuse a time without Z."""
    return unmarked(claim.assertion.iter())


def _version(claim: ReceivedAssertion) -> bool:
    """Refuse another version of SAML, whose rules are others."""
    return claim.assertion.get("Version") != "2.0"


def _issuer(claim: ReceivedAssertion) -> bool:
    """Refuse an Assertion by anybody but the upstream that was asked, whoever the Response is by (row 18)."""
    return any(foreign(each, claim.answer.upstream) for each in claim.assertion.findall(ISSUER))


def _issued_later(claim: ReceivedAssertion) -> bool:
    """Refuse an Assertion from the future."""
    return future(claim.assertion, claim.answer)


def _issued_long_ago(claim: ReceivedAssertion) -> bool:
    """Refuse an Assertion older than the request: made for another login, and wrapped anew."""
    return old(claim.assertion, claim.answer)


def _confirmations(claim: ReceivedAssertion) -> bool:
    """Refuse none and several: one of them may hold where another does not (row 20)."""
    return len(claim.assertion.findall(_CONFIRMATION)) != 1


def _bearer(claim: ReceivedAssertion) -> bool:
    """Refuse sender-vouches and holder-of-key, whose conditions nothing here looks at."""
    return any(each.get("Method") != BEARER for each in claim.assertion.findall(_CONFIRMATION))


def _recipient(claim: ReceivedAssertion) -> bool:
    """Refuse an Assertion made for another ACS: a service's that replays it here (row 17)."""
    return claim.confirmed("Recipient") != claim.answer.acs


def _confirms_request(claim: ReceivedAssertion) -> bool:
    """Refuse an Assertion that answers another request: a genuine one in a Response of somebody's own (row 16)."""
    return claim.confirmed("InResponseTo") != claim.answer.expected.id


def _confirmation_end(claim: ReceivedAssertion) -> bool:
    """Refuse a confirmation without an end: it could be used for ever."""
    return claim.confirmed("NotOnOrAfter") is None


def _confirmation_expired(claim: ReceivedAssertion) -> bool:
    """Refuse a confirmation that has run out (row 19)."""
    end = None if claim.confirmation is None else moment(claim.confirmation, "NotOnOrAfter")
    return end is not None and end <= claim.answer.now - claim.answer.skew


def _confirmation_start(claim: ReceivedAssertion) -> bool:
    """Refuse a bearer confirmation that starts later, which the profile forbids (4.1.4.2)."""
    return claim.confirmed("NotBefore") is not None


def _identifiers(claim: ReceivedAssertion) -> bool:
    """Refuse two identifiers, one of them in the confirmation, and any that is no plain NameID (row 20)."""
    found = [
        name for name in ("BaseID", "NameID", "EncryptedID") for _ in claim.subject.iter(saml(name))
    ]
    return found not in ([], ["NameID"])


def _bounds(claim: ReceivedAssertion) -> bool:
    """Refuse an Assertion that does not say from when until when it holds (row 19)."""
    return claim.bound("NotBefore") is None or claim.bound("NotOnOrAfter") is None


def _not_yet_valid(claim: ReceivedAssertion) -> bool:
    """Refuse an Assertion before it holds."""
    start = claim.bound("NotBefore")
    return start is not None and start > claim.answer.now + claim.answer.skew


def _expired(claim: ReceivedAssertion) -> bool:
    """Refuse an Assertion after it has run out."""
    end = claim.bound("NotOnOrAfter")
    return end is not None and end <= claim.answer.now - claim.answer.skew


def _audience_missing(claim: ReceivedAssertion) -> bool:
    """Refuse an Assertion for anybody."""
    return not claim.restrictions(_AUDIENCES)


def _audience(claim: ReceivedAssertion) -> bool:
    """Refuse an Assertion one of whose restrictions leaves us out: all must hold at once (core 2.5.1.4)."""
    own = claim.answer.upstream.sp_entity_id
    return any(
        own not in {text(each) for each in restriction.iterfind(saml("Audience"))}
        for restriction in claim.restrictions(_AUDIENCES)
    )


def _unknown_condition(claim: ReceivedAssertion) -> bool:
    """Refuse a condition not understood here: its validity cannot be established (core 2.5.1.1)."""
    return (
        claim.conditions is not None and not {each.tag for each in claim.conditions} <= _CONDITIONS
    )


def _proxying_forbidden(claim: ReceivedAssertion) -> bool:
    """Refuse an Assertion that we may not pass on, or to listed services only (core 2.5.1.6)."""
    return any(
        not each.get("Count", "1").strip("+-0 ") or each.find(saml("Audience")) is not None
        for each in claim.restrictions(_PROXY)
    )


def _statements(claim: ReceivedAssertion) -> bool:
    """Refuse none and several AuthnStatements: which of them tells when and where is anybody's guess."""
    return len(claim.statements) != 1


def _attribute_statements(claim: ReceivedAssertion) -> bool:
    """Refuse none and several AttributeStatements where the profile has one: what it says stands in one place."""
    return claim.answer.manner.strict and len(claim.assertion.findall(_ATTRIBUTES)) != 1


def _eid_name(claim: ReceivedAssertion) -> bool:
    """Refuse a subject that is no UUID of the national eID's, persistent or transient (the profile's own validator)."""
    if not claim.answer.manner.strict:
        return False
    name_id = claim.subject.find(saml("NameID"))
    kind = "" if name_id is None else name_id.get("Format", "")
    return kind not in {PERSISTENT, TRANSIENT} or not _EID_NAME.fullmatch(text(name_id))


def _authenticated_later(claim: ReceivedAssertion) -> bool:
    """Refuse an authentication in the future."""
    return any(at > claim.answer.now + claim.answer.skew for at in claim.instants)


def _authenticated_before(claim: ReceivedAssertion) -> bool:
    """Refuse an older authentication where a new one was demanded (saml_profiles.md row 26)."""
    return claim.force_authn and any(
        at < claim.answer.expected.sent - claim.answer.skew for at in claim.instants
    )


def _session_ended(claim: ReceivedAssertion) -> bool:
    """Refuse a session that is over (row 19)."""
    ends = [moment(each, "SessionNotOnOrAfter") for each in claim.statements]
    return any(end is not None and end <= claim.answer.now - claim.answer.skew for end in ends)


def _loop(claim: ReceivedAssertion) -> bool:
    """Refuse an authentication that came through ourselves (row 42)."""
    return not claim.own.isdisjoint(claim.authorities)


def _authority_missing(claim: ReceivedAssertion) -> bool:
    """Refuse a hub that does not say which of its institutions answered: scopes cannot be held against anyone."""
    return claim.answer.manner.hub and not claim.authorities


def _institution_unknown(claim: ReceivedAssertion) -> bool:
    """Refuse an institution that is none of this upstream's; only the last authority counts (wayf.md section 4)."""
    return bool(claim.authorities) and claim.institution is None


def _institution_not_asked(claim: ReceivedAssertion) -> bool:
    """Refuse an institution that was not scoped: the hub's chooser obeys the browser (wayf.md section 3)."""
    upstream, institution = claim.answer.upstream, claim.institution
    return institution is not None and not any(
        institution.answers_to(name) for name in scoped(upstream, claim.idp_list)
    )


ASSERTION_CHECKS: Final[dict[str, Callable[[ReceivedAssertion], bool]]] = {
    "assertion_zone": _zone,
    "assertion_version": _version,
    "assertion_issuer": _issuer,
    "assertion_issued_later": _issued_later,
    "assertion_issued_long_ago": _issued_long_ago,
    "confirmations": _confirmations,
    "bearer": _bearer,
    "recipient": _recipient,
    "confirms_request": _confirms_request,
    "confirmation_end": _confirmation_end,
    "confirmation_expired": _confirmation_expired,
    "confirmation_start": _confirmation_start,
    "identifiers": _identifiers,
    "bounds": _bounds,
    "not_yet_valid": _not_yet_valid,
    "expired": _expired,
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
