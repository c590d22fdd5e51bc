"""A tried login for people, in lines: at each service what is asked, made, sent and withheld."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from broker.app import played_text, policy_trials
from broker.app.played_text import plain
from broker.app.policy_trials import Site, Trial
from broker.core.login.given_facts import UNNAMED_CATEGORY
from broker.core.login.nearest_login import NearLogin
from broker.core.login.played_login import PlayedLogin
from broker.core.policy.model import PolicySet

Nears = Callable[[Site, Trial, PlayedLogin, datetime], Sequence[NearLogin]]


def nearest(site: Site, trial: Trial, played: PlayedLogin, now: datetime) -> Sequence[NearLogin]:
    """Return what would let a refused login in, and nothing for one that is let in."""
    if played.permitted:
        return ()
    return policy_trials.nearest(site, trial, played, now)


def no_nearest(*_: object) -> Sequence[NearLogin]:
    """Return nothing: nobody asked what would let them in."""
    return ()


def lines(site: Site, trial: Trial, now: datetime, nears: Nears, corner: str = "") -> Iterator[str]:
    """Yield the lines of a trial; ``corner`` stands at the right of the first."""
    for played in trial.played:
        others = policy_trials.with_borrowers(site, trial, played, now)
        near = nears(site, trial, played, now)
        made_up = trial.complete.made_up
        unoffered = "" if policy_trials.is_offered(site, trial, played) else trial.login.upstream
        yield from played_text.lines(
            played,
            others,
            near,
            corner=corner,
            made_up=made_up,
            unoffered=unoffered,
        )
        corner = ""
    for note in _notes(site, trial):
        yield f"note: {note}"
    if trial.complete.made_up:
        yield f"made up: {', '.join(map(plain, trial.complete.made_up))}"


def _notes(site: Site, trial: Trial) -> Iterator[str]:
    borrower = trial.given.borrower
    if borrower and borrower.category not in (UNNAMED_CATEGORY, *_categories(site.policies)):
        yield f"no rule names the category {borrower.category!r}"


def _categories(policies: PolicySet) -> Iterator[str]:
    """Yield the categories that the rules of borrowers name."""
    for policy in policies.policies:
        rule = policy.borrower
        if rule:
            yield from (rule.category, *rule.upgrades, *rule.temporary)
            yield from rule.lowers.categories if rule.lowers else ()
