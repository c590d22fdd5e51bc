"""Describe a login by some of its facts; the other facts are made up and named."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Final

from broker.core.entities import Assurance, Institution, Names, Upstream
from broker.core.errors import AttributesRefused
from broker.core.identity.attribute_values import SCOPED_AFFILIATION, read_role
from broker.core.identity.canonical_attributes import (
    ASSURANCE,
    CPR_ATTRIBUTE,
    CPR_STAND_IN,
    EPPN,
    AttributeMap,
    AttributeReading,
    Attributes,
    MapRow,
    ReadingWithoutCpr,
    Values,
    WireAttribute,
    drop_unusable_cpr,
    find_outgoing_row,
)
from broker.core.identity.mailbox_proofs import MailboxProof
from broker.core.identity.rights import MAY_ASSERT_CPR
from broker.core.login.authentication_reading import read_authentication
from broker.core.login.described_login import DescribedBorrower
from broker.core.login.site import CATEGORY, Site
from broker.core.login.transaction import Authentication, LoginPurpose
from broker.core.policy.model import PolicySet

# The category of a borrower that no policy rule changes.
UNNAMED_CATEGORY: Final = "(another category)"
HOME: Final = "schacHomeOrganization"
MADE_UP: Final = {
    "gn": "Kim",
    "sn": "Example",
    "cn": "Kim Example",
    "displayName": "Kim Example",
    "mail": "kim@mailbox.example",
}
NOT_OFFERED: Final = ("not_offered", "")
SPEC_VERSION: Final = "specVersion"
_OIOSAML: Final = "OIO-SAML-3.0"
_AGE: Final = 30
_REMEMBERED: Final = timedelta(days=365)
# The kinds of CPR number that contain a birth date.
_DATED: Final = frozenset({"real", "replacement"})
_NUMBERED: Final = frozenset({"real", "replacement", "constructed"})


@dataclass(frozen=True)
class GivenFacts:
    """The facts of a login that is described, not received.

    A fact that is None, and an attribute not in ``attributes``, is made up, except with ``whole``.
    ``affiliations`` are scoped. ``without`` are attributes that are not sent. ``addresses`` are the
    mailboxes that the person can prove, by the name of the proof; ``proved`` are those proved in
    earlier logins. Without an ``institution`` the scopes choose one. ``made_up`` names the facts
    that nobody stated.
    """

    upstream: str
    institution: str = ""
    affiliations: Names = ()
    attributes: Mapping[str, Values] = field(default_factory=dict, repr=False)
    without: Names = ()
    assurance: Assurance | None = None
    cpr: str | None = None
    age: int | None = None
    intent: str | None = None
    purpose: LoginPurpose = LoginPurpose.LOGIN
    borrower: DescribedBorrower | None = None
    addresses: Mapping[str, str] = field(default_factory=dict, repr=False)
    proved: Mapping[str, str] = field(default_factory=dict, repr=False)
    upgrade: bool = True
    whole: bool = False
    made_up: Names = ()


@dataclass(frozen=True, kw_only=True)
class DescribedLogin(GivenFacts):
    """A login as it is read, without a name or number of the person.

    ``reading`` holds the asserted attributes, read as in a real login. ``fault`` is the reason
    code, with the attribute, for which the reading is not trusted. ``upgrade`` is the answer to the
    offer of another category. The person answers yes to everything else.
    """

    reading: ReadingWithoutCpr
    fault: tuple[str, str] | None = None


def find_institution(given: GivenFacts, upstream: Upstream) -> Institution | None:
    """Return the institution that may assert the given scopes; the first if none may."""
    scopes = [value.rpartition("@")[2] for value in given.affiliations]
    scopes += given.attributes.get(HOME, ())
    for institution in upstream.institutions:
        if any(_covers(institution.scopes, scope) for scope in scopes):
            return institution
    return next(iter(upstream.institutions), None)


def complete_facts(
    given: GivenFacts, upstream: Upstream, names: frozenset[str] | None, policies: PolicySet
) -> GivenFacts:
    """Return the facts, with made-up ones for those that are missing.

    ``names`` are the attributes that the upstream can send (None: any).
    """
    institution = find_institution(given, upstream)
    facts = replace(
        given,
        attributes=_add_affiliations(given),
        institution=institution.entity_id if institution else "",
    )
    if given.whole:
        return facts
    if upstream.local:
        return _complete_account(facts, policies)
    invented = {
        name: (value,)
        for name, value in _make_up_attributes(facts, institution, policies)
        if _is_missing(name, facts, names)
    }
    facts = replace(facts, attributes={**facts.attributes, **invented})
    usual = _make_up_kinds(facts, institution)
    said = (f"{name} {getattr(each, 'name', str(each)).lower()}" for name, each in usual.items())
    return replace(facts, **usual, made_up=(*said, *invented))


def _make_up_kinds(given: GivenFacts, institution: Institution | None) -> dict[str, Any]:
    """Return the level, the kind of CPR number and the age that are not given."""
    usual: dict[str, Any] = {}
    if given.assurance is None:
        is_eid = institution is not None and institution.national_eid
        usual["assurance"] = Assurance.SUBSTANTIAL if is_eid else Assurance.LOW
    if given.cpr is None:
        is_sent = institution is not None and MAY_ASSERT_CPR in institution.may_assert
        usual["cpr"] = "real" if is_sent and CPR_ATTRIBUTE not in given.without else "none"
    if given.age is None and usual.get("cpr", given.cpr) in _DATED:
        usual["age"] = _AGE
    return usual


def describe_login(
    facts: GivenFacts, site: Site, policies: PolicySet, now: datetime
) -> DescribedLogin:
    """Return the login as it is read at ``site``, by the rules of a real login.

    Only the kind of a CPR number is kept, if the institution may assert a number. An upstream that
    the site does not have is the fault of the login.
    """
    nothing = AttributeReading(Attributes(), None, "none", None).mask_cpr()
    login = DescribedLogin(**vars(facts), reading=nothing)
    upstream = site.upstreams.get(facts.upstream)
    if upstream is None:
        return replace(login, fault=NOT_OFFERED)
    try:
        reading = _read(facts, upstream, site.maps, policies, now)
    except AttributesRefused as refused:
        return replace(login, fault=(refused.cause, refused.name))
    return replace(login, reading=reading.mask_cpr())


def assume_scopes(institution: Institution, values: Iterable[str]) -> Institution:
    """Return the institution with the scopes of ``values``, if its own are not known."""
    if institution.scopes or "scopes" not in institution.unwritten:
        return institution
    scopes = dict.fromkeys(value.rpartition("@")[2] for value in values)
    return replace(institution, scopes=tuple(scopes))


def _covers(scopes: Names, scope: str) -> bool:
    return any(scope == own or scope.endswith(f".{own}") for own in scopes)


def _add_affiliations(given: GivenFacts) -> dict[str, Values]:
    attributes = {name: of for name, of in given.attributes.items() if name not in given.without}
    if given.affiliations:
        attributes[SCOPED_AFFILIATION] = given.affiliations
    return attributes


def _is_missing(name: str, facts: GivenFacts, names: frozenset[str] | None) -> bool:
    if name in facts.without or name in facts.attributes:
        return False
    return names is None or name in names


def _make_up_attributes(
    given: GivenFacts, institution: Institution | None, policies: PolicySet
) -> Iterator[tuple[str, str]]:
    """Yield the made-up attributes."""
    yield from MADE_UP.items()
    if not given.affiliations:
        return
    scope = given.affiliations[0].rpartition("@")[2]
    homes = (
        institution.scopes
        if institution and institution.scopes
        else policies.find_condition_values(HOME)
    )
    home = next((each for each in homes if _covers((each,), scope)), scope)
    yield HOME, home
    yield EPPN, f"kim@{home}"
    yield "eduPersonPrimaryAffiliation", read_role(given.affiliations[0])


def _complete_account(given: GivenFacts, policies: PolicySet) -> GivenFacts:
    """Return the facts of a library account login: only the account is known."""
    if given.borrower:
        attributes: dict[str, Values] = {CATEGORY: (given.borrower.category,)}
        return replace(given, attributes=attributes)
    named = policies.find_condition_values(CATEGORY)
    category = named[-1] if named else UNNAMED_CATEGORY
    account = DescribedBorrower(category)
    made_up = (f"borrower {category}",)
    return replace(given, attributes={CATEGORY: (category,)}, borrower=account, made_up=made_up)


def _read(
    facts: GivenFacts,
    upstream: Upstream,
    maps: Mapping[str, AttributeMap],
    policies: PolicySet,
    now: datetime,
) -> AttributeReading:
    values = tuple(chain.from_iterable(facts.attributes.values()))
    institutions = tuple(assume_scopes(each, values) for each in upstream.institutions)
    upstream = replace(upstream, institutions=institutions)
    name = upstream.attribute_map
    # An upstream without a configuration sends every attribute under our name.
    read_by = maps.get(name) or make_identity_map((*facts.attributes, ASSURANCE, CPR_ATTRIBUTE))
    wire = (*_write_wire_attributes(facts, upstream, read_by),)
    until = now + _REMEMBERED
    proofs = (MailboxProof(name, address, now, until) for name, address in facts.proved.items())
    reading = read_authentication(
        make_authentication(facts, now, wire),
        upstream,
        {name: read_by},
        now,
        tuple(proofs),
        named_affiliations=policies.affiliation_names,
    )
    if find_outgoing_row(read_by, CPR_ATTRIBUTE) is None:
        return reading
    return _add_cpr_kind(reading, facts, upstream.institution(facts.institution))


def make_authentication(
    facts: GivenFacts, now: datetime, attributes: tuple[WireAttribute, ...] = ()
) -> Authentication:
    """Return the authentication by which a described login arrives."""
    return Authentication(
        upstream=facts.upstream,
        issuer="",
        institution=facts.institution,
        authorities=(),
        attributes=attributes,
        authn_instant=now,
        authn_context=None,
        received=now,
        assertion_until=now,
    )


def make_identity_map(names: Iterable[str]) -> AttributeMap:
    """Return the attribute map of an unconfigured party: the wire names are our names."""
    return AttributeMap("any", tuple(MapRow(name, name) for name in dict.fromkeys(names)))


def _write_wire_attributes(
    facts: GivenFacts, upstream: Upstream, read_by: AttributeMap
) -> Iterator[WireAttribute]:
    if upstream.local:
        yield from (WireAttribute(name, values) for name, values in facts.attributes.items())
        return
    attributes = dict(facts.attributes)
    is_eid = upstream.profile == "oiosaml3"
    if is_eid:
        attributes.setdefault(SPEC_VERSION, (_OIOSAML,))
    if facts.assurance is not None:
        number, word = str(facts.assurance.value), facts.assurance.name.capitalize()
        attributes.setdefault(ASSURANCE, (word if is_eid else number,))
    for name, values in attributes.items():
        row = find_outgoing_row(read_by, name)
        if row:
            yield WireAttribute(row.wire, tuple(map(row.write, values)))


def _add_cpr_kind(
    reading: AttributeReading, facts: GivenFacts, institution: Institution | None
) -> AttributeReading:
    if facts.cpr is None or facts.cpr == "none":
        return reading
    if institution is None or MAY_ASSERT_CPR not in institution.may_assert:
        return replace(reading, withheld=(*reading.withheld, (CPR_ATTRIBUTE, "may_not_assert")))
    if facts.cpr not in _NUMBERED:
        withheld = (*reading.withheld, (CPR_ATTRIBUTE, "invalid"))
        return replace(reading, cpr=facts.cpr, withheld=withheld)
    attributes = Attributes({**reading.attributes, CPR_ATTRIBUTE: CPR_STAND_IN})
    numbered = replace(reading, attributes=attributes, cpr=facts.cpr, age=facts.age)
    return drop_unusable_cpr(numbered, institution)
