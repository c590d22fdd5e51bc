"""The decision: affiliation, entry, requirement, values, and what is said of each attribute."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from broker.core.entities import Assurance, Controller, Service
from broker.core.identity.canonical_attributes import Attributes
from broker.core.identity.rights import Ground
from broker.core.policy.decision import CODE_OF_CONDUCT, UNMET_REQUIREMENTS, evaluate
from broker.core.policy.expiry import Expiry
from broker.core.policy.model import (
    AccountDemand,
    Alternative,
    BorrowerRule,
    Condition,
    Decision,
    Effect,
    LoginFacts,
    Lowering,
    MailDomain,
    Policy,
    PolicyLine,
    PolicySet,
    ProofRule,
    Release,
    ReleasedAttribute,
    Requirement,
)
from tests.plugins.core_values import NOW, WORDS, make_policy

CATEGORY = "https://category.example/library"
LOANS = Service("my-loans", "https://loans.example", WORDS, ("wayf",), Controller(WORDS), encrypts=True)
STUDENT = Attributes({"role": ("student@au.dk",), "home": ("au.dk",), "sn": ("Ravn",), "cpr": ("1403044004",)})


def alternative(line: int, **conditions: str | tuple[str, ...]) -> Alternative:
    """Give an alternative whose conditions stand on ``line`` and the lines after it."""
    made = [
        Condition(name, (values,) if isinstance(values, str) else values, PolicyLine("p.yaml", line + at))
        for at, (name, values) in enumerate(conditions.items())
    ]
    return Alternative(tuple(made), PolicyLine("p.yaml", line))


def release(service: str, *names: str, borrower: AccountDemand = "none", values: tuple[str, ...] = ()) -> Release:
    """Give an entry that lists ``names``."""
    listed = tuple(
        ReleasedAttribute(name, WORDS, PolicyLine("p.yaml", 70 + at), values) for at, name in enumerate(names)
    )
    return Release(service, borrower, "public_task", WORDS, "persistent", listed, place=PolicyLine("p.yaml", 60))


def policy(affiliation: str, precedence: int, *match: Alternative, **more: Any) -> Policy:
    """Give a policy that releases sn to my-loans."""
    more = {"require": Requirement(place=PolicyLine("p.yaml", 50)), "releases": (release("my-loans", "sn"),), **more}
    return make_policy(affiliation, *match, precedence=precedence, **more)


STUDENTS = policy("student", 20, alternative(10, upstream="wayf", role="student@*"))
STAFF = policy("employee", 30, alternative(20, upstream="wayf", role="employee@au.dk"))
LOGIN = LoginFacts("wayf", STUDENT, Assurance.SUBSTANTIAL, "real", 22, ground=Ground.INSTITUTION)


def decide(login: LoginFacts = LOGIN, service: Service = LOANS, *policies: Policy) -> Decision:
    """Decide by ``policies``, or by students and staff."""
    return evaluate(PolicySet(policies or (STUDENTS, STAFF), "d1"), login, service, NOW)


def reasons(decision: Decision) -> list[str]:
    """Give the reasons as an administrator reads them."""
    return [f"{each.code} {each.place or ''}".strip() for each in decision.reasons]


def fates(decision: Decision) -> dict[str, str]:
    """Give each attribute's fate."""
    return {each.name: each.code for each in decision.fates}


def test_an_exception_replaces_keys_for_one_institution() -> None:
    """The home organisation picks it; the affiliation and the match stay."""
    older = replace(STUDENTS, institution="au.dk", require=Requirement(age=30, place=PolicyLine("p.yaml", 51)))
    entry = release("my-loans", "sn", borrower="make")
    usual = replace(STUDENTS, releases=(entry,))
    file = replace(usual, exceptions={"au.dk": replace(older, releases=(entry,))})
    home = {"role": ("student@au.dk",), "sn": ("Ravn",)}
    for name, expected in (("au.dk", ["too_young p.yaml:51"]), ("ku.dk", ["ok p.yaml:60"])):
        login = replace(LOGIN, attributes=Attributes(home | {"schacHomeOrganization": (name,)}))
        decision = decide(login, LOANS, file)
        assert (decision.affiliation, reasons(decision)) == ("student", expected)


def test_a_stated_constant_leaves_whatever_the_login_brings() -> None:
    """Its values are those of the file; a CPR number is never stated."""
    listed = [replace(each, states=("x:y",)) for each in release("my-loans", "entitlement", "role", "cpr").attributes]
    decision = decide(LOGIN, LOANS, replace(STUDENTS, releases=(replace(STUDENTS.releases[0], attributes=(*listed,)),)))
    assert [values for _, values in decision.released] == [("x:y",), ("x:y",), STUDENT["cpr"]]


