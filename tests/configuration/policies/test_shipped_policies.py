"""The shipped policies as a library promises them: who gets what, by which way to log in.

Source: docs/reference/requirements.md#requirements.
"""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.configuration.policies import live_policies
from broker.configuration.strict_yaml import YamlMapping, YamlNode, YamlSequence, read_file
from broker.core.borrowers.wanted_borrower import derive_wanted_borrower
from broker.core.entities import Assurance, Controller, Service, Text
from broker.core.identity.canonical_attributes import CPR_STAND_IN, AttributeReading, Attributes, assume_ground
from broker.core.login.login_decision import login_facts
from broker.core.policy.decision import evaluate
from broker.core.policy.missing_proof import missing_proof, provable_domains
from broker.core.policy.model import Decision, Effect, LoginFacts

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
WORDS = Text("words", "ord")
FOLDER = Path(__file__).resolve().parents[3] / "policies"
SHIPPED = live_policies.load(FOLDER, NOW)
LEVEL = {"wayf": Assurance.LOW, "nemid": Assurance.SUBSTANTIAL, "library": None}
Scoped = tuple[str, ...]


def login(upstream: str, *scoped: str, **more: object) -> LoginFacts:
    """Give a login by ``upstream`` with these affiliations, and whatever else is said of it."""
    given: dict[str, object] = {"attributes": {}, "assurance": LEVEL[upstream]} | more
    named = {"eduPersonScopedAffiliation": scoped, "schacHomeOrganization": ("au.dk",) if upstream == "wayf" else ()}
    own = given.pop("attributes")
    assert isinstance(own, dict)
    withheld = given.pop("withheld", {})
    intent, borrower = given.pop("intent", None), given.pop("borrower", None)
    kind = given.get("cpr", "none")
    numbered = {"cpr": CPR_STAND_IN} if kind != "none" else {}
    reading = AttributeReading(Attributes(named | own | numbered), **({"cpr": "none", "age": None} | given))  # type: ignore[arg-type]
    facts = login_facts(assume_ground(reading).mask_cpr(), upstream=upstream, intent=intent)  # type: ignore[arg-type]
    return replace(facts, borrower=borrower, withheld=withheld or facts.withheld)  # type: ignore[arg-type]


def decide(came: LoginFacts, name: str) -> Decision:
    """Decide by the shipped policies for a service that is as they hope."""
    return evaluate(SHIPPED, came, Service(name, name, WORDS, (), Controller(WORDS), encrypts=True), NOW)


NURSE = {"kaldemail_domain": ("auh.rm.dk",)}


@pytest.mark.parametrize(
    ("came", "affiliation", "released"),
    [
        (login("wayf", "student@au.dk"), "student", {"student@au.dk"}),
        (login("wayf", "student@au.dk", "student@health.au.dk"), "student", {"student@au.dk", "student@health.au.dk"}),
        (login("wayf", "employee@au.dk"), "employee", {"employee@au.dk"}),
        (login("wayf", "staff@au.dk", "staff@arts.au.dk"), "employee", {"staff@au.dk", "staff@arts.au.dk"}),
        (login("wayf", "employee@clin.au.dk"), "hospital", {"employee@clin.au.dk"}),
        (login("nemid", attributes=NURSE), "hospital", {"auh.rm.dk"}),
        (login("wayf", "affiliate@au.dk"), "private", None),
        (login("wayf", "alum@au.dk", borrower=True), "private", None),
        (login("nemid", cpr="real", age=58, borrower=True), "private", None),
        (login("library", attributes={"borrower_category": ("STUDENT",)}, borrower=True), "student", set()),
        (login("library", attributes={"borrower_category": ("TEMP",)}, borrower=True), "private", None),
        (login("wayf", "student@health.au.dk"), None, None),
        (login("wayf", "student@au.dk.evil.example"), None, None),
    ],
)
def test_electronic_resources(came: LoginFacts, affiliation: str | None, released: set[str] | None) -> None:
    """R13, R38: students, employees and hospital employees, without CPR and account; private users not.

    A sub-scope leaves beside the scope that makes the affiliation; by itself it is one only where a policy says so.
    """
    decision = decide(came, "e-resources")
    assert decision.affiliation == affiliation
    assert (decision.effect is Effect.PERMIT) == (released is not None)
    values = {value for listed, found in decision.released if listed.name != "schacHomeOrganization" for value in found}
    assert values == (released or set())


@pytest.mark.parametrize("upstream", ["wayf", "nemid"])
@pytest.mark.parametrize("scoped", [(), ("affiliate@au.dk",), ("alum@au.dk", "member@au.dk"), ("student@au.dk",)])
@pytest.mark.parametrize("intent", [None, "private", "student"])
@pytest.mark.parametrize("borrower", [None, True])
def test_no_university_login_makes_a_private_account(
    upstream: str, scoped: Scoped, intent: str | None, borrower: bool | None
) -> None:
    """R05 holds for each intent and each login, also if a link names a borrower that may be gone."""
    came = login(upstream, *scoped, cpr="real", age=40, intent=intent, borrower=borrower)
    decision = decide(came, "my-loans")
    numbered = Attributes({**came.attributes, "cpr": ("0101800000",)})
    made = derive_wanted_borrower(decision, numbered, language="da", today=NOW.date())
    if decision.effect is Effect.PERMIT and decision.affiliation == "private" and upstream == "wayf":
        assert borrower
        assert made is None or not made.creates
    if upstream == "nemid":
        assert decision.affiliation == "private"
        known = not scoped or not scoped[0].startswith("affiliate")
        assert (made is not None) == known
        assert made is None or (made.creates, made.lowers) == (True, ())


