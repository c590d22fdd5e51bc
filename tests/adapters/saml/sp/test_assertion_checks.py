"""The checks of an Assertion, each beside a message that it alone refuses, and its last second."""

from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from saml2 import saml

from broker.adapters.saml.sp.assertion_checks import ASSERTION_CHECKS
from broker.adapters.saml.sp.received_response import ReceivedAssertion
from broker.adapters.saml.xml_security import message_reading
from broker.adapters.saml.xml_security.xml_names import ASSERTION
from broker.core.login.transaction import Outstanding
from tests.attacks.messages.hostile_responses import (
    AUTHORITY,
    CONDITIONS,
    CONFIRMATION,
    CONFIRMED,
    EARLIER,
    LATER,
    RESTRICTION,
    STATEMENT,
    SUBJECT,
    repeat_element,
)
from tests.plugins.saml_parties import (
    AU,
    AU_ALIAS,
    BASE,
    DIRECT,
    HUB,
    KU,
    NOW,
    Change,
    Parties,
    add,
    drop,
    edit,
    say,
    stamp,
)

ENTITY_FORMAT: Final = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
UNSPECIFIED: Final = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
UUID: Final = "6b1c0a52-77f0-4d0e-9d0e-0c2c6f1d7a10"
EID_NAME: Final = f"https://data.gov.dk/model/core/eid/person/uuid/{UUID}"
NAME_ID: Final = f"{SUBJECT}/saml:NameID"
ATTRIBUTES: Final = "saml:Assertion/saml:AttributeStatement"
AUTHN_CONTEXT: Final = f"{STATEMENT}/saml:AuthnContext"
_OTHERS: Final = "<saml:Audience>urn:other</saml:Audience>"


@dataclass(frozen=True)
class Message:
    """An Assertion, true but for the changes, and what it is held against."""

    changes: tuple[Change, ...] = ()
    upstream: str = "wayf"
    more: dict[str, Any] = field(default_factory=dict)

    def make_received(self, parties: Parties, now: datetime = NOW) -> ReceivedAssertion:
        """Give the Assertion as the checks read it: its signature is verified before."""
        root = parties.response(*self.changes, upstream=self.upstream)
        return ReceivedAssertion(
            message=message_reading.read_unsigned(saml.Assertion, root.find(ASSERTION)),
            address=parties.acs(self.upstream),
            signed=True,
            now=now,
            upstream=parties.upstreams[self.upstream],
            expected=Outstanding("_q1", self.upstream, NOW),
            own_entity_ids=parties.sp.own_entity_ids,
            force_authn=self.more.get("force_authn", False),
            idp_list=self.more.get("idp_list", ()),
        )


def offending(received: ReceivedAssertion) -> list[str]:
    """Give the names of the checks that refuse the Assertion, in their order."""
    return [name for name, offends in ASSERTION_CHECKS.items() if offends(received)]


@pytest.mark.parametrize("upstream", ["wayf", "nemid", "kb", "eid"])
def test_a_true_assertion_offends_no_check(parties: Parties, upstream: str) -> None:
    """Of every profile, with and without ForceAuthn."""
    for force_authn in (False, True):
        message = Message((), upstream, {"force_authn": force_authn})
        assert offending(message.make_received(parties)) == []


