"""Random policy sets, and random logins from a small site, each read as a live login is."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final

from hypothesis import strategies as st

from broker.configuration import attribute_maps
from broker.core.borrowers.borrower import Borrower
from broker.core.entities import Assurance, Controller, Institution, Service, Text, Upstream
from broker.core.errors import AttributesRefused
from broker.core.identity.attribute_values import NSIS
from broker.core.identity.canonical_attributes import WireAttribute
from broker.core.identity.mailbox_proofs import Proved
from broker.core.login.authentication_reading import make_pin_authentication, read_authentication
from broker.core.login.described_login import DescribedBorrower
from broker.core.login.given_facts import DescribedLogin
from broker.core.login.site import Site
from broker.core.login.transaction import Authentication
from broker.core.policy.expiry import Expiry
from broker.core.policy.model import (
    Alternative,
    BorrowerRule,
    Condition,
    Field,
    Lowering,
    MailDomain,
    Policy,
    PolicyLine,
    PolicySet,
    ProofRule,
    RegisterRule,
    Release,
    ReleasedAttribute,
    Requirement,
)
from broker.core.policy_analysis.sources import Source, list_sources

NOW: Final = datetime(2026, 11, 25, 12, tzinfo=UTC)
TODAY: Final = NOW.date()
WORDS: Final = Text("words", "ord")
MAPS: Final = attribute_maps.load(Path(__file__).parents[3] / "attribute_maps").maps
LOCAL: Final = frozenset({"library"})
CATEGORIES: Final = ("STUDENT", "PRIVATE", "STAFF")

UNIVERSITY: Final = Institution("https://au.example", scopes=("au.dk",), may_assert=frozenset({"cpr", "alumni_cpr"}))
COLLEGE: Final = Institution("https://via.example", scopes=("via.dk",), max_assurance=Assurance.LOW)
EID: Final = Institution("https://eid.example", may_assert=frozenset({"cpr"}), national_eid=True)
UPSTREAMS: Final = {
    "wayf": Upstream("wayf", "wayf", "w", "s", "wayf", WORDS, (UNIVERSITY, COLLEGE)),
    "nemid": Upstream("nemid", "oiosaml3", "n", "s", "oiosaml3", WORDS, (EID,), least=Assurance.LOW),
    "library": Upstream("library", "library", "", "", "", WORDS),
}
CATEGORY: Final = "https://category.example/library"
SERVICES: Final = (
    Service("my-loans", "l", WORDS, tuple(UPSTREAMS), Controller(WORDS), encrypts=True),
    Service("e-resources", "e", WORDS, tuple(UPSTREAMS), categories=(CATEGORY,)),
)
SITE: Final = Site({each.name: each for each in SERVICES}, UPSTREAMS, MAPS)
SOURCES: Final = tuple(list_sources(SITE))

# The values that rules name, and values that people have in addition.
ROLES: Final = (
    "student@au.dk",
    "employee@au.dk",
    "affiliate@au.dk",
    "alum@au.dk",
    "guest@au.dk",
    "member@lib.au.dk",
    "studying@au.dk",
)
_WIRE: Final = {
    "role": (
        "urn:oid:1.3.6.1.4.1.5923.1.1.1.9",
        (*ROLES, "Student@au.dk", "staff@via.dk", "alum@x.au.dk", "student@ku.dk"),
    ),
    "primary": ("urn:oid:1.3.6.1.4.1.5923.1.1.1.5", ("student", "affiliate", "alum")),
    "home": ("urn:oid:1.3.6.1.4.1.25178.1.2.9", ("au.dk", "via.dk", "ku.dk")),
    "mail": ("urn:oid:0.9.2342.19200300.100.1.3", ("a@au.dk", "b@post.example")),
    "sn": ("urn:oid:2.5.4.4", ("Ravn",)),
    "cpr": ("urn:oid:1.3.6.1.4.1.25178.1.2.15", ("1403044004", "0101504003", "7403044005", "140304A1B4", "9999999999")),
    "level": ("urn:oid:1.3.6.1.4.1.5923.1.1.1.11", ("1", "2", "3", "4", "x")),
    "entitled": ("urn:oid:1.3.6.1.4.1.5923.1.1.1.7", ("urn:x:lib", "urn:x:print")),
    "ours": ("borrower_category", CATEGORIES),
    "ours too": ("kaldemail_domain", ("auh.rm.dk",)),
}
_EID_WIRE: Final = {
    "mail": ("https://data.gov.dk/model/core/eid/email", ("a@auh.rm.dk", "b@post.example")),
    "sn": ("https://data.gov.dk/model/core/eid/lastName", ("Ravn",)),
    "cpr": ("https://data.gov.dk/model/core/eid/cprNumber", _WIRE["cpr"][1]),
    "role": _WIRE["role"],
}
CONDITIONS: Final = {
    "eduPersonScopedAffiliation": (*ROLES, "student@*", "employee@*", "stu*", "alum@x.*"),
    "eduPersonPrimaryAffiliation": ("student", "al*", "affiliate"),
    "schacHomeOrganization": ("au.dk", "via.dk", "a*"),
    "eduPersonEntitlement": ("urn:x:*", "urn:x:lib"),
    "mail": ("a@*", "b@post.example"),
    "borrower_category": ("STUDENT", "PRIVATE", "ST*"),
    "kaldemail_domain": ("auh.rm.dk", "rm.dk"),
}
RELEASED: Final = ("cpr", "borrower_number", "sn", "gn", *CONDITIONS)


@dataclass(frozen=True)
class RandomLogin:
    """A login from one source: its upstream's message, what was proved, and whether there is a borrower."""

    source: Source
    described: DescribedLogin
    message: Authentication
    proofs: tuple[Proved, ...]

    def read(self, *sets: PolicySet) -> DescribedLogin:
        """Read the message as where these sets are in force: some know affiliations that others withhold."""
        named = frozenset[str]().union(*(policies.affiliation_names for policies in sets))
        upstream = UPSTREAMS[self.message.upstream]
        reading = read_authentication(self.message, upstream, MAPS, NOW, self.proofs, named_affiliations=named)
        return replace(self.described, reading=reading.mask_cpr())