@pytest.mark.parametrize(
    ("intent", "affiliation", "mismatch"),
    [
        (None, "employee", None),
        ("student", "student", None),
        ("employee", "employee", None),
        ("private", "employee", "private"),
    ],
)
def test_precedence_decides_and_an_intent_picks_among_what_matches(
    intent: str | None, affiliation: str, mismatch: str | None
) -> None:
    """The sign-up page gives the intent, the assertion gives the affiliation.

    Source: docs/reference/design.md#invariant-7.
    """
    both = replace(LOGIN, attributes=Attributes({"role": ("student@au.dk", "employee@au.dk")}), intent=intent)
    decision = decide(both)
    assert (decision.affiliation, decision.mismatch) == (affiliation, mismatch)


@pytest.mark.parametrize("level", ["", "HIGHEST", "1"])
def test_an_unknown_level_is_met_by_nobody_below_high(level: str) -> None:
    """A level that does not read asks for the highest."""
    odd = policy("student", 1, alternative(10, upstream="wayf", assurance=level))
    assert decide(replace(LOGIN, assurance=Assurance.SUBSTANTIAL), LOANS, odd).effect is Effect.DENY


@pytest.mark.profile(32)
def test_an_unknown_service_gets_nothing() -> None:
    """The affiliation is known, the service is not: no attribute leaves, and the reason says so."""
    decision = decide(LOGIN, replace(LOANS, name="unheard-of"))
    assert (decision.effect, decision.released, decision.affiliation) == (Effect.DENY, (), "student")
    assert reasons(decision) == ["no_policy_for_service p.yaml:10"]


@pytest.mark.profile(32)
def test_a_name_beats_a_category_which_never_gets_cpr_or_number() -> None:
    """The loader refuses such a file, and the engine withholds the attributes too.

    Source: docs/reference/design.md#6.
    """
    entries = (release(CATEGORY, "sn", "cpr", "borrower_number"), release("my-loans", "home"))
    both = replace(STUDENTS, releases=entries)
    named = decide(LOGIN, replace(LOANS, categories=(CATEGORY,)), both)
    assert [listed.name for listed, _ in named.released] == ["home"]
    other = decide(LOGIN, replace(LOANS, name="other", categories=(CATEGORY,)), both)
    assert [listed.name for listed, _ in other.released] == ["sn"]
    assert (fates(other)["cpr"], fates(other)["borrower_number"]) == ("not_by_category", "not_by_category")


def test_a_number_that_somebody_typed_stays_here() -> None:
    """A number that is not usable goes to no service, even if the reading had not removed it."""
    listing = replace(STUDENTS, releases=(release("my-loans", "sn", "cpr", borrower="none"),))
    for ground in (Ground.IDENTIFIER, Ground.NOTHING, Ground.LIBRARY_ACCOUNT):
        assert fates(decide(replace(LOGIN, ground=ground), LOANS, listing))["cpr"] == "not_usable"


@pytest.mark.parametrize(
    ("service", "kind", "fate"),
    [
        (LOANS, "real", "released"),
        (replace(LOANS, controller=None), "real", "no_controller"),
        (replace(LOANS, encrypts=False), "real", "no_encryption_key"),
        (LOANS, "replacement", "replacement_number"),
        (LOANS, "constructed", "constructed_number"),
        (LOANS, "none", "not_usable"),
    ],
)
@pytest.mark.profile(29, 32)
def test_a_cpr_leaves_only_real_encrypted_and_for_a_controller(service: Service, kind: str, fate: str) -> None:
    """The rest of the entry leaves without it (docs/reference/design.md#invariant-4)."""
    listing = replace(STUDENTS, releases=(release("my-loans", "sn", "cpr"),))
    decision = decide(replace(LOGIN, cpr=kind), service, listing)
    assert decision.effect is Effect.PERMIT
    assert fates(decision)["cpr"] == fate
    assert [listed.name for listed, _ in decision.released] == (["sn", "cpr"] if fate == "released" else ["sn"])


@pytest.mark.parametrize(
    ("values", "kept", "fate"),
    [
        ((), ("student@au.dk", "member@au.dk"), "released"),
        (("student@*",), ("student@au.dk",), "released_in_part"),
        (("student@au.dk", "member@*"), ("student@au.dk", "member@au.dk"), "released"),
        (("student",), None, "value_not_allowed"),
        (("student@au.d",), None, "value_not_allowed"),
    ],
)
@pytest.mark.profile(32)
def test_only_listed_values_leave(values: tuple[str, ...], kept: tuple[str, ...] | None, fate: str) -> None:
    """Values are exact or a front that ends in *."""
    listing = replace(STUDENTS, releases=(release("my-loans", "role", values=values),))
    decision = decide(
        replace(LOGIN, attributes=Attributes({"role": ("student@au.dk", "member@au.dk")})), LOANS, listing
    )
    assert [found for _, found in decision.released] == ([kept] if kept else [])
    assert fates(decision)["role"] == fate