ALSO_REFUSED: Final[dict[str, tuple[str, Message]]] = {
    "an issuer of another format": (
        "assertion_issuer",
        Message((edit("saml:Assertion/saml:Issuer", Format=UNSPECIFIED),)),
    ),
    "an issue instant without Z": (
        "assertion_zone",
        Message((edit("saml:Assertion", IssueInstant="2026-11-25T12:00:00"),)),
    ),
    "a session end without Z": (
        "assertion_zone",
        Message((edit(STATEMENT, SessionNotOnOrAfter="2026-11-25T16:00:00"),)),
    ),
    "a time of the confirmation without Z": (
        "assertion_zone",
        Message((edit(CONFIRMED, NotOnOrAfter="2026-11-25T12:04:00"),)),
    ),
    "a holder of a key": (
        "bearer",
        Message((edit(CONFIRMATION, Method="urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"),)),
    ),
    "a confirmation that starts in the past": ("confirmation_start", Message((edit(CONFIRMED, NotBefore=EARLIER),))),
    "an encrypted name": ("identifiers", Message((drop(NAME_ID), add(SUBJECT, "<saml:EncryptedID/>", 0)))),
    "a name of no kind": ("identifiers", Message((drop(NAME_ID), add(SUBJECT, "<saml:BaseID/>", 0)))),
    "a proxy count with a sign": (
        "proxying_forbidden",
        Message((add(CONDITIONS, '<saml:ProxyRestriction Count="+0"/>'),)),
    ),
    "services that it may be passed on to": (
        "proxying_forbidden",
        Message((add(CONDITIONS, f'<saml:ProxyRestriction Count="5">{_OTHERS}</saml:ProxyRestriction>'),)),
    ),
    "no attributes from NemLog-in": ("attribute_statements", Message((drop(ATTRIBUTES),), "eid")),
    "a UUID of another format": ("eid_name", Message((edit(NAME_ID, Format=UNSPECIFIED),), "eid")),
    "a UUID without a format": ("eid_name", Message((edit(NAME_ID, Format=None),), "eid")),
    "no name from NemLog-in": ("eid_name", Message((drop(NAME_ID),), "eid")),
    "a UUID with more behind it": ("eid_name", Message((say(NAME_ID, EID_NAME + "0"),), "eid")),
    "a UUID of another kind of person": (
        "eid_name",
        Message((say(NAME_ID, EID_NAME.replace("/person/", "/company/")),), "eid"),
    ),
    "ourselves as service provider in the chain": (
        "loop",
        Message(
            (
                add(
                    AUTHN_CONTEXT,
                    "<saml:AuthenticatingAuthority>https://broker.example/saml/sp/kb/metadata"
                    "</saml:AuthenticatingAuthority>",
                    1,
                ),
            )
        ),
    ),
    "an authority of an upstream that is no hub": (
        "institution_unknown",
        Message((add(AUTHN_CONTEXT, f"<saml:AuthenticatingAuthority>{AU}</saml:AuthenticatingAuthority>"),), "kb"),
    ),
    "a service's list without the upstream's own name": (
        "institution_not_asked",
        Message((), "kb", {"idp_list": (AU,)}),
    ),
    "a service's list that nobody here knows": (
        "institution_not_asked",
        Message((), "wayf", {"idp_list": ("urn:unknown",)}),
    ),
}


@pytest.mark.parametrize("case", ALSO_REFUSED)
def test_the_other_halves_of_a_check_refuse_too(parties: Parties, case: str) -> None:
    """Where a check looks at several things, each of them is refused, and no other check would have seen it."""
    name, message = ALSO_REFUSED[case]
    assert offending(message.make_received(parties)) == [name]


ALLOWED: Final[dict[str, Message]] = {
    "an issuer of the entity format": Message((edit("saml:Assertion/saml:Issuer", Format=ENTITY_FORMAT),)),
    "no name": Message((drop(NAME_ID),)),
    "another audience beside us": Message((add(RESTRICTION, _OTHERS),)),
    "two restrictions that both name us": Message((repeat_element(RESTRICTION),)),
    "one use": Message((add(CONDITIONS, "<saml:OneTimeUse/>"),)),
    "one proxy more": Message((add(CONDITIONS, '<saml:ProxyRestriction Count="1"/>'),)),
    "proxies without a count": Message((add(CONDITIONS, "<saml:ProxyRestriction/>"),)),
    "no attributes from a hub": Message((drop(ATTRIBUTES),)),
    "two attribute statements from a hub": Message((repeat_element(ATTRIBUTES),)),
    "an authentication of an hour ago": Message((edit(STATEMENT, AuthnInstant=EARLIER),)),
    "a session without an end": Message((edit(STATEMENT, SessionNotOnOrAfter=None),)),
    "a professional of NemLog-in": Message((say(NAME_ID, EID_NAME.replace("/person/", "/professional/")),), "eid"),
    "a transient name of NemLog-in": Message(
        (edit(NAME_ID, Format="urn:oasis:names:tc:SAML:2.0:nameid-format:transient"),), "eid"
    ),
    "an institution by its alias": Message((say(AUTHORITY, AU_ALIAS),)),
    "an institution that the service lists": Message((), "wayf", {"idp_list": ("urn:unknown", AU)}),
    "a service that lists the hub": Message((), "wayf", {"idp_list": (HUB,)}),
    "a service that lists an upstream that is no hub": Message((), "kb", {"idp_list": (DIRECT,)}),
    "another institution of the hub": Message((say(AUTHORITY, KU),)),
}


@pytest.mark.parametrize("case", ALLOWED)
def test_permitted_variants_pass_every_check(parties: Parties, case: str) -> None:
    """The same Assertion, changed in a way that upstreams may."""
    assert offending(ALLOWED[case].make_received(parties)) == []


@dataclass(frozen=True)
class End:
    """A time of the Assertion, the check that bounds it, and the last whole second that passes.

    ``last`` counts from now, by the skew of the profile; the next second away from now is refused.
    """

    name: str
    path: str
    attribute: str
    last: int
    step: int = -1
    more: tuple[tuple[str, Any], ...] = ()


