"""Logins in which one of two sets recalls an earlier proof: what it adds is told, whatever else stands in the files."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Final

import pytest

from broker.core.analysis.compared_logins import Analysis, Site
from broker.core.analysis.set_differences import difference
from broker.core.analysis.set_pairs import recalled_apart
from broker.core.analysis.source_kinds import SourceKinds, Vocabulary
from broker.core.analysis.sources import AssertedShape, Source
from broker.core.policy.model import (
    Alternative,
    BorrowerRule,
    Condition,
    Field,
    MailDomain,
    Policy,
    PolicyLine,
    PolicySet,
    ProofRule,
    Release,
    ReleasedAttribute,
    Requirement,
)
from tests.plugins.random_policies import NOW, SERVICES, SOURCES, TODAY, WORDS

LOANS: Final = SERVICES[0]
BY: Final = {source.upstream: source for source in SOURCES}
MAIL: Final = ("mail", "b@post.example")
DOMAIN: Final = ("kaldemail_domain", "auh.rm.dk")


def way(upstream: str, *conditions: tuple[str, str]) -> Alternative:
    """Give an alternative for logins by this upstream that show all these values."""
    line = PolicyLine("p.yaml", 2)
    rest = (Condition(name, (value,), line) for name, value in conditions)
    return Alternative((Condition("upstream", (upstream,), line), *rest), line)


def policy(affiliation: str, precedence: int, match: Alternative, *released: str, until: date | None = None) -> Policy:
    """Give a policy with a proof, that releases these attributes to one service, and asks for nothing."""
    line = PolicyLine("p.yaml", 3)
    entry = Release(
        service=LOANS.name,
        borrower="none",
        legal_basis="public_task",
        purpose=WORDS,
        name_id="transient",
        attributes=tuple(ReleasedAttribute(name, WORDS, line) for name in released),
        place=line,
    )
    return Policy(
        file=f"{affiliation}.yaml",
        affiliation=affiliation,
        precedence=precedence,
        label=WORDS,
        owner="o",
        review_by=date(2030, 1, 1),
        match=(match,),
        proofs=(ProofRule("kaldemail", (MailDomain("auh.rm.dk", until),), timedelta(1), timedelta(2)),),
        require=Requirement(cpr=False, age=None, assurance=None, place=line),
        borrower=None,
        releases=(entry,) if released else (),
    )


def rows(before: tuple[Policy, ...], after: tuple[Policy, ...], *sources: Source) -> list[str]:
    """Give the rows of two sets at one service, with the people's affiliations."""
    sets = (PolicySet(before, "before"), PolicySet(after, "after"))
    found = difference(Analysis(sets, Site(sources, (LOANS,)), NOW))
    return [f"{row.change.direction} {row.affiliation}: {row.change.text}" for row in found.rows]


@pytest.mark.parametrize("upstream", ["wayf", "nemid"])
@pytest.mark.parametrize("precedence", [1, -1], ids=["above", "below"])
@pytest.mark.parametrize("beside", [(), (MAIL,)], ids=["the domain alone", "an address beside it"])
@pytest.mark.parametrize("elsewhere", [(), (MAIL,)], ids=["no other rule of mail", "another upstream's rule of mail"])
@pytest.mark.parametrize("until", [None, TODAY + timedelta(3)], ids=["for ever", "until a day"])
def test_a_policy_that_stands_gives_away_what_another_file_begins_to_recall(
    upstream: str,
    precedence: int,
    beside: tuple[tuple[str, str], ...],
    elsewhere: tuple[tuple[str, str], ...],
    until: date | None,
) -> None:
    """Whoever proved a mailbox once, by whatever domain: it leaves by lines that nobody changed."""
    stands = policy("stands", 0, way(upstream), "kaldemail_domain")
    blind = policy("other", precedence, way("library", *elsewhere), until=until)
    looking = policy("other", precedence, way(upstream, *beside, DOMAIN), until=until)

    source = BY[upstream]
    assert "WIDER stands: + kaldemail_domain" in rows((stands, blind), (stands, looking), source)
    assert "narrower stands: - kaldemail_domain" in rows((stands, looking), (stands, blind), source)


