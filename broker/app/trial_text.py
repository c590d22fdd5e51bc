"""A tried login for people, in lines: at each service what is asked, made, sent and withheld."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final

from broker.adapters.translations.catalogue import marked as _
from broker.app import played_text, policy_trials
from broker.app.policy_trials import Site, Trial
from broker.app.told_words import Wording
from broker.core.identity.canonical_attributes import CPR_ATTRIBUTE
from broker.core.identity.rights import Right
from broker.core.login.given_facts import CATEGORY, UNNAMED_CATEGORY
from broker.core.login.nearest_login import NearLogin
from broker.core.login.played_login import PlayedLogin
from broker.core.policy.matching import missed_conditions
from broker.core.policy.model import Condition, Policy, PolicySet, Reason

Nears = Callable[[Site, Trial, PlayedLogin, datetime], Sequence[NearLogin]]

_SENT: Final = frozenset({"real", "replacement", "constructed"})
_FOR_WANT_OF_A_BORROWER: Final = frozenset(
    {"cpr_required", "national_eid_required", "no_library_account"}
)
_UNHEARD: Final = _(
    "note: a CPR number of this institution counts as not sent: it has no may_assert in broker.toml"
)
_UNFOUND: Final = _(
    "note: this login does not lead to the account: no CPR number came that finds one; an earlier"
    " login that brought one, or number and PIN, would"
)


def nearest(site: Site, trial: Trial, played: PlayedLogin, now: datetime) -> Sequence[NearLogin]:
    """Return what would let a refused login in, and nothing for one that is let in."""
    if played.permitted:
        return ()
    return policy_trials.nearest(site, trial, played, now)


def no_nearest(*_asked: object) -> Sequence[NearLogin]:
    """Return nothing: nobody asked what would let them in."""
    return ()


def lines(
    site: Site, trial: Trial, now: datetime, nears: Nears, *, words: Wording, corner: str = ""
) -> Iterator[str]:
    """Yield the lines of a trial in ``words``; ``corner`` stands at the right of the first."""
    made_up = trial.complete.made_up
    for played in trial.played:
        others = policy_trials.with_borrowers(site, trial, played, now)
        near = nears(site, trial, played, now)
        unoffered = "" if policy_trials.is_offered(site, trial, played) else trial.login.upstream
        yield from played_text.lines(
            played,
            others,
            near,
            missed=_missed(site, played, now),
            corner=corner,
            made_up=made_up,
            words=words,
            unoffered=unoffered,
        )
        corner = ""
    yield from _notes(site, trial, words)
    if made_up:
        yield words.say(_("made up: %(facts)s"), facts=", ".join(map(words.fact, made_up)))


def _missed(site: Site, played: PlayedLogin, now: datetime) -> Sequence[tuple[Reason, Condition]]:
    """Return why the nearest policies do not match, of a login that fits none."""
    if played.reason != "no_affiliation":
        return ()
    return missed_conditions(site.policies, played.facts, now.date())


def _notes(site: Site, trial: Trial, words: Wording) -> Iterator[str]:
    given = trial.given
    if given.cpr in _SENT and _is_unheard(trial):
        yield words.say(_UNHEARD)
    borrower = given.borrower
    if borrower is None:
        return
    if any(_is_unfound(played) for played in trial.played):
        yield words.say(_UNFOUND)
    if borrower.category not in (UNNAMED_CATEGORY, *_categories(site.policies)):
        category = repr(borrower.category)
        yield words.say(_("note: no rule names the category %(category)s"), category=category)


def _is_unheard(trial: Trial) -> bool:
    """Return whether an institution sent a CPR number that it may not assert.

    Number and PIN come from none, and of a login that is not trusted nothing at all is read.
    """
    withheld = (CPR_ATTRIBUTE, "may_not_assert") in trial.login.reading.withheld
    return withheld and trial.complete.institution is not None


def _is_unfound(played: PlayedLogin) -> bool:
    """Return whether a borrower that is there was needed, and nothing of the login leads to it."""
    wanted = played.reason in _FOR_WANT_OF_A_BORROWER
    return wanted and not played.decision.has(Right.USE_BORROWER)


def _categories(policies: PolicySet) -> Iterator[str]:
    """Yield the categories that the policies name: those of borrowers, and those they match."""
    for policy in policies.policies:
        yield from _matched_categories(policy)
        rule = policy.borrower
        if rule:
            yield from (rule.category, *rule.upgrades)
            yield from rule.lowers.categories if rule.lowers else ()


def _matched_categories(policy: Policy) -> Iterator[str]:
    for alternative in policy.match:
        for condition in alternative.conditions:
            if condition.name == CATEGORY:
                yield from condition.values
