"""A login of which somebody gives some facts: the others are made up, and named."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

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
    Values,
    WireAttribute,
    drop_unusable_cpr,
    find_outgoing_row,
)
from broker.core.identity.mailbox_proofs import Proved
from broker.core.identity.rights import MAY_ASSERT_CPR
from broker.core.login.authentication_reading import read_authentication
from broker.core.login.described_login import DescribedBorrower, DescribedLogin
from broker.core.login.transaction import Authentication, Errand
from broker.core.policy.matching import PROOF_DOMAIN
from broker.core.policy.model import LoginFacts, PolicySet

# Of a borrower whom no rule of a policy changes.
UNNAMED_CATEGORY: Final = "OTHER"
HOME: Final = "schacHomeOrganization"
CATEGORY: Final = "borrower_category"
_MADE_UP: Final = {
    "gn": "Kim",
    "sn": "Example",
    "cn": "Kim Example",
    "displayName": "Kim Example",
    "mail": "kim@mailbox.example",
}
_AGE: Final = 30
_REMEMBERED: Final = timedelta(days=365)
# Kinds of numbers in which a date of birth stands.
_DATED: Final = frozenset({"real", "replacement"})
_NUMBERED: Final = frozenset({"real", "replacement", "constructed"})


@dataclass(frozen=True, slots=True)
class GivenFacts:
    """The facts that are given; what is None, or no name of ``attributes``, is made up.

    ``affiliations`` are scoped ones, ``without`` the attributes that are not sent, ``addresses``
    the mailboxes that the person shows when asked, by proof, ``proved`` those of earlier logins.
    ``whole``: nothing is made up.
    """

    upstream: str
    affiliations: Names = ()
    attributes: Mapping[str, Values] = field(default_factory=dict, repr=False)
    without: Names = ()
    assurance: Assurance | None = None
    cpr: str | None = None
    age: int | None = None
    intent: str | None = None
    errand: Errand = Errand.LOGIN
    borrower: DescribedBorrower | None = None
    addresses: Mapping[str, str] = field(default_factory=dict, repr=False)
    proved: Mapping[str, str] = field(default_factory=dict, repr=False)
    upgrade: bool = True
    whole: bool = False


@dataclass(frozen=True, slots=True)
class CompletedFacts:
    """Facts with nothing left open, what was made up of them, and the institution that answers."""

    facts: GivenFacts
    made_up: Names
    institution: Institution | None


def of_login(login: LoginFacts) -> GivenFacts:
    """Return the facts of a login that is described whole, as the examples of policies are.

    A borrower of whom it is only said that there is one is of no category that a rule names.
    """
    attributes = {name: of for name, of in login.attributes.items() if name != CPR_ATTRIBUTE}
    proofs = {name.removesuffix(PROOF_DOMAIN) for name in attributes if name.endswith(PROOF_DOMAIN)}
    proved = {name: attributes.pop(name)[0] for name in proofs if name in attributes}
    sent = {name: of for name, of in attributes.items() if not name.endswith(PROOF_DOMAIN)}
    category = attributes.get(CATEGORY, (UNNAMED_CATEGORY,))[0]
    return GivenFacts(
        upstream=login.upstream,
        attributes=sent,
        assurance=login.assurance,
        cpr=login.cpr,
        age=login.age,
        intent=login.intent,
        borrower=DescribedBorrower(category, linked=True) if login.borrower else None,
        proved=proved,
        whole=True,
    )


def answering(given: GivenFacts, upstream: Upstream) -> Institution | None:
    """Return the institution that may assert what is given; the first where none may."""
    scopes = [value.rpartition("@")[2] for value in given.affiliations]
    scopes += given.attributes.get(HOME, ())
    for institution in upstream.institutions:
        if any(_covers(institution.scopes, scope) for scope in scopes):
            return institution
    return next(iter(upstream.institutions), None)


def completed(
    given: GivenFacts, upstream: Upstream, names: frozenset[str] | None, policies: PolicySet
) -> CompletedFacts:
    """Return the facts with those that are missing made up, as the policies would like them.

    ``names`` are the attributes that the upstream can send; None: any.
    """
    institution = answering(given, upstream)
    facts = replace(given, attributes=_with_affiliations(given))
    if given.whole:
        return CompletedFacts(facts, (), institution)
    if upstream.local:
        return _completed_account(facts, policies)
    made = {
        name: (value,)
        for name, value in _texts(facts, institution, policies)
        if _is_missing(name, facts, names)
    }
    attributes = {**facts.attributes, **made}
    assurance = facts.assurance or _level(institution)
    kind = facts.cpr or _kind(facts, institution)
    age = facts.age
    if age is None and kind in _DATED:
        age = _AGE
    whole = replace(facts, attributes=attributes, assurance=assurance, cpr=kind, age=age)
    return CompletedFacts(whole, (*_of_person(facts, whole), *made), institution)


def described(
    complete: CompletedFacts,
    upstream: Upstream,
    maps: Mapping[str, AttributeMap],
    policies: PolicySet,
    now: datetime,
) -> DescribedLogin:
    """Return the login as ``upstream`` would bring it: read, capped and withheld as a live one is.

    A CPR number is put in as its kind alone, where the institution may assert one.
    """
    facts = complete.facts
    login = DescribedLogin(
        upstream=facts.upstream,
        reading=AttributeReading(Attributes(), None, "none", None).mask_cpr(),
        institution=complete.institution.entity_id if complete.institution else "",
        intent=facts.intent,
        errand=facts.errand,
        borrower=facts.borrower,
        addresses=facts.addresses,
        upgrade=facts.upgrade,
    )
    try:
        reading = _read(complete, upstream, maps, policies, now)
    except AttributesRefused as refused:
        return replace(login, fault=(refused.cause, refused.name))
    return replace(login, reading=reading.mask_cpr())


def _covers(scopes: Names, scope: str) -> bool:
    return any(scope == own or scope.endswith(f".{own}") for own in scopes)


def _with_affiliations(given: GivenFacts) -> dict[str, Values]:
    attributes = {name: of for name, of in given.attributes.items() if name not in given.without}
    if given.affiliations:
        attributes[SCOPED_AFFILIATION] = given.affiliations
    return attributes


def _is_missing(name: str, facts: GivenFacts, names: frozenset[str] | None) -> bool:
    if name in facts.without or name in facts.attributes:
        return False
    return names is None or name in names


def _texts(
    given: GivenFacts, institution: Institution | None, policies: PolicySet
) -> Iterator[tuple[str, str]]:
    """Yield the attributes that a login has where nothing is said of them."""
    yield from _MADE_UP.items()
    if not given.affiliations:
        return
    scope = given.affiliations[0].rpartition("@")[2]
    homes = institution.scopes if institution and institution.scopes else _homes(policies)
    home = next((each for each in homes if _covers((each,), scope)), scope)
    yield HOME, home
    yield EPPN, f"kim@{home}"
    yield "eduPersonPrimaryAffiliation", read_role(given.affiliations[0])


def _homes(policies: PolicySet) -> Names:
    """Return the home organisations that the policies name."""
    return tuple(
        value
        for policy in policies.policies
        for alternative in policy.match
        for condition in alternative.conditions
        if condition.name == HOME
        for value in condition.values
    )


def _level(institution: Institution | None) -> Assurance:
    if institution and institution.national_eid:
        return Assurance.SUBSTANTIAL
    return Assurance.LOW


def _kind(given: GivenFacts, institution: Institution | None) -> str:
    if CPR_ATTRIBUTE in given.without:
        return "none"
    return "real" if institution and MAY_ASSERT_CPR in institution.may_assert else "none"


def _of_person(given: GivenFacts, whole: GivenFacts) -> Iterator[str]:
    if given.assurance is None and whole.assurance is not None:
        yield f"assurance {whole.assurance.name.lower()}"
    if given.cpr is None:
        yield f"cpr {whole.cpr}"
    if given.age is None and whole.age is not None:
        yield f"age {whole.age}"


def _completed_account(given: GivenFacts, policies: PolicySet) -> CompletedFacts:
    """Return a login by number and PIN: of the person nothing is known but the account."""
    if given.borrower:
        attributes: dict[str, Values] = {CATEGORY: (given.borrower.category,)}
        return CompletedFacts(replace(given, attributes=attributes), (), None)
    category = next(_account_categories(policies), UNNAMED_CATEGORY)
    account = DescribedBorrower(category)
    facts = replace(given, attributes={CATEGORY: (category,)}, borrower=account)
    return CompletedFacts(facts, (f"borrower {category}",), None)


def _account_categories(policies: PolicySet) -> Iterator[str]:
    for policy in reversed(policies.policies):
        for alternative in policy.match:
            for condition in alternative.conditions:
                if condition.name == CATEGORY:
                    yield from condition.values


def _read(
    complete: CompletedFacts,
    upstream: Upstream,
    maps: Mapping[str, AttributeMap],
    policies: PolicySet,
    now: datetime,
) -> AttributeReading:
    facts = complete.facts
    # What a national eID's assertion carries beside its attributes is as it should be.
    plain = upstream if upstream.local else replace(upstream, profile="wayf")
    read_by = {name: replace(each, complete=False) for name, each in maps.items()}
    authentication = Authentication(
        upstream=facts.upstream,
        issuer=upstream.entity_id,
        institution=complete.institution.entity_id if complete.institution else "",
        authorities=(),
        attributes=tuple(_on_the_wire(facts, upstream, maps)),
        authn_instant=now,
        authn_context=None,
        received=now,
        assertion_until=now,
    )
    reading = read_authentication(
        authentication,
        plain,
        read_by,
        now,
        tuple(_proved(facts, now)),
        named_affiliations=policies.named_affiliations,
    )
    return _with_number(reading, facts, complete.institution)


def _on_the_wire(
    facts: GivenFacts, upstream: Upstream, maps: Mapping[str, AttributeMap]
) -> Iterator[WireAttribute]:
    if upstream.local:
        yield from (WireAttribute(name, values) for name, values in facts.attributes.items())
        return
    read_by = maps[upstream.attribute_map]
    level = find_outgoing_row(read_by, ASSURANCE)
    if facts.assurance is not None and level and ASSURANCE not in facts.attributes:
        number, word = str(facts.assurance.value), facts.assurance.name.capitalize()
        yield WireAttribute(level.wire, (word if upstream.profile == "oiosaml3" else number,))
    for name, values in facts.attributes.items():
        row = find_outgoing_row(read_by, name)
        if row:
            yield WireAttribute(row.wire, tuple(map(row.write, values)))


def _proved(facts: GivenFacts, now: datetime) -> Iterator[Proved]:
    for name, address in facts.proved.items():
        yield Proved(name, address, now, now + _REMEMBERED)


def _with_number(
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
