"""How long an upstream's answer is remembered as spent: beyond the last second at which it would be taken again."""

from bisect import bisect_left
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from lxml import etree

from broker.core.errors import MessageRefused
from broker.core.login.transaction import SKEW
from tests.plugins.eid_messages import message
from tests.plugins.saml_parties import NOW, Parties, drop, edit, stamp

CONDITIONS = "saml:Assertion/saml:Conditions"
CONFIRMED = "saml:Assertion/saml:Subject/saml:SubjectConfirmation/saml:SubjectConfirmationData"
RESPONDER = "urn:oasis:names:tc:SAML:2.0:status:Responder"
SECOND = timedelta(seconds=1)


def answer(parties: Parties, upstream: str, minutes: int | None) -> bytes:
    """Give an answer whose assertion holds for so many minutes, or an error status, which says nothing of the kind."""
    if minutes is None:
        status = edit("samlp:Status/samlp:StatusCode", Value=RESPONDER)
        return etree.tostring(parties.response(drop("saml:Assertion"), status, upstream=upstream))
    end = stamp(NOW + timedelta(minutes=minutes))
    ends = (edit(CONDITIONS, NotOnOrAfter=end), edit(CONFIRMED, NotOnOrAfter=end))
    if upstream == "eid":
        return message(parties, *ends)
    return parties.sign_response(parties.response(*ends), parties.signer(upstream), both=True)


def passes(parties: Parties, xml: bytes, upstream: str, seconds: int) -> bool:
    """Say whether the answer would be taken so long after it was made."""
    try:
        parties.receive(xml, upstream, now=NOW + seconds * SECOND)
    except MessageRefused:
        return False
    return True


@pytest.mark.attack(15)
@pytest.mark.parametrize("minutes", [None, 1, 4, 60])
@pytest.mark.parametrize("upstream", ["eid", "wayf"])
def test_a_used_answer_is_remembered_until_it_expires(parties: Parties, upstream: str, minutes: int | None) -> None:
    """The record of the answer outlives the last second at which the answer would be accepted."""
    xml = answer(parties, upstream, minutes)
    kept = parties.receive(xml, upstream).until + SKEW
    last = bisect_left(range(700), 1, key=lambda each: int(not passes(parties, xml, upstream, each))) - 1
    assert last >= 60
    assert kept > NOW + last * SECOND


@pytest.mark.attack(15)
def test_of_two_confirmations_the_later_end_counts(parties: Parties) -> None:
    """When the first has run out the Assertion could come again by the second: it is remembered until then."""
    sooner, later = (stamp(NOW + timedelta(minutes=each)) for each in (1, 4))

    def another(root: Any) -> None:
        confirmation = root.find(".//{*}SubjectConfirmation")
        confirmation.addprevious(deepcopy(confirmation))
        confirmation.getprevious()[0].set("NotOnOrAfter", sooner)

    xml = parties.sign_response(parties.response(edit(CONFIRMED, NotOnOrAfter=later), another))
    assert parties.receive(xml, "wayf").until == NOW + timedelta(minutes=4)