# NemLog-in's clock may differ by 300 seconds (OIO-GE-01). The bounds of the other upstreams, 180 seconds, are in
# tests/attacks/test_response_times.py.
ENDS: Final = [
    End("assertion_issued_later", "saml:Assertion", "IssueInstant", 300, step=1),
    End("assertion_issued_long_ago", "saml:Assertion", "IssueInstant", -299),
    End("confirmation_expired", CONFIRMED, "NotOnOrAfter", -299),
    End("not_yet_valid", CONDITIONS, "NotBefore", 300, step=1),
    End("expired", CONDITIONS, "NotOnOrAfter", -299),
    End("authenticated_later", STATEMENT, "AuthnInstant", 300, step=1),
    End("authenticated_before", STATEMENT, "AuthnInstant", -300, more=(("force_authn", True),)),
    End("session_ended", STATEMENT, "SessionNotOnOrAfter", -299),
]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.name)
def test_a_time_is_good_to_its_last_second(parties: Parties, end: End) -> None:
    """The last second passes every check, the next one is refused, by the check of that time alone."""

    def list_refusals_at(seconds: int) -> list[str]:
        moved = edit(end.path, **{end.attribute: stamp(NOW + timedelta(seconds=seconds))})
        long = edit(CONDITIONS, NotBefore=EARLIER, NotOnOrAfter=LATER)
        return offending(Message((long, moved), "eid", dict(end.more)).make_received(parties))

    assert list_refusals_at(end.last) == []
    assert list_refusals_at(end.last + end.step) == [end.name]


def test_an_assertion_without_its_parts_is_refused_and_breaks_nothing(parties: Parties) -> None:
    """Subject, Conditions and AuthnStatement may all be missing: the checks refuse, and none of them raises."""
    parts = (drop(SUBJECT), drop(CONDITIONS), drop(STATEMENT))
    assert offending(Message(parts).make_received(parties)) == [
        "confirmations",
        "bearer",
        "recipient",
        "confirms_request",
        "confirmation_end",
        "bounds",
        "audience_missing",
        "statements",
        "authority_missing",
    ]


def bearer(method: str = "bearer", **changes: str | None) -> Change:
    """Give a change that puts another SubjectConfirmation before the true one, which is copied and changed so."""

    def change(root: Any) -> None:
        confirmation = root.find(".//{*}SubjectConfirmation")
        other = deepcopy(confirmation)
        other.set("Method", f"urn:oasis:names:tc:SAML:2.0:cm:{method}")
        for name, value in changes.items():
            if value is None:
                del other[0].attrib[name]
            else:
                other[0].set(name, value)
        confirmation.addprevious(other)

    return change


BESIDE: Final = {
    "another ACS": ("recipient", bearer(Recipient="https://elsewhere.example/acs")),
    "another request": ("confirms_request", bearer(InResponseTo="_q2")),
    "no end": ("confirmation_end", bearer(NotOnOrAfter=None)),
    "an end that is over": ("confirmation_expired", bearer(NotOnOrAfter=EARLIER)),
    "a start": ("confirmation_start", bearer(NotBefore=EARLIER)),
    "another method": ("bearer", bearer("sender-vouches")),
}


@pytest.mark.parametrize("case", BESIDE)
def test_any_one_bearer_that_holds_suffices(parties: Parties, case: str) -> None:
    """A second SubjectConfirmation, for another address or time, is no fault; NemLog-in's profile has one only."""
    _, beside = BESIDE[case]
    assert offending(Message((beside,)).make_received(parties)) == []
    assert offending(Message((beside,), "eid").make_received(parties)) == ["confirmations"]


@pytest.mark.parametrize("case", BESIDE)
def test_no_two_bearers_make_up_one(parties: Parties, case: str) -> None:
    """Where none holds by itself, the first is named: what one lacks another cannot lend it."""
    name, beside = BESIDE[case]
    other = edit(f"{SUBJECT}/saml:SubjectConfirmation[2]/saml:SubjectConfirmationData", Recipient=BASE)
    assert offending(Message((beside, other)).make_received(parties)) == [name]


def test_the_worst_of_several_counts(parties: Parties) -> None:
    """A second issuer and a second statement excuse nothing that the first of them has wrong."""

    def older(root: Any) -> None:
        root.find(".//{*}AuthnStatement").set("AuthnInstant", EARLIER)

    issuer = add("saml:Assertion", f"<saml:Issuer>{DIRECT}</saml:Issuer>", 1)
    assert offending(Message((issuer,)).make_received(parties)) == ["assertion_issuer"]
    statements = Message((repeat_element(STATEMENT), older), more={"force_authn": True})
    assert offending(statements.make_received(parties)) == ["statements", "authenticated_before"]