def _place(at: int) -> PolicyLine:
    return PolicyLine("p.yaml", at)


def _condition(name: str) -> st.SearchStrategy[Condition]:
    values = st.lists(st.sampled_from(CONDITIONS[name]), min_size=1, max_size=2, unique=True)
    return st.builds(Condition, st.just(name), values.map(tuple), st.just(_place(2)))


def _alternatives() -> st.SearchStrategy[Alternative]:
    upstream = st.sampled_from([("wayf",), ("nemid",), ("library",), ("wayf", "nemid")])
    level = st.sampled_from([(), ("low",), ("substantial",)])
    others = st.lists(st.sampled_from(sorted(CONDITIONS)), max_size=2, unique=True)
    named = others.flatmap(lambda names: st.tuples(*map(_condition, names)))

    def make_alternative(by: tuple[str, ...], least: tuple[str, ...], rest: tuple[Condition, ...]) -> Alternative:
        first = Condition("upstream", by, _place(2))
        last = (Condition("assurance", least, _place(2)),) if least else ()
        return Alternative((first, *rest, *last), _place(2))

    return st.builds(make_alternative, upstream, level, named)


def _draw_released_attributes(name: str) -> st.SearchStrategy[ReleasedAttribute]:
    known = CONDITIONS.get(name)
    patterns = st.lists(st.sampled_from(known), max_size=2, unique=True) if known else st.just([])
    return st.builds(
        ReleasedAttribute, name=st.just(name), why=st.just(WORDS), place=st.just(_place(30)), values=patterns.map(tuple)
    )


def _releases() -> st.SearchStrategy[Release]:
    names = st.lists(st.sampled_from(RELEASED), max_size=4, unique=True)
    return st.builds(
        Release,
        service=st.sampled_from(["my-loans", "e-resources", CATEGORY]),
        borrower=st.sampled_from(["make", "need", "none"]),
        legal_basis=st.sampled_from(["consent", "public_task"]),
        purpose=st.just(WORDS),
        name_id=st.sampled_from(["persistent", "transient"]),
        attributes=names.flatmap(lambda chosen: st.tuples(*map(_draw_released_attributes, chosen))),
        place=st.just(_place(20)),
        notice=st.sampled_from(["ours", "upstream"]),
    )


