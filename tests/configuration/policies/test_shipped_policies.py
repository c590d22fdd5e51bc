"""The shipped policies as a library promises them: who gets what, by which way to log in.

Source: docs/reference/requirements.md#requirements.
"""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.configuration.policies import live_policies
from broker.core.borrowers.wanted_borrower import derive_wanted_borrower
from broker.core.entities import Assurance, Controller, Service, Text
from broker.core.identity.canonical_attributes import CPR_STAND_IN, AttributeReading, Attributes, assume_ground
from broker.core.login.decision_input import login_facts
from broker.core.policy.decision import evaluate
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
