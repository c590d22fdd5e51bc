"""The one proof that a person lacks."""

from datetime import date, timedelta

import pytest

from broker.core.entities import Assurance
from broker.core.identity.canonical_attributes import Attributes
from broker.core.policy.missing_proof import missing_proof, provable_domains
from broker.core.policy.model import Alternative, Condition, LoginFacts, MailDomain, PolicySet, ProofRule
from tests.plugins.core_values import PLACE, make_policy

TODAY = date(2026, 11, 25)
OLD = TODAY - timedelta(days=1)


def proof(name: str, *domains: MailDomain) -> ProofRule:
    """Give a proof in these domains."""
    return ProofRule(name, domains, timedelta(days=365))


def find_missing(login: LoginFacts, proofs: tuple[ProofRule, ...], *match: dict[str, tuple[str, ...]]) -> str | None:
    """Ask what ``login`` lacks to match one of these alternatives."""
    alternatives = tuple(
        Alternative(tuple(Condition(name, values, PLACE) for name, values in each.items()), PLACE) for each in match
    )
    policy = make_policy("nurse", *alternatives, proofs=proofs)
    found = missing_proof(PolicySet((policy,), "d"), login, TODAY)
    return found.name if found else None


LOGIN = LoginFacts("nemid", Attributes(), Assurance.SUBSTANTIAL, intent="nurse")
MAIL = proof("mail", MailDomain("a.example"), MailDomain("b.example", OLD))
CARD = proof("card", MailDomain("c.example", TODAY))
BY_MAIL = {"upstream": ("nemid",), "mail_domain": ("a.example", "b.example")}


@pytest.mark.parametrize(
    ("match", "lacks"),
    [
        ([BY_MAIL], "mail"),
        ([{**BY_MAIL, "upstream": ("wayf",)}], None),
        ([{"upstream": ("nemid",)}, BY_MAIL], None),
        ([BY_MAIL, {"upstream": ("nemid",)}], None),
        ([{**BY_MAIL, "mail_domain": ("b.example",)}], None),
        ([{**BY_MAIL, "mail_domain": ("z.example",)}], None),
        ([{"upstream": ("wayf",)}, {"card_domain": ("c.example",)}], "card"),
        ([{"none_domain": ("c.example",)}], None),
        ([{**BY_MAIL, "card_domain": ("z.example",)}], None),
        ([], None),
    ],
)
def test_only_a_single_missing_proof_is_found(match: list[dict[str, tuple[str, ...]]], lacks: str | None) -> None:
    """Not if another upstream, another day or another policy would be needed."""
    assert find_missing(LOGIN, (MAIL, CARD), *match) == lacks


def test_a_domain_is_good_through_its_day() -> None:
    """And no longer."""
    assert provable_domains(MAIL, TODAY) == ("a.example",)
    assert provable_domains(MAIL, OLD) == ("a.example", "b.example")
    assert provable_domains(CARD, TODAY) == ("c.example",)
    assert provable_domains(CARD, TODAY + timedelta(days=1)) == ()
