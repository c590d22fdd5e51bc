"""Builders of core values, for the tests of the pure heart."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest

from broker.core.consent.disclosure import Disclosure, Item
from broker.core.entities import Controller, Service, Text
from broker.core.identity.canonical_attributes import WireAttribute
from broker.core.identity.rights import Ground
from broker.core.login.transaction import Authentication, Person, Transaction
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.policy.expiry import Expiry
from broker.core.policy.model import (
    AccountDemand,
    BorrowerRule,
    Decision,
    Effect,
    Field,
    LegalBasis,
    Reason,
    ReleasedAttribute,
)
from tests.plugins.core_values import (
    NOW,
    PLACE,
    WORDS,
    make_authentication,
    make_policy,
    make_release,
    make_transaction,
)


@pytest.fixture
def now() -> datetime:
    """Give the moment at which all happens."""
    return NOW


@pytest.fixture
def hmacs() -> LookupHmacs:
    """Give pseudonyms under a fixed key."""
    return LookupHmacs("k1", b"k" * 32)


@pytest.fixture
def service() -> Service:
    """Give a service with a controller and an encryption key."""
    return Service(
        "my-loans",
        "https://loans.example",
        WORDS,
        ("wayf", "nemid"),
        Controller(Text("Library", "Bibliotek")),
        encrypts=True,
    )


@pytest.fixture
def transaction() -> Transaction:
    """Give a transaction that has just begun."""
    return make_transaction()


@pytest.fixture
def authentication() -> Authentication:
    """Give a verified authentication by WAYF."""
    return make_authentication(
        attributes=(WireAttribute("urn:oid:2.5.4.3", ("Asta Ravn",)),),
        authn_context="urn:oasis:names:tc:SAML:2.0:ac:classes:Password",
    )


@pytest.fixture
def arrived_transaction(transaction: Transaction, authentication: Authentication) -> Transaction:
    """Give a transaction whose authentication and person are known."""
    return replace(
        transaction,
        browser="b",
        upstream="wayf",
        authentication=authentication,
        authenticated=NOW,
        arrival="a",
        person=Person("p1"),
    )


Permit = Callable[..., Decision]


@pytest.fixture
def permit() -> Permit:
    """Give a maker of permitting decisions."""

    def make(basis: LegalBasis = "consent", borrower: AccountDemand = "none", **released: tuple[str, ...]) -> Decision:
        listed = tuple(
            (ReleasedAttribute(name, WORDS, PLACE), values) for name, values in (released or {"sn": ("Ravn",)}).items()
        )
        attributes = tuple(each for each, _ in listed)
        release = make_release(borrower=borrower, legal_basis=basis, attributes=attributes)
        rule = BorrowerRule(
            "STUDENT", ("PRIVATE",), Expiry(24), (Field("email", "mail", "create", PLACE),), "mail", place=PLACE
        )
        policy = make_policy(precedence=10, borrower=rule, releases=(release,))
        return Decision(
            Effect.PERMIT,
            (Reason("ok", PLACE),),
            "student",
            policy,
            release,
            listed,
            digest="d",
            ground=Ground.INSTITUTION,
            permits_creation=True,
        )

    return make


@pytest.fixture
def disclosure() -> Disclosure:
    """Give a disclosure of a name, a CPR number and a borrower number that is not made yet."""
    items = (Item("sn", ("Ravn",), WORDS), Item("cpr", ("1403044004",), WORDS), Item("borrower_number", (), WORDS))
    giver, receiver = Controller(Text("AU", "AU")), Controller(Text("Library", "Bibliotek"))
    return Disclosure(
        "my-loans", "https://loans.example/acs", "persistent", WORDS, "consent", giver, receiver, items, "d"
    )
