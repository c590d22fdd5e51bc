"""Attack: a Response with a valid signature and one error. Each check refuses its own message.

Source: docs/reference/attacks.md#15 to #20, #22 and #23.
"""

import pytest

from broker.adapters.saml.sp.assertion_checks import ASSERTION_CHECKS
from broker.adapters.saml.sp.response_checks import RESPONSE_CHECKS
from broker.core.login.transaction import Authentication
from tests.attacks.messages.defences import ASSERTION, RESPONSE, mark_by_check
from tests.attacks.messages.hostile_responses import (
    CONDITIONS,
    EARLIER,
    HOSTILE,
    RESTRICTION,
    STATEMENT,
    SUBJECT,
    VARIANTS,
    change_nothing,
)
from tests.attacks.test_response_trust import cause
from tests.plugins.saml_parties import Change, Parties, add, drop, edit


def test_every_check_has_its_message() -> None:
    """Each check in the tables has a message that only this check refuses."""
    assert {*RESPONSE_CHECKS, *ASSERTION_CHECKS} == set(HOSTILE)


@pytest.mark.parametrize("name", mark_by_check(HOSTILE, RESPONSE, ASSERTION))
@pytest.mark.profile(14, 18, 41, 42)
def test_a_message_wrong_in_one_thing_is_refused_for_it(parties: Parties, name: str) -> None:
    """The check of that name refuses the message, although the genuine upstream signed it."""
    row = HOSTILE[name]
    xml = row.octets(parties)
    assert cause(parties, xml, row.upstream, **dict(row.more)) == name


@pytest.mark.parametrize("name", HOSTILE)
def test_the_message_is_accepted_without_the_check(
    parties: Parties, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its check the message is accepted, which shows that the check is needed."""
    row = HOSTILE[name]
    xml = row.octets(parties)
    monkeypatch.setitem(RESPONSE_CHECKS if name in RESPONSE_CHECKS else ASSERTION_CHECKS, name, lambda _: False)
    assert parties.receive(xml, row.upstream, **dict(row.more)).answer.upstream == row.upstream


@pytest.mark.parametrize(
    ("name", "change"),
    [pytest.param(*row, marks=pytest.mark.attack({**RESPONSE, **ASSERTION}[row[0]])) for row in VARIANTS],
)
@pytest.mark.profile(14, 18)
def test_a_variant_is_refused(parties: Parties, name: str, change: Change) -> None:
    """Missing, empty, similar and additional values are refused."""
    assert cause(parties, parties.sign_response(parties.response(change), both=True)) == name


@pytest.mark.attack(17, 18, 19, 20, control=True)
@pytest.mark.parametrize(
    "change",
    [
        change_nothing,
        edit("saml:Issuer", Format="urn:oasis:names:tc:SAML:2.0:nameid-format:entity"),
        drop("saml:Issuer"),
        drop(f"{SUBJECT}/saml:NameID"),
        add(RESTRICTION, "<saml:Audience>https://another.example</saml:Audience>"),
        add(CONDITIONS, "<saml:OneTimeUse/>"),
        add(CONDITIONS, '<saml:ProxyRestriction Count="1"/>'),
        edit(STATEMENT, AuthnInstant=EARLIER),
        edit(STATEMENT, SessionNotOnOrAfter=None),
        edit(STATEMENT, SessionNotOnOrAfter="9999-12-31T23:59:59.999999Z"),
        edit(CONDITIONS, NotOnOrAfter="9999-12-31T23:59:59Z"),
        edit(".", IssueInstant="2026-11-25T12:00:00.1234567Z"),
    ],
)
@pytest.mark.profile(20)
def test_permitted_variants_are_accepted(parties: Parties, change: Change) -> None:
    """Control: changes that the SAML profile allows are accepted."""
    assert isinstance(parties.receive(parties.sign_response(parties.response(change))).answer, Authentication)
