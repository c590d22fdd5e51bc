"""The evaluation of a login in one request: for its facts, by one policy set."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from broker.core.entities import Institution, Service, Upstream
from broker.core.identity.canonical_attributes import AttributeMap, AttributeReading, MapRow, WireAttribute
from broker.core.identity.mailbox_proofs import MailboxProof
from broker.core.login.authentication_reading import read_authentication
from broker.core.login.configured_entities import ConfiguredEntities
from broker.core.login.transaction import Person, Transaction
from broker.core.policy.model import Effect, PolicySet, Requirement
from broker.use_cases.transactions.evaluated_login import EvaluatedLogin, evaluate_login
from tests.plugins.core_values import (
    NOW,
    REQUEST,
    WORDS,
    make_alternative,
    make_authentication,
    make_policy,
    make_release,
    make_transaction,
)

AU: Final = Institution("https://idp.au.example", scopes=("au.dk",))
ROLE: Final = "eduPersonScopedAffiliation"
MAP: Final = AttributeMap("wayf", (MapRow("role", ROLE), MapRow("eppn", "eduPersonPrincipalName")))
STUDENTS: Final = make_policy(
    "student",
    make_alternative(eduPersonScopedAffiliation="student@*"),
    require=Requirement(cpr=True),
    releases=(make_release(borrower="make"),),
)
LOGIN: Final = make_authentication(attributes=(WireAttribute("role", ("student@au.dk",)),))
BEGUN: Final = make_transaction(upstream="wayf", authentication=LOGIN)
PROOF: Final = MailboxProof("kaldemail", "nurse@auh.rm.dk", NOW, NOW + timedelta(days=1))


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


def test_without_an_authentication_no_policy_decides(entities: Entities) -> None:
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
