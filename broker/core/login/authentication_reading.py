"""Reads a verified authentication and the person's proofs, and makes the authentication by PIN."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from broker.core.borrowers.borrower import Borrower
from broker.core.entities import Assurance, Institution, Upstream
from broker.core.errors import AttributesRefused
from broker.core.identity.accepted_text import TextKind, find_text_fault
from broker.core.identity.attribute_values import is_value_within
from broker.core.identity.canonical_attributes import (
    AttributeMap,
    AttributeReading,
    Attributes,
    WireAttribute,
    drop_unusable_cpr,
    read_attributes,
)
from broker.core.identity.mailbox_proofs import (
    MAIL_PROOF,
    MailboxProof,
    find_asserted_address,
    find_proved_address,
)
from broker.core.identity.national_eid import check_eid_assertion, complete_eid_attributes
from broker.core.identity.rights import find_ground_without_cpr, has_usable_cpr
from broker.core.login.transaction import Authentication

# The NSIS attributes for the parts of a level. A value above the institution's maximum is left out
# here, after the level of a national eID was computed from them. eduPersonAssurance is limited
# earlier, while it is read.
_LEVEL_PARTS: Final = ("ial", "aal")
# The class that a service gets for a login by number and PIN (saml-authn-context 3.4.8: a password
# over a protected session).
PIN_CLASS: Final = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"


def make_pin_authentication(
    upstream: str, borrower: Borrower, now: datetime, cpr_person_id: str | None = None
) -> Authentication:
    """Return the authentication by a borrower's PIN: it identifies the account, not the person.

    ``cpr_person_id`` is the person id of the CPR number in the borrower's record.
    """
    return Authentication(
        upstream=upstream,
        issuer="",
        institution="",
        authorities=(),
        attributes=(WireAttribute("borrower_category", (borrower.category,)),),
        authn_instant=now,
        authn_context=PIN_CLASS,
        received=now,
        assertion_until=now,
        name_id=borrower.number,
        cpr_person_id=cpr_person_id,
    )


def read_authentication(
    authentication: Authentication,
    upstream: Upstream,
    maps: Mapping[str, AttributeMap],
    now: datetime,
    proofs: tuple[MailboxProof, ...] = (),
    *,
    named_affiliations: Collection[str] = (),
    others: Iterable[Institution] = (),
) -> AttributeReading:
    """Read a verified authentication by ``upstream``, with what the person has proved.

    ``named_affiliations`` are the affiliations that policies name in addition to those of
    eduPerson. ``others`` are the institutions of all upstreams: an address in the narrower scope
    of one of them does not verify a person of this institution.
    Raises AttributesRefused if its attributes cannot be trusted.
    """
    reading = _read_asserted(authentication, upstream, maps, now, named_affiliations)
    institution = upstream.institution(authentication.institution)
    if institution is not None:
        reading = _limit_level(reading, institution.max_assurance)
    if not has_usable_cpr(reading.ground):
        ground = find_ground_without_cpr(
            reading.attributes,
            is_library_account=upstream.local,
            has_persistent_name_id=bool(authentication.persistent_name_id),
        )
        reading = replace(reading, ground=ground)
    mails = reading.attributes.get("mail", ())
    with_address = replace(
        reading,
        withheld=(*reading.withheld, *authentication.withheld),
        verified_address=find_asserted_address(mails, reading.assurance, institution, others),
    )
    return add_proofs(with_address, proofs, now)


def _limit_level(reading: AttributeReading, cap: Assurance) -> AttributeReading:
    """Leave out the parts of a level that are above the institution's maximum."""
    above = []
    for name in _LEVEL_PARTS:
        values = reading.attributes.get(name, ())
        if not all(is_value_within(value, cap) for value in values):
            above.append(name)
    if not above:
        return reading
    allowed = {name: values for name, values in reading.attributes.items() if name not in above}
    withheld = (*reading.withheld, *((name, "above_cap") for name in above))
    return replace(reading, attributes=Attributes(allowed), withheld=withheld)


def _read_asserted(
    authentication: Authentication,
    upstream: Upstream,
    maps: Mapping[str, AttributeMap],
    now: datetime,
    named_affiliations: Collection[str],
) -> AttributeReading:
    wire = authentication.attributes
    if upstream.local:
        # The library system says whose account this is, and nothing about who logged in.
        own = Attributes({attribute.name: attribute.values for attribute in wire})
        return AttributeReading(own, assurance=None, cpr="none", age=None)
    institution = upstream.institution(authentication.institution)
    if institution is None:
        raise AttributesRefused("unknown_institution")
    attribute_map = maps[upstream.attribute_map]
    today = now.date()
    reading = read_attributes(wire, attribute_map, institution, today, named_affiliations)
    is_eid = upstream.profile == "oiosaml3"
    if is_eid:
        reading = check_eid_assertion(reading, wire, authentication.name_id, upstream)
    reading = drop_unusable_cpr(reading, institution)
    if is_eid or attribute_map.completes_names:
        return complete_eid_attributes(reading, today)
    return reading


def add_proofs(
    reading: AttributeReading, proofs: tuple[MailboxProof, ...], now: datetime
) -> AttributeReading:
    """Return the reading with what the person has proved, while it is valid.

    A contact address is added only if the upstream sent none.
    """
    if not proofs:
        return reading
    proved: dict[str, tuple[str, ...]] = {}
    for proof in proofs:
        if proof.until <= now:
            continue
        if proof.name != MAIL_PROOF:
            proved[proof.name] = (proof.address,)
            proved[f"{proof.name}_domain"] = (proof.domain,)
        elif not reading.attributes.one(MAIL_PROOF):
            proved[MAIL_PROOF] = (proof.address,)
    attributes = Attributes({**reading.attributes, **proved})
    verified = reading.verified_address or find_proved_address(proofs, now)
    return replace(reading, attributes=attributes, verified_address=verified)


def display_name(reading: AttributeReading) -> str:
    """Return the person's name, for a mail that says who asked for it.

    "" if the upstream sent no name, or a text that cannot be one.
    """
    attributes = reading.attributes
    parts = [attributes.one("gn"), attributes.one("sn")]
    name = " ".join(part for part in parts if part)
    if not name:
        name = attributes.one("cn") or ""
    if find_text_fault(name, TextKind.PERSON_NAME):
        return ""
    return name
