"""Responses signed by the genuine upstream with one error each: one for each check, and variants of them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from lxml import etree

from broker.core.login.transaction import Outstanding
from tests.plugins.saml_parties import (
    AU,
    BASE,
    DIRECT,
    HUB,
    IDP,
    KU,
    NEMLOGIN,
    NOW,
    Change,
    Parties,
    add,
    drop,
    edit,
    say,
    stamp,
)

SUBJECT = "saml:Assertion/saml:Subject"
CONFIRMATION = f"{SUBJECT}/saml:SubjectConfirmation"
CONFIRMED = f"{CONFIRMATION}/saml:SubjectConfirmationData"
CONDITIONS = "saml:Assertion/saml:Conditions"
RESTRICTION = f"{CONDITIONS}/saml:AudienceRestriction"
STATEMENT = "saml:Assertion/saml:AuthnStatement"
AUTHORITY = f"{STATEMENT}/saml:AuthnContext/saml:AuthenticatingAuthority"
CODE = "samlp:Status/samlp:StatusCode"
LATER, EARLIER = stamp(NOW + timedelta(hours=1)), stamp(NOW - timedelta(hours=1))
MUCH_LATER, MUCH_EARLIER = stamp(NOW + timedelta(hours=2)), stamp(NOW - timedelta(hours=2))
IN_A_MINUTE, IN_TWO_MINUTES = stamp(NOW + timedelta(minutes=1)), stamp(NOW + timedelta(minutes=2))
OTHERS = "<saml:Audience>https://another.example</saml:Audience>"
_BEARER = '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"/>'


@dataclass(frozen=True)
class Hostile:
    """A Response with one error, signed by the genuine upstream; ``more`` holds further arguments for its reader."""

    change: Change
    upstream: str = "wayf"
    more: tuple[tuple[str, Any], ...] = ()
    sealed: bool = False

    def octets(self, parties: Parties) -> bytes:
        """Return the message, signed by the genuine upstream."""
        root, signer = parties.response(self.change, upstream=self.upstream), parties.signer(self.upstream)
        return (
            etree.tostring(parties.encrypt_response(root, signer))
            if self.sealed
            else parties.sign_response(root, signer, both=True)
        )


def repeat_element(path: str) -> Change:
    """Return a change that repeats the element at ``path``."""

    def change(root: Any) -> None:
        (found,) = root.xpath(path, namespaces={"saml": "urn:oasis:names:tc:SAML:2.0:assertion"})
        found.addnext(etree.fromstring(etree.tostring(found)))

    return change


def change_nothing(_root: Any) -> None:
    """Return the Response as it is."""


HOSTILE = {
    "other_upstream": Hostile(change_nothing, more=(("expected", Outstanding("_q1", "nemid", NOW)),)),
    "zone": Hostile(edit(".", IssueInstant="2026-11-25T12:00:00")),
    "version": Hostile(edit(".", Version="2.1")),
    "destination": Hostile(edit(".", Destination=f"{BASE}/saml/sp/nemid/acs")),
    "in_response_to": Hostile(edit(".", InResponseTo="_q2")),
    "issuer": Hostile(say("saml:Issuer", DIRECT)),
    "issuer_missing": Hostile(drop("saml:Issuer")),
    "issued_later": Hostile(edit(".", IssueInstant=LATER)),
    "issued_long_ago": Hostile(edit(".", IssueInstant=EARLIER)),
    "assertion_of_refusal": Hostile(edit(CODE, Value="urn:oasis:names:tc:SAML:2.0:status:Responder")),
    "plain": Hostile(change_nothing, upstream="eid"),
    "assertion_zone": Hostile(edit(STATEMENT, AuthnInstant="2026-11-25T12:00:00")),
    "assertion_version": Hostile(edit("saml:Assertion", Version="2.1")),
    "assertion_issuer": Hostile(say("saml:Assertion/saml:Issuer", DIRECT)),
    "assertion_issued_later": Hostile(edit("saml:Assertion", IssueInstant=LATER)),
    "assertion_issued_long_ago": Hostile(edit("saml:Assertion", IssueInstant=EARLIER)),
    "confirmations": Hostile(add(SUBJECT, _BEARER), "eid", sealed=True),
    "bearer": Hostile(edit(CONFIRMATION, Method="urn:oasis:names:tc:SAML:2.0:cm:sender-vouches")),
    "recipient": Hostile(edit(CONFIRMED, Recipient=f"{BASE}/saml/sp/wayf/acs/")),
    "confirms_request": Hostile(edit(CONFIRMED, InResponseTo="_q2")),
    "confirmation_end": Hostile(edit(CONFIRMED, NotOnOrAfter=None)),
    "confirmation_expired": Hostile(edit(CONFIRMED, NotOnOrAfter=EARLIER)),
    "confirmation_start": Hostile(edit(CONFIRMED, NotBefore=stamp(NOW))),
    "identifiers": Hostile(add(CONFIRMATION, "<saml:NameID>somebody</saml:NameID>", 0)),
    "bounds": Hostile(edit(CONDITIONS, NotBefore=None)),
    "not_yet_valid": Hostile(edit(CONDITIONS, NotBefore=LATER, NotOnOrAfter=MUCH_LATER)),
    "expired": Hostile(edit(CONDITIONS, NotBefore=MUCH_EARLIER, NotOnOrAfter=EARLIER)),
    "interval": Hostile(edit(CONDITIONS, NotBefore=IN_TWO_MINUTES, NotOnOrAfter=IN_A_MINUTE)),
    "audience_missing": Hostile(drop(RESTRICTION)),
    "audience": Hostile(say(f"{RESTRICTION}/saml:Audience", f"{BASE}/saml/sp/nemid/metadata")),
    "unknown_condition": Hostile(
        add(CONDITIONS, f'<saml:Condition xsi:type="saml:AudienceRestrictionType">{OTHERS}</saml:Condition>')
    ),
    "proxying_forbidden": Hostile(add(CONDITIONS, '<saml:ProxyRestriction Count="0"/>')),
    "statements": Hostile(repeat_element(STATEMENT)),
    "attribute_statements": Hostile(repeat_element("saml:Assertion/saml:AttributeStatement"), "eid", sealed=True),
    "eid_name": Hostile(
        say(f"{SUBJECT}/saml:NameID", "https://data.gov.dk/model/core/eid/person/1"), "eid", sealed=True
    ),
    "authenticated_later": Hostile(edit(STATEMENT, AuthnInstant=LATER)),
    "authenticated_before": Hostile(edit(STATEMENT, AuthnInstant=EARLIER), more=(("force_authn", True),)),
    "session_ended": Hostile(edit(STATEMENT, SessionNotOnOrAfter=EARLIER)),
    "loop": Hostile(
        add(f"{STATEMENT}/saml:AuthnContext", f"<saml:AuthenticatingAuthority>{IDP}</saml:AuthenticatingAuthority>", 1)
    ),
    "authority_missing": Hostile(drop(AUTHORITY)),
    "institution_unknown": Hostile(say(AUTHORITY, NEMLOGIN)),
    "institution_not_asked": Hostile(change_nothing, more=(("idp_list", (KU,)),)),
}
"""One row a check, named as the check is."""

VARIANTS = [
    ("destination", edit(".", Destination="")),
    ("destination", edit(".", Destination=f"{BASE}/saml/sp/wayf/ACS")),
    ("in_response_to", edit(".", InResponseTo=None)),
    ("issuer", edit("saml:Issuer", Format="urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified")),
    ("issuer", say("saml:Issuer", HUB + " ")),
    ("zone", edit(".", IssueInstant="2026-11-25T13:00:00+01:00")),
    ("zone", edit(".", IssueInstant="2026-11-25T24:00:00Z")),
    ("assertion_issuer", say("saml:Assertion/saml:Issuer", HUB + "/")),
    ("assertion_zone", edit(CONDITIONS, NotOnOrAfter="2026-11-25T13:04:00+01:00")),
    ("confirmations", drop(CONFIRMATION)),
    ("confirmations", drop(SUBJECT)),
    ("recipient", edit(CONFIRMED, Recipient=None)),
    ("recipient", drop(CONFIRMED)),
    ("confirms_request", edit(CONFIRMED, InResponseTo=None)),
    ("bounds", edit(CONDITIONS, NotOnOrAfter=None)),
    ("bounds", drop(CONDITIONS)),
    ("interval", edit(CONDITIONS, NotBefore=IN_A_MINUTE, NotOnOrAfter=IN_A_MINUTE)),
    ("audience", say(f"{RESTRICTION}/saml:Audience", BASE)),
    (
        "audience",
        add(
            CONDITIONS, "<saml:AudienceRestriction><saml:Audience>urn:other</saml:Audience></saml:AudienceRestriction>"
        ),
    ),
    ("proxying_forbidden", add(CONDITIONS, '<saml:ProxyRestriction Count="000"/>')),
    (
        "proxying_forbidden",
        add(CONDITIONS, "<saml:ProxyRestriction><saml:Audience>urn:other</saml:Audience></saml:ProxyRestriction>"),
    ),
    ("statements", drop(STATEMENT)),
    ("institution_unknown", say(AUTHORITY, AU + "/")),
    ("institution_unknown", say(AUTHORITY, "")),
    (
        "institution_unknown",
        add(f"{STATEMENT}/saml:AuthnContext", "<saml:AuthenticatingAuthority>urn:x</saml:AuthenticatingAuthority>"),
    ),
]
