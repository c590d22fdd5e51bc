"""Attack: expired, early or old Responses. Each time is tested at the last accepted and the first refused second.

Source: docs/reference/attacks.md#19.
"""

from datetime import timedelta
from typing import Any

import pytest

from broker.core.login.transaction import Authentication, Outstanding
from tests.attacks.test_response_trust import cause
from tests.plugins.saml_parties import NOW, Change, Parties, edit, stamp

SUBJECT = "saml:Assertion/saml:Subject"
CONFIRMATION = f"{SUBJECT}/saml:SubjectConfirmation"
CONFIRMED = f"{CONFIRMATION}/saml:SubjectConfirmationData"
CONDITIONS = "saml:Assertion/saml:Conditions"
STATEMENT = "saml:Assertion/saml:AuthnStatement"
LATER, EARLIER = stamp(NOW + timedelta(hours=1)), stamp(NOW - timedelta(hours=1))
_BEARER = '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"/>'


def nothing(_root: Any) -> None:
    """Return the Response as it is."""


SECOND = timedelta(seconds=1)
LIMITS = [
    ("not_yet_valid", edit(CONDITIONS, NotBefore=stamp(NOW)), -180),
    ("expired", edit(CONDITIONS, NotOnOrAfter=stamp(NOW)), 179),
    ("confirmation_expired", edit(CONFIRMED, NotOnOrAfter=stamp(NOW)), 179),
    ("session_ended", edit(STATEMENT, SessionNotOnOrAfter=stamp(NOW)), 179),
    ("authenticated_later", edit(STATEMENT, AuthnInstant=stamp(NOW)), -180),
]


@pytest.mark.attack(19)
@pytest.mark.parametrize(("name", "change", "last"), LIMITS)
@pytest.mark.profile(1)
def test_clocks_may_differ_by_180_seconds(parties: Parties, name: str, change: Change, last: int) -> None:
    """Each bound allows a clock difference of exactly 180 seconds."""
    off = timedelta(seconds=last)
    further = off + (SECOND if last > 0 else -SECOND)
    issued: dict[str, Any] = {"expected": Outstanding("_q1", "wayf", NOW - timedelta(minutes=10))}

    def message(now: timedelta) -> bytes:
        fresh = stamp(NOW + now)
        dated = (edit(".", IssueInstant=fresh), edit("saml:Assertion", IssueInstant=fresh))
        early = edit(CONDITIONS, NotBefore=stamp(NOW - timedelta(hours=1))) if name != "not_yet_valid" else nothing
        done = edit(STATEMENT, AuthnInstant=EARLIER) if name != "authenticated_later" else nothing
        return parties.sign_response(parties.response(*dated, early, done, change))

    assert isinstance(parties.receive(message(off), now=NOW + off, **issued).answer, Authentication)
    assert cause(parties, message(further), now=NOW + further, **issued) == name


@pytest.mark.attack(19)
@pytest.mark.parametrize("path", [".", "saml:Assertion"])
@pytest.mark.parametrize(
    ("seconds", "name"), [(-180, None), (-181, "issued_long_ago"), (180, None), (181, "issued_later")]
)
@pytest.mark.profile(1)
def test_an_issue_instant_may_be_off_by_180_seconds(
    parties: Parties, path: str, seconds: int, name: str | None
) -> None:
    """IssueInstant must lie between the request and now, with 180 seconds of clock difference."""
    xml = parties.sign_response(
        parties.response(edit(path, IssueInstant=stamp(NOW + timedelta(seconds=seconds)))), both=True
    )
    if name is None:
        assert isinstance(parties.receive(xml).answer, Authentication)
    else:
        assert cause(parties, xml).removeprefix("assertion_") == name


@pytest.mark.attack(15, 19)
@pytest.mark.parametrize(("seconds", "passes"), [(479, True), (480, False)])
def test_a_response_is_fresh_for_five_minutes(parties: Parties, seconds: int, passes: bool) -> None:
    """A Response older than five minutes is always refused, because used ids are not stored for ever."""
    long = (edit(CONDITIONS, NotOnOrAfter=LATER), edit(CONFIRMED, NotOnOrAfter=LATER))
    xml = parties.sign_response(parties.response(*long), both=True)
    now = NOW + timedelta(seconds=seconds)
    if passes:
        assert parties.receive(xml, now=now).until == NOW + timedelta(minutes=5)
    else:
        assert cause(parties, xml, now=now) == "issued_long_ago"


@pytest.mark.attack(19)
@pytest.mark.parametrize(("seconds", "passes"), [(-180, True), (-181, False)])
@pytest.mark.profile(26)
def test_forced_authentication_is_newer_than_the_request(parties: Parties, seconds: int, passes: bool) -> None:
    """With ForceAuthn the AuthnInstant must be newer than the request, so that an old session is refused.

    Source: docs/reference/saml-profiles.md#26.
    """
    change = edit(STATEMENT, AuthnInstant=stamp(NOW + timedelta(seconds=seconds)))
    xml = parties.sign_response(parties.response(change))
    if passes:
        assert isinstance(parties.receive(xml, force_authn=True).answer, Authentication)
    else:
        assert cause(parties, xml, force_authn=True) == "authenticated_before"
