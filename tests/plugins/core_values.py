"""Builders of policies, authentications and transactions. A test names only what it is about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from broker.core.entities import Text
from broker.core.login.transaction import Authentication, AuthnRequest, Transaction
from broker.core.policy.model import Alternative, Condition, Policy, PolicyLine, Release, ReleasedAttribute, Requirement

NOW: Final = datetime(2026, 11, 25, 12, tzinfo=UTC)
WORDS: Final = Text("words", "ord")
PLACE: Final = PolicyLine("p.yaml", 1)
REQUEST: Final = AuthnRequest("_r1", "my-loans", "https://loans.example", "https://loans.example/acs")


def make_alternative(**conditions: str) -> Alternative:
    """Return an alternative with one value for each condition."""
    return Alternative(tuple(Condition(name, (value,), PLACE) for name, value in conditions.items()), PLACE)


def make_release(service: str = "my-loans", *names: str, **changes: Any) -> Release:
    """Return a release entry that lists these attributes, with a persistent NameID and without a borrower."""
    listed = tuple(ReleasedAttribute(name, WORDS, PLACE) for name in names)
    return replace(Release(service, "none", "public_task", WORDS, "persistent", listed, place=PLACE), **changes)


def make_policy(affiliation: str = "student", *match: Alternative, **changes: Any) -> Policy:
    """Return a policy that requires and releases nothing."""
    file = f"{affiliation}.yaml"
    plain = Policy(file, affiliation, 1, WORDS, "o", NOW.date(), match, (), Requirement(), None, ())
    return replace(plain, **changes)


def make_authentication(upstream: str = "wayf", **changes: Any) -> Authentication:
    """Return a verified authentication at NOW without attributes."""
    until = NOW + timedelta(minutes=4)
    institution = "https://idp.au.example"
    plain = Authentication(
        upstream, f"https://{upstream}.example", institution, (institution,), (), NOW, None, NOW, until
    )
    return replace(plain, **changes)


def make_transaction(**changes: Any) -> Transaction:
    """Return a transaction that began at NOW."""
    return replace(Transaction("t" * 32, "BCDFGHJK", NOW, NOW + timedelta(minutes=30), REQUEST), **changes)
