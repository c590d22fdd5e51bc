"""The differences between two policy sets: nothing that any login shows is missing from them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.core.analysis.compared_logins import Analysis, Site
from broker.core.analysis.directed_change import Direction
from broker.core.analysis.set_differences import Difference, difference
from broker.core.analysis.set_pairs import named_services
from broker.core.analysis.sources import Source
from broker.core.borrowers.wanted_borrower import WantedBorrower, derive_wanted_borrower
from broker.core.entities import PERSISTENT, TRANSIENT, Service
from broker.core.login.described_login import DescribedLogin, IdealTerms
from broker.core.login.ideal_login import play
from broker.core.login.played_login import PlayedLogin
from broker.core.login.steps import OfferUpgrade, ProveMailbox
from broker.core.policy.missing_proof import remembering_proof
from broker.core.policy.model import PolicySet
from tests.plugins.drawn import drawn
from tests.plugins.random_edits import edited
from tests.plugins.random_policies import LOCAL, NOW, POLICY_SETS, SERVICES, SOURCES, TODAY, random_logins

SITE = Site(SOURCES, SERVICES)
SEEDS = st.integers(0, 2**32)
UNTOLD = [HealthCheck.too_slow, HealthCheck.data_too_large]


def rewritten(before: PolicySet, other: PolicySet, at: int) -> PolicySet:
    """Give the set with one policy written anew, under its old name and precedence."""
    at %= len(before.policies)
    old, new = before.policies[at], other.policies[0]
    written = replace(new, file=old.file, affiliation=old.affiliation, precedence=old.precedence)
    return PolicySet((*before.policies[:at], written, *before.policies[at + 1 :]), "after")


KEYS = st.tuples(POLICY_SETS, SEEDS).map(lambda drawn: (drawn[0], edited(Random(drawn[1]), drawn[0])))
WHOLE = st.tuples(POLICY_SETS, POLICY_SETS, st.integers(0, 3)).map(lambda drawn: (drawn[0], rewritten(*drawn)))
EDITS = st.one_of(KEYS, KEYS, KEYS, WHOLE)


@dataclass(frozen=True)
class Shown:
    """All that a login shows of one set: by the engine, never by the analysis."""

    played: PlayedLogin
    policies: PolicySet

    @property
    def values(self) -> dict[str, set[str]]:
        """Give the values that leave."""
        return {each.name: set(each.values) for each in self.played.leaving}

    @property
    def wanted(self) -> WantedBorrower | None:
        """Give what the login writes to an account, where one is made or changed."""
        played = self.played
        release = played.decision.release
        if release is None or release.borrower != "make" or not played.permitted:
            return None
        return derive_wanted_borrower(played.decision, played.facts.attributes, language="en", today=TODAY)

    @property
    def fields(self) -> set[tuple[str, str]]:
        """Give the fields that are written, with their values."""
        return {(each.name, each.value) for each in self.wanted.fields} if self.wanted else set()

    @property
    def terms(self) -> object:
        """Give the terms under which anything leaves."""
        disclosure, release = self.played.disclosure, self.played.decision.release
        if disclosure is None or release is None:
            return None
        reasons = [(item.name, item.why, item.mask, item.optional) for item in disclosure.items]
        asks = disclosure.legal_basis == "consent"  # then our page tells, whatever the entry says
        notice = "ours" if asks else release.notice
        return (disclosure.name_id_format, disclosure.purpose, disclosure.legal_basis, notice, reasons)

    @property
    def mailboxes(self) -> dict[str, tuple[timedelta, timedelta | None]]:
        """Give how long codes and proofs are good for, of those that are asked for."""
        asked = [step for step in self.played.steps if isinstance(step, ProveMailbox)]
        found = {step.name: (step.lasts, remembering_proof(self.policies, step.name)) for step in asked}
        return {name: (lasts, rule.remembered_for if rule else None) for name, (lasts, rule) in found.items()}

    @property
    def all(self) -> tuple[object, ...]:
        """Give everything that a change may be of."""
        played = self.played
        borrower = played.borrower
        kept = (borrower.outcome, borrower.category, borrower.months) if borrower else None
        wanted = self.wanted
        written = (wanted.fields, wanted.pin_to, wanted.expires) if wanted else None
        reason = None if played.permitted else played.reason
        steps = [step for step in played.steps if isinstance(step, ProveMailbox | OfferUpgrade)]
        asked = [(type(step).__name__, getattr(step, "name", ""), getattr(step, "domains", ())) for step in steps]
        decided = (reason, played.decision.affiliation, self.values, self.terms)
        return (*decided, kept, written, asked, self.mailboxes)


def played(login: DescribedLogin, source: Source, service: Service, policies: PolicySet) -> Shown:
    """Play a login to its end."""
    terms = IdealTerms(giver=source.giver, local=LOCAL)
    return Shown(play(login, service, policies, NOW, terms), policies)


def wider(before: Shown, after: Shown) -> Iterator[str]:
    """Give how the rows begin that must be there as WIDER for what a login shows."""
    if after.played.permitted and not before.played.permitted:
        yield "let in"
    for name, values in after.values.items():
        if values - before.values.get(name, set()):
            yield f"+ {name}"
    yield from wider_terms(before.played, after.played)
    if before.played.permitted and after.played.permitted:
        for name, _ in after.fields - before.fields:
            yield f"+ field {name}" if name not in dict(before.fields) else f"field {name}|+ field {name}"
    for name, spans in after.mailboxes.items():
        old = before.mailboxes.get(name, spans)
        if spans[0] > old[0]:
            yield f"proof {name}: code_valid_for"
        if spans[1] and old[1] and spans[1] > old[1]:
            yield f"proof {name}: remembered_for"


def wider_terms(before: PlayedLogin, after: PlayedLogin) -> Iterator[str]:
    """Give the same for the terms under which anything leaves, and the account."""
    if before.disclosure and after.disclosure:
        if before.disclosure.legal_basis == "consent" != after.disclosure.legal_basis:
            yield "legal basis"
        formats = (before.disclosure.name_id_format, after.disclosure.name_id_format)
        if formats == (TRANSIENT, PERSISTENT):
            yield "name_id"
    old, new = before.borrower, after.borrower
    if (
        old
        and new
        and (old.months or 0) < (new.months or 0)
        and (old.outcome, old.category) == (new.outcome, new.category)
    ):
        yield "borrower:" if old.months else "expires_after|borrower:"


def shown(found: Difference, direction: Direction | None, service: Service, beginning: str) -> bool:
    """Say whether a row of this direction, or of any, at this service begins in one of these ways."""
    return any(
        direction in {None, row.change.direction}
        and row.service == service.name
        and row.change.text.startswith(tuple(beginning.split("|")))
        for row in found.rows
    )


def check(before: PolicySet, after: PolicySet, seed: int, many: int) -> None:
    """Compare what random logins show with the rows."""
    found = difference(Analysis((before, after), SITE, NOW))
    draw = Random(seed)
    named = named_services((before, after))
    # Of the others nobody gets anything, whatever the reason.
    services = [each for each in SERVICES if not named.isdisjoint((each.name, *each.categories))]
    for login in random_logins(draw, many if services else 0):
        service = draw.choice(services)
        if draw.random() < 0.5:
            logins = (login.read(before), login.read(after))
        else:
            logins = (login.remembered(before), login.remembered(after))
        old = played(logins[0], login.source, service, before)
        new = played(logins[1], login.source, service, after)
        if old.all == new.all:
            continue
        assert shown(found, None, service, "")
        for beginning in wider(old, new):
            direction = None if "|" in beginning else Direction.WIDER
            assert shown(found, direction, service, beginning), beginning
        for beginning in wider(new, old):
            if beginning.startswith("+"):
                assert shown(found, Direction.NARROWER, service, beginning.replace("+", "-", 1)), beginning
        if old.played.permitted and not new.played.permitted:
            assert shown(found, Direction.REFUSED, service, new.played.reason)
        affiliations = [each.played.decision.affiliation or "nobody" for each in (old, new)]
        if affiliations[0] != affiliations[1]:
            assert shown(found, Direction.OTHER, service, " -> ".join(affiliations))


@settings(max_examples=drawn(6), suppress_health_check=UNTOLD)
@given(EDITS, SEEDS)
def test_no_login_shows_what_no_row_tells(edit: tuple[PolicySet, PolicySet], seed: int) -> None:
    """Of any edit of any set: more that leaves is WIDER, less is narrower, and a refusal is told."""
    check(*edit, seed, 25)


@pytest.mark.slow
@settings(max_examples=drawn(40), suppress_health_check=UNTOLD)
@given(EDITS, SEEDS)
def test_ten_thousand_logins_show_what_the_rows_tell(edit: tuple[PolicySet, PolicySet], seed: int) -> None:
    """And never is a WIDER missed."""
    check(*edit, seed, 250)


@settings(max_examples=drawn(3), suppress_health_check=UNTOLD)
@given(POLICY_SETS)
def test_a_set_differs_in_nothing_from_itself(policies: PolicySet) -> None:
    """No row, whatever the set."""
    found = difference(Analysis((policies, replace(policies)), SITE, NOW))
    assert (found.rows, found.same, found.wider) == ((), found.all_pairs, False)