_REQUIREMENTS = st.builds(
    Requirement,
    cpr=st.booleans(),
    age=st.sampled_from([None, None, 15, 18]),
    assurance=st.sampled_from([None, Assurance.LOW, Assurance.SUBSTANTIAL]),
    place=st.just(_place(10)),
    upstream=st.sampled_from([(), (), ("nemid",)]),
)
_PROOFS = st.sampled_from([(), ("auh.rm.dk",), ("auh.rm.dk", "rm.dk")]).flatmap(
    lambda domains: st.sampled_from([None, TODAY - timedelta(1), TODAY + timedelta(3)]).map(
        lambda until: tuple(
            ProofRule("kaldemail", tuple(MailDomain(name, until) for name in domains), timedelta(2))
            for _ in domains[:1]
        )
    )
)


def _rules() -> st.SearchStrategy[BorrowerRule | None]:
    fields = (
        Field("surname", "sn", "always", _place(12)),
        Field("email", "proof.kaldemail", "create", _place(12), ("mail",)),
    )
    # Without an address no account is made: one rule has no field for it, one takes none that is asked for.
    written = ((fields[1],), (Field("email", "mail", "create", _place(12)),))
    emails = (*written, *written, (), (Field("email", "proof.kaldemail", "create", _place(12)),))
    lowering = st.sampled_from([None, Lowering(("wayf",), ("STAFF",))])
    return st.none() | st.builds(
        BorrowerRule,
        category=st.sampled_from(CATEGORIES[:2]),
        upgrades=st.sampled_from([(), ("PRIVATE",), ("STUDENT", "PRIVATE")]),
        expires=st.sampled_from([Expiry(12), Expiry(24), Expiry(day_of_year=(8, 31))]),
        fields=st.sampled_from(emails).map(lambda email: (fields[0], *email)),
        pin=st.just("mail"),
        place=st.just(_place(11)),
        lowers=lowering,
        register=st.sampled_from([None, RegisterRule("set_if_empty")]),
    )


def _policy(at: int) -> st.SearchStrategy[Policy]:
    exceptions = st.tuples(st.sampled_from(["", "", "au.dk", "via.dk"]), _REQUIREMENTS, st.sampled_from([6, 36]))
    return st.tuples(_usual_policy(at), exceptions).map(_add_exception)


def _add_exception(drawn: tuple[Policy, tuple[str, Requirement, int]]) -> Policy:
    policy, (institution, require, months) = drawn
    if not institution:
        return policy
    rule = replace(policy.borrower, expires=Expiry(months)) if policy.borrower else None
    variant = replace(policy, require=require, borrower=rule, institution=institution, place=_place(9))
    return replace(policy, exceptions={institution: variant})


def _usual_policy(at: int) -> st.SearchStrategy[Policy]:
    alternatives = st.lists(_alternatives(), min_size=1, max_size=3).map(tuple)
    entries = st.lists(_releases(), max_size=3, unique_by=lambda entry: entry.service).map(tuple)
    return st.builds(
        Policy,
        file=st.just(f"a{at}.yaml"),
        affiliation=st.just(f"a{at}"),
        precedence=st.just(at),
        label=st.just(WORDS),
        owner=st.just("o"),
        review_by=st.just(date(2027, 1, 1)),
        match=alternatives,
        proofs=_PROOFS,
        require=_REQUIREMENTS,
        borrower=_rules(),
        releases=entries,
    ).map(_loadable)


def _loadable(policy: Policy) -> Policy:
    """Give the policy without what every load refuses: a proof's fields where none is offered, a number of nobody."""
    releases = tuple(_drop_number_without_borrower(each) for each in policy.releases)
    rule = policy.borrower
    if rule is None or policy.proofs:
        return replace(policy, releases=releases)
    fields = tuple(field for field in rule.fields if not field.source.startswith("proof."))
    kept = tuple(
        replace(field, otherwise=tuple(name for name in field.otherwise if not name.startswith("proof.")))
        for field in fields
    )
    return replace(policy, borrower=replace(rule, fields=kept), releases=releases)