BY_MAIL = replace(
    release("my-loans", "sn"), name_id="email", subject=ReleasedAttribute("name_id", WORDS, PolicyLine("p.yaml", 70))
)


def test_a_mail_address_as_nameid_leaves_as_an_attribute_does() -> None:
    """First, with its line, and with the address that is shown to be the person's."""
    login = replace(LOGIN, verified_address="asta@au.dk")
    decision = decide(login, LOANS, replace(STUDENTS, releases=(BY_MAIL,)))
    assert [(listed.name, values) for listed, values in decision.released] == [
        ("name_id", ("asta@au.dk",)),
        ("sn", ("Ravn",)),
    ]
    assert fates(decision)["name_id"] == "released"


def test_without_a_verified_address_there_is_no_such_nameid() -> None:
    """An asserted address is not enough: the line of the NameID denies the login."""
    login = replace(LOGIN, attributes=Attributes({**LOGIN.attributes, "mail": ("asta@au.dk",)}))
    decision = decide(login, LOANS, replace(STUDENTS, releases=(BY_MAIL,)))
    assert (decision.effect, reasons(decision)) == (Effect.DENY, ["no_verified_address p.yaml:70"])
    assert decision.released == ()


def test_a_verified_address_leaves_for_nobody_else() -> None:
    """An entry of another kind of NameID shows nothing of it."""
    decision = decide(replace(LOGIN, verified_address="asta@au.dk"), LOANS, STUDENTS)
    assert [listed.name for listed, _ in decision.released] == ["sn"]


@pytest.mark.parametrize(
    ("entry", "required", "names"),
    [
        (CODE_OF_CONDUCT, None, ["sn", "home"]),  # nobody has looked at the metadata
        (CODE_OF_CONDUCT, frozenset({"home"}), ["home"]),
        (CODE_OF_CONDUCT, frozenset(), []),
        (CATEGORY, frozenset({"home"}), ["sn", "home"]),
    ],
)
def test_a_code_of_conduct_gives_what_metadata_requires(
    entry: str, required: frozenset[str] | None, names: list[str]
) -> None:
    """Data minimisation is its point: an entry of another category, or by name, is the policy's own word."""
    listing = replace(STUDENTS, releases=(release(entry, "sn", "home"),))
    decision = decide(LOGIN, replace(LOANS, categories=(entry,), required=required), listing)
    assert [listed.name for listed, _ in decision.released] == names
    assert {fates(decision)[name] for name in {"sn", "home"} - set(names)} <= {"not_required"}


@pytest.mark.parametrize("name", ["subject-id", "pairwise-id"])
@pytest.mark.parametrize(("scope", "fate", "items"), [("library.example", "released", [()]), (None, "no_scope", [])])
def test_an_identifier_is_ours_whatever_the_upstream_sent(
    name: str, scope: str | None, fate: str, items: list[tuple[str, ...]]
) -> None:
    """It is listed with no value until we have made one: an upstream's own of that name never passes."""
    listing = replace(STUDENTS, releases=(release("my-loans", name),))
    sent = replace(LOGIN, attributes=Attributes({**STUDENT, name: ("asta@evil.example",)}))
    for login in (LOGIN, sent):
        decision = decide(login, replace(LOANS, scope=scope), listing)
        assert [values for _, values in decision.released] == items
        assert fates(decision)[name] == fate


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({}, []),
        ({"cpr": "none", "age": None}, ["cpr_required"]),
        ({"cpr": "invalid", "age": None}, ["cpr_required"]),
        ({"cpr": "replacement"}, ["replacement_number"]),
        ({"cpr": "constructed", "age": None}, ["constructed_number", "cpr_required"]),
        ({"age": 17}, ["too_young"]),
        ({"age": 18}, []),
        ({"assurance": None}, ["assurance_too_low"]),
        (
            {"assurance": Assurance.SELF_ASSERTED, "cpr": "none", "age": 3},
            ["assurance_too_low", "cpr_required", "too_young"],
        ),
    ],
)
@pytest.mark.parametrize("borrower", [None, False, True])
def test_making_a_borrower_needs_what_the_policy_requires(
    changes: dict[str, object], codes: list[str], borrower: bool | None
) -> None:
    """Every want is named, the one to act on first; a borrower already there needs no more.

    Source: docs/reference/design.md#invariant-5.
    """
    strict = Requirement(cpr=True, age=18, assurance=Assurance.LOW, place=PolicyLine("p.yaml", 50))
    making = replace(STUDENTS, require=strict, releases=(release("my-loans", "sn", borrower="make"),))
    login = replace(LOGIN, borrower=borrower, **changes)  # type: ignore[arg-type]
    decision = decide(login, LOANS, making)
    expected = [] if borrower else codes
    assert (decision.effect is Effect.DENY) is bool(expected)
    assert [each.code for each in decision.reasons if each.code != "ok"] == expected
    assert not (expected and decision.released)