@pytest.mark.parametrize("upstream", ["wayf", "nemid"])
@pytest.mark.parametrize("released", ["kaldemail", "kaldemail_domain"])
def test_what_was_proved_leaves_whole_or_by_its_domain(upstream: str, released: str) -> None:
    """The address itself, too, which no upstream asserts: where an entry lists it, and where it is recalled."""
    listing, silent = (policy("lists", 0, way(upstream, DOMAIN), *names) for names in (("sn", released), ("sn",)))
    assert rows((silent,), (listing,), BY[upstream]) == [f"WIDER lists: + {released}"]

    stands = policy("stands", 0, way(upstream), released)
    blind, looking = (policy("other", -1, match) for match in (way("library"), way(upstream, DOMAIN)))
    assert f"WIDER stands: + {released}" in rows((stands, blind), (stands, looking), BY[upstream])


def test_a_field_is_filled_from_the_address_that_was_proved() -> None:
    """By its bare name as by the name of the proof: what the account gets is told."""
    line = PolicyLine("p.yaml", 4)
    silent = policy("lists", 0, way("nemid", DOMAIN), "sn")
    rule = BorrowerRule(("cpr",), "STUDENT", (), 12, (Field("email", "mail", "create", line),), "mail", line)
    entry = replace(silent.releases[0], borrower="make")
    names = ("mail", "kaldemail", "proof.kaldemail")
    by_mail, bare, named = (
        replace(silent, releases=(entry,), borrower=replace(rule, fields=(Field("email", name, "create", line),)))
        for name in names
    )
    for other, name in ((bare, "kaldemail"), (named, "proof.kaldemail")):
        assert f"WIDER lists: + field email: from {name}" in rows((by_mail,), (other,), BY["nemid"])


def test_an_asserted_address_is_none_that_is_recalled() -> None:
    """A rule for addresses to write to, which are proved where none is asserted, makes nothing of it new."""
    addresses = ProofRule("mail", (), timedelta(1), timedelta(2))
    stands = policy("stands", 0, way("wayf"), "mail")
    blind, looking = (
        replace(other, proofs=(*other.proofs, addresses))
        for other in (policy("other", -1, way("library")), policy("other", -1, way("wayf", DOMAIN)))
    )
    assert "WIDER stands: + mail" not in rows((stands, blind), (stands, looking), BY["wayf"])


def test_whoever_comes_without_an_address_is_recalled_by_every_set() -> None:
    """Of an upstream whose map has no mail nothing begins to be recalled, so that nothing is told."""
    stands = policy("stands", 0, way("wayf"), "kaldemail_domain")
    sets = (stands, policy("other", -1, way("library"))), (stands, policy("other", -1, way("wayf", DOMAIN)))
    nameless = Source("wayf", "https://au.example", {"sn": AssertedShape(single=True)}, levels=(None,))

    assert "WIDER stands: + kaldemail_domain" not in rows(*sets, nameless)
    naming = Source("wayf", "https://au.example", {"mail": AssertedShape(single=True)}, levels=(None,))
    assert "WIDER stands: + kaldemail_domain" in rows(*sets, naming)


def test_sets_recall_apart_where_one_alone_looks_at_a_proof() -> None:
    """By the upstreams of its conditions; nothing of sets that look alike, of one set, or of none."""
    looking = PolicySet((policy("a", 0, way("wayf", DOMAIN)),), "a")
    other = PolicySet((policy("a", 0, way("nemid", DOMAIN)),), "b")
    assert recalled_apart((looking, other)) == {"wayf", "nemid"}
    for alike in ((), (looking,), (looking, looking)):
        assert recalled_apart(alike) == frozenset()


def test_by_a_pin_nothing_is_recalled() -> None:
    """Beside an account that the library system verified no earlier proof is looked up, by any set."""
    looking = PolicySet((policy("a", 0, way("library", DOMAIN)),), "a")
    other = PolicySet((policy("a", 0, way("library")),), "b")
    vocabulary = Vocabulary.of((looking, other))
    assert vocabulary.recalled_apart == {"library"}
    assert not SourceKinds.of(BY["library"], vocabulary).recalled_apart