def _drop_number_without_borrower(release: Release) -> Release:
    if release.borrower != "none":
        return release
    return replace(release, attributes=tuple(each for each in release.attributes if each.name != "borrower_number"))


POLICY_SETS: Final = st.integers(1, 4).flatmap(
    lambda many: st.tuples(*map(_policy, range(many))).map(lambda policies: PolicySet(policies, "d"))
)


def _wire(draw: Random, rows: dict[str, tuple[str, tuple[str, ...]]]) -> tuple[WireAttribute, ...]:
    """Draw some of the attributes, each with some of its values."""
    drawn = []
    for wire, known in rows.values():
        many = draw.choice([0, 0, 1, 1, 1, 2, 3])
        if many:
            drawn.append(WireAttribute(wire, tuple(draw.sample(known, min(many, len(known))))))
    return tuple(drawn)


def _authentication(upstream: str, institution: str, wire: tuple[WireAttribute, ...]) -> Authentication:
    return Authentication(
        upstream, institution, institution, (institution,), wire, NOW, None, NOW, NOW + timedelta(minutes=4)
    )


def _eid(wire: tuple[WireAttribute, ...], level: str) -> Authentication:
    fixed = (
        WireAttribute("https://data.gov.dk/model/core/specVersion", ("OIO-SAML-3.0",)),
        WireAttribute(f"{NSIS}loa", (level,)),
    )
    return _authentication("nemid", EID.entity_id, (*fixed, *wire))


def _draw_authentication(draw: Random) -> Authentication:
    """Draw what an upstream says: an institution of the federation, the national eID, or a PIN."""
    match draw.choice(["wayf", "wayf", "wayf", "nemid", "library"]):
        case "wayf":
            institution = draw.choice([UNIVERSITY, UNIVERSITY, COLLEGE])
            return _authentication("wayf", institution.entity_id, _wire(draw, _WIRE))
        case "nemid":
            return _eid(_wire(draw, _EID_WIRE), draw.choice(["Low", "Substantial", "High"]))
        case _:
            return make_pin_authentication("library", Borrower("7", draw.choice([*CATEGORIES, "OTHER"])), NOW)


def _borrower(draw: Random) -> DescribedBorrower | None:
    if draw.choice(["none", "category", "category"]) == "none":
        return None
    return DescribedBorrower(draw.choice([*CATEGORIES, "OTHER"]))


_MAILBOXES: Final = (None, None, "nurse@auh.rm.dk", "nurse@rm.dk", "nurse@other.example")
_INTENTS: Final = (None, "a0", "a1", "a2", "nobody")


def random_logins(draw: Random, many: int) -> Iterator[RandomLogin]:
    """Draw so many messages, and yield the logins of those whose attributes can be trusted."""
    for _ in range(many):
        login = _login(_draw_authentication(draw), draw.choice(_MAILBOXES), draw.choice(_INTENTS), _borrower(draw))
        if login is not None:
            yield login


def _login(
    authentication: Authentication, mailbox: str | None, intent: str | None, borrower: DescribedBorrower | None
) -> RandomLogin | None:
    """Read a message; None where its attributes cannot be trusted, and no policy is asked."""
    upstream = UPSTREAMS[authentication.upstream]
    proofs = (Proved("kaldemail", mailbox, NOW, NOW + timedelta(days=1)),) if mailbox and not upstream.local else ()
    try:
        reading = read_authentication(authentication, upstream, MAPS, NOW, proofs).mask_cpr()
    except AttributesRefused:
        return None
    source = next(each for each in SOURCES if each.key == (authentication.upstream, authentication.institution))
    there = None if upstream.local else borrower
    described = DescribedLogin(
        authentication.upstream, authentication.institution, reading=reading, intent=intent, borrower=there
    )
    return RandomLogin(source, described, authentication, proofs)
