"""A tried login for people, in lines: at each service what is asked, made, sent and withheld."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from broker.adapters.translations.catalogue import marked as _
from broker.app import played_text, policy_trials
from broker.app.policy_trials import Site, Trial
from broker.app.told_words import Wording
from broker.core.login.given_facts import UNNAMED_CATEGORY
from broker.core.login.nearest_login import NearLogin
from broker.core.login.played_login import PlayedLogin
from broker.core.policy.matching import missed_conditions
from broker.core.policy.model import Condition, PolicySet, Reason

Nears = Callable[[Site, Trial, PlayedLogin, datetime], Sequence[NearLogin]]


def nearest(site: Site, trial: Trial, played: PlayedLogin, now: datetime) -> Sequence[NearLogin]:
    """Return what would let a refused login in, and nothing for one that is let in."""
    if played.permitted:
        return ()
    return policy_trials.nearest(site, trial, played, now)


def no_nearest(*_asked: object) -> Sequence[NearLogin]:
    """Return nothing: nobody asked what would let them in."""
    return ()


def lines(
    site: Site,
    trial: Trial,
    now: datetime,
    nears: Nears,
    *,
    words: Wording,
    corner: str = "",
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
    borrower = trial.given.borrower
    if borrower and borrower.category not in (UNNAMED_CATEGORY, *_categories(site.policies)):
        category = repr(borrower.category)
        yield words.say(_("note: no rule names the category %(category)s"), category=category)


def _categories(policies: PolicySet) -> Iterator[str]:
    """Yield the categories that the rules of borrowers name."""
    for policy in policies.policies:
        rule = policy.borrower
        if rule:
            yield from (rule.category, *rule.upgrades, *rule.temporary)
            yield from rule.lowers.categories if rule.lowers else ()