@pytest.mark.parametrize(
    ("scoped", "effect", "affiliation", "mismatch", "reason"),
    [
        (("student@au.dk",), Effect.PERMIT, "student", "private", "ok"),
        (("student@au.dk", "affiliate@au.dk"), Effect.PERMIT, "student", "private", "ok"),
        (("staff@au.dk", "alum@au.dk"), Effect.PERMIT, "employee", "private", "ok"),
        (("affiliate@au.dk",), Effect.DENY, "private", None, "national_eid_required"),
        (("library-walk-in@au.dk",), Effect.DENY, "private", None, "national_eid_required"),
        (("guest@au.dk",), Effect.DENY, None, "private", "no_affiliation"),
    ],
)
def test_the_university_with_the_intent_to_be_private(
    scoped: Scoped, effect: Effect, affiliation: str | None, mismatch: str | None, reason: str
) -> None:
    """R05: a message, and the person is what the university says; who is nothing there is sent to the national eID."""
    decision = decide(login("wayf", *scoped, cpr="real", age=22, intent="private"), "my-loans")
    found = (decision.effect, decision.affiliation, decision.mismatch, decision.reasons[0].code)
    assert found == (effect, affiliation, mismatch, reason)


@pytest.mark.parametrize(
    ("came", "lowers"),
    [
        (login("wayf", "alum@au.dk", borrower=True, cpr="real"), ("STUDENT", "EMPLOYEE")),
        (login("wayf", "alum@au.dk", borrower=True), None),
        (
            login("wayf", "affiliate@au.dk", "alum@au.dk", borrower=True, cpr="real", intent="private"),
            ("STUDENT", "EMPLOYEE"),
        ),
        (login("wayf", "library-walk-in@au.dk", borrower=True, cpr="real"), None),
        (login("wayf", "affiliate@au.dk", borrower=True, cpr="real"), None),
        (
            login(
                "wayf",
                "alum@au.dk",
                borrower=True,
                cpr="real",
                withheld={"eduPersonScopedAffiliation": "scope_mismatch"},
            ),
            (),
        ),
        (login("wayf", "affiliate@au.dk", "student@au.dk", borrower=True, cpr="real", intent="private"), ()),
        (login("wayf", "student@au.dk", borrower=True, cpr="real"), ()),
        (login("wayf", "affiliate@au.dk", "student@cs.au.dk", borrower=True, cpr="real"), ()),
        (login("wayf", "alum@au.dk", "Employee@math.au.dk", borrower=True, cpr="real"), ()),
        (login("wayf", "alum@au.dk", "member@au.dk", borrower=True, cpr="real"), ()),
        (login("nemid", borrower=True, cpr="real", age=40), ()),
        (login("nemid", "alum@au.dk", borrower=True, cpr="real", age=40, intent="private"), ()),
    ],
)
def test_only_the_university_lowers_a_category(came: LoginFacts, lowers: tuple[str, ...] | None) -> None:
    """R47: alumni with a usable number, never a guest, the national eID, an intent or a doubt."""
    decision = decide(came, "my-loans")
    numbered = Attributes({**came.attributes, "cpr": ("0101800000",)})
    made = derive_wanted_borrower(decision, numbered, language="da", today=NOW.date())
    assert (made.lowers if made else None) == lowers


def test_a_login_by_the_library_account_requests_nothing() -> None:
    """Its category is the library's own word: taken for an affiliation it would renew itself for ever."""
    came = login("library", attributes={"borrower_category": ("STUDENT",)}, borrower=True)
    decision = decide(came, "my-loans")
    assert (decision.effect, decision.affiliation) == (Effect.PERMIT, "student")
    assert derive_wanted_borrower(decision, came.attributes, language="da", today=NOW.date()) is None


@pytest.mark.parametrize(
    ("came", "proof"),
    [
        (login("nemid", intent="hospital"), "kaldemail"),
        (login("nemid", intent="hospital", attributes={"kaldemail_domain": ("rm.dk",)}), "kaldemail"),
        (login("nemid", intent="hospital", attributes=NURSE), None),
        (login("nemid", intent="hospital", assurance=Assurance.LOW), None),
        (login("wayf", "student@au.dk", intent="hospital"), None),
        (login("wayf", "employee@clin.au.dk", intent="hospital"), None),
        (login("nemid", intent="private"), None),
        (login("nemid", intent="unheard-of"), None),
        (login("nemid"), None),
    ],
)
def test_what_a_person_has_yet_to_prove(came: LoginFacts, proof: str | None) -> None:
    """R19: a hospital employee by the national eID has a mailbox to show; nobody else is asked for one."""
    found = missing_proof(SHIPPED, came, NOW.date())
    assert (found.name if found else None) == proof


def test_the_domains_that_prove_something_today() -> None:
    """The four of the shipped file, in its order."""
    found = missing_proof(SHIPPED, login("nemid", intent="hospital"), NOW.date())
    assert found is not None
    assert provable_domains(found, NOW.date()) == ("auh.rm.dk", "aarhus.rm.dk", "skejby.rm.dk", "ps.rm.dk")


def scalars(node: YamlNode) -> int:
    """Count the keys and values of a file, without its examples."""
    match node:
        case YamlMapping():
            return sum(1 + scalars(below) for key, below in node.items() if key != "examples")
        case YamlSequence():
            return sum(map(scalars, node))
    return 1


def test_the_shipped_files_say_little() -> None:
    """Four affiliations and three services in at most 400 keys and values: what is said twice is said wrong once."""
    files = list(FOLDER.glob("*.yaml"))
    assert len(files) == 5
    assert sum(scalars(read_file(path, path.name)) for path in files) <= 400
