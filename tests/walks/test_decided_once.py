"""How often one login is read and decided: once a request, by one look at the policy set."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pytest
from flask import request
from werkzeug.test import TestResponse

from broker.core.entities import Text
from broker.core.login.authentication_reading import read_authentication
from broker.core.policy.decision import evaluate
from broker.use_cases import arrived_login
from broker.use_cases.enrolment.borrower_at_login import BorrowerAtLogin
from tests.plugins.house import House, mark
from tests.plugins.proofs import NURSE, code_in

NONE: Final = (0, 0, 0)
ONCE: Final = (1, 1, 1)
# Somebody may edit the policies while the library system makes the borrower.
BEFORE_AND_AFTER_THE_WAIT: Final = (2, 2, 2)
# The chooser asks the policies whether the service is told of numbers.
CHOOSING: Final = ("GET login.show", (1, 0, 0))


@dataclass
class Counts:
    """Looks at the policy set, readings of attributes and evaluations, request by request."""

    now: Counter[str] = field(default_factory=Counter)
    requests: list[tuple[str, tuple[int, int, int]]] = field(default_factory=list)

    def counted(self, what: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Give ``call``, counted as ``what``."""

        def counting(*given: Any, **options: Any) -> Any:
            self.now[what] += 1
            return call(*given, **options)

        return counting

    def begin(self) -> None:
        """Begin a request."""
        self.now.clear()

    def end(self, response: TestResponse) -> TestResponse:
        """End a request."""
        seen = (self.now["looks"], self.now["readings"], self.now["evaluations"])
        self.requests.append((f"{request.method} {request.endpoint}", seen))
        return response

    def of(self, walk: Callable[[], TestResponse]) -> tuple[TestResponse, list[tuple[str, tuple[int, int, int]]]]:
        """Give what a walk leads to, and the counts of its requests that anything was done in."""
        self.requests.clear()
        page = walk()
        return page, [each for each in self.requests if each[1] != NONE]


@pytest.fixture
def counts(house: House, monkeypatch: pytest.MonkeyPatch) -> Counts:
    """Give the counts of the broker: the port to the policies, the reading of attributes, and the decision."""
    made = Counts()
    rules = house.broker.rules
    looked = replace(rules, policies=made.counted("looks", rules.policies))
    for holder in (house.broker, house.broker.lookup):
        object.__setattr__(holder, "rules", looked)
    counted = made.counted("readings", read_authentication)
    monkeypatch.setattr(f"{arrived_login.__name__}.read_authentication", counted)
    monkeypatch.setattr(f"{arrived_login.__name__}.evaluate", made.counted("evaluations", evaluate))
    house.app.before_request_funcs.setdefault(None, []).append(made.begin)
    house.app.after_request_funcs.setdefault(None, []).append(made.end)
    return made


def test_a_login_is_decided_once_a_request(house: House, counts: Counts) -> None:
    """The first with its question and a borrower to make, and the next one that goes straight through."""
    person = house.person()
    page, seen = counts.of(lambda: person.log_in("asta"))
    assert seen == [CHOOSING, ("GET login.show", ONCE), ("GET login.show", ONCE), ("GET consent.ask", ONCE)]
    left, seen = counts.of(lambda: person.agree(page, remember=True))
    assert (mark(left)[0], seen) == ("issue", [("POST consent.answer", BEFORE_AND_AFTER_THE_WAIT)])
    again, seen = counts.of(lambda: person.log_in("asta"))
    assert (mark(again)[0], seen) == ("issue", [CHOOSING, ("GET login.show", ONCE)])


def test_a_fact_of_the_person_is_read_and_decided_anew(house: House, counts: Counts) -> None:
    """A proof of a mailbox makes another person to the policies: in the request that adds it, by the same look."""
    person = house.person()
    page, seen = counts.of(lambda: person.sign_up("eva", "hospital", way="nemid"))
    assert seen[-2:] == [("GET login.show", ONCE), ("GET proof.ask", ONCE)]
    page, seen = counts.of(lambda: person.press(page, do="mail", address=NURSE))
    assert seen == [("POST proof.answer", ONCE), ("GET proof.ask", ONCE)]
    code = code_in(house.mailbox.mails()[0])
    page, seen = counts.of(lambda: person.press(page, do="code", code=code))
    assert seen == [("POST proof.answer", (1, 2, 2)), ("GET consent.ask", ONCE)]
    assert mark(page)[0] == "ask"


def test_policies_edited_while_the_borrower_is_made_ask_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was agreed to before the wait is not what would leave after it: nothing leaves."""
    policies = house.parts.policies
    ours, *rest = policies._held
    edited = [
        replace(each, releases=tuple(replace(release, purpose=Text("Else", "Andet")) for release in each.releases))
        for each in ours.policies
    ]
    enrol = BorrowerAtLogin.enrol

    def edit_meanwhile(*given: Any, **options: Any) -> Any:
        account = enrol(*given, **options)
        monkeypatch.setattr(policies, "_held", (replace(ours, policies=tuple(edited), digest="edited"), *rest))
        return account

    monkeypatch.setattr(BorrowerAtLogin, "enrol", edit_meanwhile)
    person = house.person()
    answered = person.agree(person.log_in("asta"))
    assert b"SAMLResponse" not in answered.get_data()
    assert mark(person.get(answered.location))[0] == "ask"
