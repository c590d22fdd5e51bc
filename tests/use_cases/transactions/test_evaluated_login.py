"""The evaluation of a login in one request: for its facts, by one policy set."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from broker.core.entities import Institution, Service, Text, Upstream
from broker.core.identity.canonical_attributes import AttributeMap, AttributeReading, MapRow, WireAttribute
from broker.core.identity.mailbox_proofs import Proved
from broker.core.login.authentication_reading import read_authentication
from broker.core.login.configured_entities import ConfiguredEntities
from broker.core.login.transaction import Authentication, AuthnRequest, Person, Transaction
from broker.core.policy.model import Alternative, Condition, Effect, Policy, PolicyLine, PolicySet, Release, Requirement
from broker.use_cases.transactions.evaluated_login import EvaluatedLogin, evaluate_login

NOW: Final = datetime(2026, 11, 25, 12, tzinfo=UTC)
WORDS: Final = Text("words", "ord")
PLACE: Final = PolicyLine("p.yaml", 1)
AU: Final = Institution("https://idp.au.example", scopes=("au.dk",))
ROLE: Final = "eduPersonScopedAffiliation"
MAP: Final = AttributeMap("wayf", (MapRow("role", ROLE), MapRow("eppn", "eduPersonPrincipalName")))
STUDENTS: Final = Policy(
    "p.yaml",
    "student",
    1,
    WORDS,
    "o",
    NOW.date(),
    (Alternative((Condition(ROLE, ("student@*",), PLACE),), PLACE),),
    (),
    Requirement(cpr=True),
    None,
    (Release("my-loans", "make", "public_task", WORDS, "persistent", (), place=PLACE),),
)
LOGIN: Final = Authentication(
    "wayf",
    "https://wayf.example",
    AU.entity_id,
    (AU.entity_id,),
    (WireAttribute("role", ("student@au.dk",)),),
    NOW,
    None,
    NOW,
    NOW + timedelta(minutes=4),
)
REQUEST: Final = AuthnRequest("_1", "my-loans", "https://loans.example", "acs")
BEGUN: Final = Transaction(
    "t" * 32, "BCDFGHJK", NOW, NOW + timedelta(minutes=30), REQUEST, upstream="wayf", authentication=LOGIN
)
PROOF: Final = Proved("kaldemail", "nurse@auh.rm.dk", NOW, NOW + timedelta(days=1))


class Entities:
    """Configured entities whose policies and readings are counted; ``edit`` replaces the policy set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.counts: Counter[str] = Counter()
        self.set = PolicySet((STUDENTS,), "one")

        def count_reading(*given: Any, **named: Any) -> AttributeReading:
            self.counts["readings"] += 1
            return read_authentication(*given, **named)

        monkeypatch.setattr("broker.use_cases.transactions.evaluated_login.read_authentication", count_reading)
        services = {
            name: Service(name, f"https://{name}.example", WORDS, ("wayf",)) for name in ("my-loans", "e-resources")
        }
        upstream = Upstream("wayf", "wayf", "https://wayf.example", "https://sp.example", "wayf", WORDS, (AU,))
        self.rules = ConfiguredEntities(services, {"wayf": upstream}, {"wayf": MAP}, self.policies)

    def policies(self) -> PolicySet:
        """Give the set in force."""
        self.counts["looks"] += 1
        return self.set

    def read_login(self, transaction: Transaction, before: EvaluatedLogin | None = None) -> EvaluatedLogin:
        """Read and decide."""
        made = evaluate_login(self.rules, transaction, NOW, before)
        assert made is not None
        return made


@pytest.fixture
def entities(monkeypatch: pytest.MonkeyPatch) -> Entities:
    """Give the entities with a policy for students."""
    return Entities(monkeypatch)


def test_nobody_has_arrived_before_an_authentication(entities: Entities) -> None:
    """No attribute is read, and no policy decides."""
    assert evaluate_login(entities.rules, replace(BEGUN, authentication=None), NOW) is None
    assert entities.counts == {}