@pytest.mark.parametrize(
    ("changes", "may"),
    [
        ({}, True),
        ({"upstream": "nemid"}, False),
        ({"attributes": Attributes({"role": ("affiliate@au.dk", "employee@au.dk")}), "intent": "former"}, False),
        ({"withheld": {"eduPersonScopedAffiliation": "scope_mismatch"}}, False),
        ({"withheld": {"mail": "bad_value"}}, True),
        ({"attributes": Attributes({"role": ("affiliate@au.dk",), "eduPersonAffiliation": ("student",)})}, False),
    ],
)
def test_only_a_login_that_knows_better_may_lower(changes: dict[str, object], may: bool) -> None:
    """R47: by the university, with nothing higher that matched and nothing that was kept back."""
    rule = BorrowerRule(
        "PRIV", (), Expiry(24), (), "none", place=PolicyLine("p.yaml", 40), lowers=Lowering(("wayf",), ("STUD",))
    )
    former = policy("former", 10, alternative(10, upstream=("wayf", "nemid"), role="affiliate@au.dk"), borrower=rule)
    login = replace(LOGIN, attributes=Attributes({"role": ("affiliate@au.dk",)}))
    login = replace(login, **changes)  # type: ignore[arg-type]
    assert decide(login, LOANS, former, STAFF).permits_lowering is may
    assert not decide(login, LOANS, replace(former, borrower=replace(rule, lowers=None)), STAFF).permits_lowering


@pytest.mark.parametrize(
    ("domain", "until", "effect"),
    [
        ("auh.rm.dk", None, Effect.PERMIT),
        ("auh.rm.dk", NOW.date(), Effect.PERMIT),
        ("auh.rm.dk", NOW.date() - timedelta(days=1), Effect.DENY),
        ("evil.auh.rm.dk", None, Effect.DENY),
        ("auh.rm.dk.evil.example", None, Effect.DENY),
        ("AUH.rm.dk", None, Effect.DENY),
        (None, None, Effect.DENY),
    ],
)
def test_a_proof_holds_in_its_domains_and_until_their_day(
    domain: str | None, until: date | None, effect: Effect
) -> None:
    """A proved domain is exact, listed by the policy's own proof, and not past its day."""
    proof = ProofRule("kaldemail", (MailDomain("auh.rm.dk", until),), timedelta(days=365))
    proved = replace(STUDENTS, match=(alternative(10, upstream="wayf", kaldemail_domain="auh.rm.dk"),), proofs=(proof,))
    attributes = Attributes({"kaldemail_domain": (domain,)} if domain else {})
    assert decide(replace(LOGIN, attributes=attributes), LOANS, proved).effect is effect


def test_a_domain_that_no_proof_of_the_file_lists_proves_nothing() -> None:
    """Else an attribute of that name from anywhere would do."""
    unproved = replace(STUDENTS, match=(alternative(10, upstream="wayf", kaldemail_domain="auh.rm.dk"),))
    login = replace(LOGIN, attributes=Attributes({"kaldemail_domain": ("auh.rm.dk",)}))
    assert decide(login, LOANS, unproved).effect is Effect.DENY


def test_every_unmet_requirement_is_known_as_one() -> None:
    """A code that were none would refuse a person who has a borrower already: nobody would look it up."""
    strict = Requirement(cpr=True, age=18, assurance=Assurance.LOW, place=PolicyLine("p.yaml", 50), upstream=("nemid",))
    making = replace(STUDENTS, require=strict, releases=(release("my-loans", "sn", borrower="make"),))
    lacking = set()
    for cpr in ("real", "none", "invalid", "replacement", "constructed"):
        for age in (None, 17, 18):
            for assurance in (None, Assurance.LOW):
                login = replace(LOGIN, cpr=cpr, age=age, assurance=assurance)
                lacking |= {reason.code for reason in decide(login, LOANS, making).reasons}
    assert lacking == UNMET_REQUIREMENTS


def test_a_policy_set_knows_the_affiliations_that_it_names() -> None:
    """In a match or a release, in full: what ends in a star names none, and another attribute's values are none."""
    named = alternative(10, upstream="wayf", eduPersonScopedAffiliation="course-1@au.dk", role="course-2@au.dk")
    listing = release("my-loans", "eduPersonAffiliation", values=("guest", "stud*"))
    policies = PolicySet((policy("student", 20, named, releases=(listing,)),), "d1")
    assert policies.affiliation_names == {"course-1@au.dk", "guest"}
