"""How long an upstream's answer is remembered as spent: beyond the last second at which it would be taken again."""

from bisect import bisect_left
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from broker.adapters.stores.open_store import open_store
from broker.core.errors import AUTHN_FAILED, MessageRefused
from broker.core.login.transaction import ARRIVAL_USABLE_FOR, SKEW, UpstreamRefusal
from broker.core.lookup_hmacs import LookupHmacs
from broker.use_cases.login.arrivals import Arrivals
from tests.plugins.eid_messages import message
from tests.plugins.saml_parties import NOW, Parties, drop, edit, stamp
from tests.plugins.stored_arrivals import spend

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
def test_what_was_spent_is_remembered_as_long_as_it_could_be_taken(
    parties: Parties, upstream: str, minutes: int | None
) -> None:
    """The record, kept for SKEW beyond the end it is given, outlives the last second at which the answer passes."""
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


@pytest.mark.attack(15)
@pytest.mark.parametrize("ends", [timedelta(minutes=5), -timedelta(minutes=2)])
def test_the_record_lasts_for_the_skew_beyond_the_end(tmp_path: Path, ends: timedelta) -> None:
    """A clock that is behind by all that is allowed finds it still; and one that ended already lasts as an arrival."""
    arrivals = Arrivals(open_store("sqlite:broker.db", tmp_path), LookupHmacs("k", b"k" * 32))
    refused, until = UpstreamRefusal("wayf", AUTHN_FAILED), NOW + ends

    def arrive(at: timedelta) -> str:
        return arrivals.add("t" * 32, "_q1", refused, ("_r1", until), NOW + at)

    arrival_token = arrive(timedelta())
    spend(arrivals, arrival_token, NOW)
    last = max(ends, ARRIVAL_USABLE_FOR) + SKEW - SECOND
    with pytest.raises(MessageRefused, match=r"response\.replayed"):
        arrive(last)
    assert arrive(last + SECOND) == arrival_token