@pytest.mark.parametrize(
    ("change", "readings"),
    [
        ({"authentication": replace(LOGIN, attributes=(WireAttribute("role", ("staff@au.dk",)),))}, 2),
        ({"authentication": replace(LOGIN, received=NOW + timedelta(seconds=1))}, 2),
        ({"proofs": (PROOF,)}, 2),
        ({"intent": "student"}, 1),
        ({"request": replace(REQUEST, service="e-resources")}, 1),
        ({"person": Person("p", "7")}, 1),
    ],
    ids=["another person", "the same again", "a proof", "an intent", "a service", "a borrower"],
)
def test_other_facts_are_decided_anew(entities: Entities, change: dict[str, Any], readings: int) -> None:
    """The evaluation of one authentication is never used for another."""
    first = entities.read_login(BEGUN)
    second = entities.read_login(replace(BEGUN, **change), first)
    assert second == entities.read_login(replace(BEGUN, **change))
    assert second is not first
    assert entities.counts == {"looks": 2, "readings": readings + 1}


def test_a_borrower_that_is_known_stands_in_for_what_is_lacking(entities: Entities) -> None:
    """And one that is no longer known leaves nobody let in by it."""
    denied = entities.read_login(BEGUN)
    served = entities.read_login(replace(BEGUN, person=Person("p", "7")), denied)
    again = entities.read_login(replace(BEGUN, person=Person("p")), served)
    assert [each.decision.effect for each in (denied, served, again)] == [Effect.DENY, Effect.PERMIT, Effect.DENY]


@pytest.mark.parametrize(
    ("person", "borrower"), [(None, None), (Person("p"), None), (Person("p", "42"), True), (Person("p", ""), True)]
)
def test_a_borrower_is_a_number_that_links_lead_to(
    entities: Entities, person: Person | None, *, borrower: bool | None
) -> None:
    """A person without one has perhaps not been looked up, and is decided over as such."""
    assert entities.read_login(replace(BEGUN, person=person)).facts.borrower is borrower


def test_one_request_goes_by_one_policy_set(entities: Entities) -> None:
    """An edit of the policies counts from the next request."""
    first = entities.read_login(BEGUN)
    entities.set = PolicySet((), "edited")
    proved = replace(BEGUN, proofs=(PROOF,))
    assert entities.read_login(proved, first).decision.digest == "one"
    assert entities.read_login(proved).decision.digest == "edited"


def test_attributes_that_are_not_trusted_are_not_there(entities: Entities) -> None:
    """The decision denies with the cause, and nothing is read that could name anybody or reach a class."""
    spoofed = replace(LOGIN, attributes=(*LOGIN.attributes, WireAttribute("eppn", ("a@ku.dk",))))
    arrived = entities.read_login(replace(BEGUN, authentication=spoofed))
    assert (arrived.trusted, arrived.is_permitted) == (False, False)
    assert dict(arrived.reading.attributes) == {}
    assert (arrived.reading.cpr, arrived.reading.assurance) == ("none", None)
    trusted = entities.read_login(BEGUN, arrived)
    assert trusted.trusted
    assert trusted == entities.read_login(BEGUN)


@pytest.mark.parametrize(("named", "withheld"), [("course-1@au.dk", False), ("course-2@au.dk", True)])
def test_a_role_is_read_where_the_policies_of_the_request_name_it(
    monkeypatch: pytest.MonkeyPatch, named: str, withheld: bool
) -> None:
    """Beyond eduPerson's words a value counts in full, as it stands in a policy file."""
    entities = Entities(monkeypatch)
    match = (Alternative((Condition(ROLE, (named,), PLACE),), PLACE),)
    entities.set = PolicySet((replace(STUDENTS, match=match),), "two")
    came = replace(LOGIN, attributes=(WireAttribute("role", ("course-1@au.dk",)),))
    arrived = entities.read_login(replace(BEGUN, authentication=came))
    assert (ROLE in arrived.reading.attributes) is not withheld
    assert (arrived.decision.reasons[0].code == "no_affiliation") is withheld
