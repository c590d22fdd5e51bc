"""The facts that policies use, the attributes that metadata requires, and missing proofs."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from broker.core.entities import Assurance, Service
from broker.core.identity.canonical_attributes import CPR_STAND_IN, AttributeMap, AttributeReading, Attributes, MapRow
from broker.core.identity.rights import Ground
from broker.core.login.decision_input import add_required_names, deny, login_facts, proof_step
from broker.core.policy.model import Effect, LoginFacts, MailDomain, PolicySet, ProofRule
from tests.plugins.core_values import NOW, make_alternative, make_policy

PROOF = ProofRule(
    "kaldemail", (MailDomain("auh.rm.dk"), MailDomain("old.rm.dk", date(2026, 11, 24))), timedelta(days=365)
)
NURSES = make_policy("nurse", make_alternative(kaldemail_domain="auh.rm.dk"), proofs=(PROOF,))
POLICIES = PolicySet((NURSES,), "digest")


def reading(**attributes: str) -> AttributeReading:
    """Give the reading of these attributes."""
    whole = Attributes({name: (value,) for name, value in attributes.items()})
    return AttributeReading(
        whole, Assurance.LOW, "real", 22, withheld=(("sn", "bad_value"), ("sn", "cpr_shaped"), ("uid", "bad_value"))
    )


def make_nemid_login(came: AttributeReading, intent: str | None) -> LoginFacts:
    """Give the facts of a login by the national eID."""
    return login_facts(came.mask_cpr(), upstream="nemid", intent=intent)


@pytest.mark.parametrize(
    ("attribute_map", "required"),
    [("library", frozenset({"mail", "sn"})), ("other", frozenset({"sn"})), ("unheard-of", frozenset())],
)
def test_metadata_requires_in_our_names(service: Service, attribute_map: str, required: frozenset[str]) -> None:
    """Required attributes are those that the service's own map can name."""
    maps = {
        "library": AttributeMap("library", (MapRow("w-mail", "mail"), MapRow("w-sn", "sn"), MapRow("w-gn", "gn"))),
        "other": AttributeMap("other", (MapRow("w-sn", "sn"), MapRow("mail", "mail"))),
    }
    demanding = replace(service, attribute_map=attribute_map, requires=frozenset({"w-mail", "w-sn", "w-unknown"}))
    assert add_required_names(demanding, maps).required == required


def test_a_number_is_no_fact_of_a_login() -> None:
    """Policies see that there is one, of its kind and in its place; the number itself stays out of decisions."""
    facts = login_facts(reading(gn="Asta", cpr="1403044004", sn="Ravn").mask_cpr(), upstream="wayf", intent=None)
    assert list(facts.attributes.items()) == [("gn", ("Asta",)), ("cpr", CPR_STAND_IN), ("sn", ("Ravn",))]
    assert facts.cpr == "real"


def test_a_login_without_an_upstream_matches_none() -> None:
    """An empty name matches no upstream."""
    assert login_facts(reading().mask_cpr(), upstream=None, intent=None).upstream == ""


def test_a_denial_before_the_policies_names_them() -> None:
    """Its reason is the only one, nothing is released, and its digest is that of the policies in force."""
    decision = deny("level_missing", POLICIES)
    assert (decision.effect, [reason.code for reason in decision.reasons]) == (Effect.DENY, ["level_missing"])
    assert (decision.digest, decision.released, decision.ground) == ("digest", (), Ground.NOTHING)


@pytest.mark.parametrize(
    ("mail", "suggested"),
    [
        ("asta@auh.rm.dk", "asta@auh.rm.dk"),
        ("Asta@AUH.rm.dk", "Asta@AUH.rm.dk"),
        ("asta@old.rm.dk", None),
        ("asta@au.dk", None),
        ("auh.rm.dk@evil.example", None),
        ("", None),
        (None, None),
    ],
)
def test_an_address_is_suggested_where_it_could_prove(mail: str | None, suggested: str | None) -> None:
    """The proof that the intent needs, with the domains that count today; an address elsewhere is not offered."""
    attributes = reading() if mail is None else reading(mail=mail)
    step = proof_step(make_nemid_login(attributes, "nurse"), POLICIES, NOW)
    assert step is not None
    assert (step.name, step.domains, step.optional) == ("kaldemail", ("auh.rm.dk",), True)
    assert step.suggested == suggested


@pytest.mark.parametrize("intent", [None, "student"])
def test_the_proof_is_asked_only_for_its_intent_and_once(intent: str | None) -> None:
    """A person with another intent, or with the proof already, is not asked for it."""
    assert proof_step(make_nemid_login(reading(), intent), POLICIES, NOW) is None
    assert proof_step(make_nemid_login(reading(kaldemail_domain="auh.rm.dk"), "nurse"), POLICIES, NOW) is None
