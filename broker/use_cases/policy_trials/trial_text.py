"""The result of a tried login, as lines for people and as rows for programs."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby
from textwrap import wrap
from typing import Any, Final

from broker.core.borrowers.library_system import list_categories
from broker.core.identity.canonical_attributes import ASSURANCE, CPR_ATTRIBUTE
from broker.core.identity.rights import NOT_USABLE, Right
from broker.core.login.given_facts import SPEC_VERSION, UNNAMED_CATEGORY
from broker.core.login.played_login import PlayedLogin
from broker.core.login.site import CATEGORY
from broker.core.login.steps import Done
from broker.core.marked_text import mark as _
from broker.core.policy.matching import find_near_misses
from broker.core.policy.model import PolicyLine, PolicySet
from broker.core.policy_analysis.effects import Effect, Topic, find_effects
from broker.use_cases.policy_trials.login_trials import LoginTrial, TrialSite, is_offered
from broker.use_cases.policy_trials.wording import (
    WIDTH,
    Wording,
    escape_unprintable,
    list_some,
    wrap_labelled,
)

_MOST_NEAR: Final = 3
_NEEDS_BORROWER: Final = frozenset({"cpr_required", "national_eid_required", "no_library_account"})
_SENT_NUMBERS: Final = frozenset({"real", "replacement", "constructed"})
_NUMBER_NOT_USABLE: Final = _(
    "the CPR number does not count: the login is self-asserted, or its university calls the person"
    " no student, employee, staff, faculty or member"
)
_NUMBER_NOT_ALLOWED: Final = _(
    "note: a CPR number of this institution counts as not sent: it has no may_assert in broker.toml"
)
_BORROWER_NOT_FOUND: Final = _(
    "note: this login does not lead to the account: no CPR number came that finds one; an earlier"
    " login that brought one, or number and PIN, would"
)


def trial_lines(
    site: TrialSite, trial: LoginTrial, now: datetime, words: Wording, closing: str = ""
) -> Iterator[str]:
    """Yield the lines of a trial; ``closing`` names the policy set at the end."""
    for played in trial.played:
        yield from _service_lines(site, trial, played, now, words)
    yield from _notes(site, trial, words)
    made_up = ", ".join(trial.login.made_up)
    if made_up:
        yield from wrap(words.say(_("made up: %(facts)s"), facts=made_up), WIDTH)
    if closing:
        yield closing


def trial_row(
    site: TrialSite, trial: LoginTrial, played: PlayedLogin, now: datetime
) -> dict[str, Any]:
    """Return the result at one service for programs."""
    return {
        "service": played.service.name,
        "offered": is_offered(site.site, trial, played),
        "effect": "permit" if played.is_permitted else "deny",
        "affiliation": played.decision.affiliation,
        "reason": played.reason,
        "line": line_text(played.place),
        "steps": [type(step).__name__ for step in played.steps],
        "effects": [
            {
                "topic": each.topic,
                "name": each.name,
                "text": each.text,
                "remarks": each.remarks,
                "line": line_text(each.place),
            }
            for each in find_effects(played, site.policies, now.date())
        ],
        "stays": [
            {"name": fate.name, "reason": fate.code, "line": line_text(fate.place)}
            for fate in played.staying
        ],
    }


def line_text(place: PolicyLine | None) -> str | None:
    """Return a line as ``student.yaml:11``, or None."""
    return str(place) if place else None


def _service_lines(
    site: TrialSite, trial: LoginTrial, played: PlayedLogin, now: datetime, words: Wording
) -> Iterator[str]:
    yield _title(site, trial, played, words)
    if not played.is_permitted:
        yield from _refusal_lines(site, played, now, words)
        return
    effects = [*find_effects(played, site.policies, now.date())]
    for topic in Topic:
        shown = [each for each in effects if each.topic is topic and str(each) != "none"]
        if shown and topic is not Topic.DETAILS:
            text = ", ".join(_word_effect(each, words) for each in shown)
            yield from wrap_labelled(words.say(topic), f"{text}{_places(shown)}")
    if isinstance(played.end, Done):
        yield f"  {words.say(_('the sign-up is done; nothing leaves'))}"
        return
    yield from _select_lines(trial, played, words)


def _select_lines(trial: LoginTrial, played: PlayedLogin, words: Wording) -> Iterator[str]:
    """Yield the attributes that are not released, except unlisted ones that were made up."""
    made_up = {*trial.login.made_up, ASSURANCE, SPEC_VERSION}
    kept = [
        f"{each.name} ({each.code})"
        for each in played.staying
        if each.code != "not_listed" or each.name not in made_up
    ]
    if kept:
        yield from wrap_labelled(words.say(_("keeps")), ", ".join(kept))


def _title(site: TrialSite, trial: LoginTrial, played: PlayedLogin, words: Wording) -> str:
    service, decision = played.service.name, played.decision
    matched = [reason.place for reason in decision.reasons if reason.code == "matched"]
    place = matched[0] if matched else decision.policy.file if decision.policy else None
    title = f"{service}, as {decision.affiliation} ({place})" if decision.affiliation else service
    if is_offered(site.site, trial, played):
        return title
    upstream = escape_unprintable(trial.login.upstream)
    message = _("%(service)s does not offer %(upstream)s")
    return f"{words.say(message, service=service, upstream=upstream)}; {title}"


def _word_effect(effect: Effect, words: Wording) -> str:
    name = effect.name.removeprefix("field ")
    texts = (effect.text,) if effect.text and effect.topic is not Topic.WRITES else ()
    if effect.topic is Topic.RECEIVES:
        remarks = [words.say(each) for each in (*texts, *effect.remarks)]
        return f"{name} ({'; '.join(remarks)})" if remarks else name
    return ", ".join((f"{words.say(name)} {' '.join(texts)}".strip(), *effect.remarks))


def _places(effects: Iterable[Effect]) -> str:
    """Return the lines of effects as `` (student.yaml:36, :38)``."""
    lines = sorted(
        {each.place for each in effects if each.place}, key=lambda at: (at.file, at.line)
    )
    shown = []
    for file, places in groupby(lines, key=lambda at: at.file):
        numbers = [str(each.line) for each in places]
        shown.append(f"{file}:{', :'.join(numbers)}")
    return f" ({', '.join(shown)})" if shown else ""


def _refusal_lines(
    site: TrialSite, played: PlayedLogin, now: datetime, words: Wording
) -> Iterator[str]:
    yield f"  {words.refusal(played.reason, played.place)}"
    is_not_usable = played.facts.withheld.get(CPR_ATTRIBUTE) == NOT_USABLE
    if played.reason == "cpr_required" and is_not_usable:
        yield from wrap_labelled("", words.say(_NUMBER_NOT_USABLE))
    if played.reason != "no_affiliation":
        return
    near = find_near_misses(site.policies, played.facts, now.date())
    for reason, condition in near[:_MOST_NEAR]:
        wanted = f"{condition.name}: {list_some(condition.values, _MOST_NEAR)}"
        yield from wrap_labelled(words.say(_("near")), f"{reason.place} {reason.code}   {wanted}")


def _notes(site: TrialSite, trial: LoginTrial, words: Wording) -> Iterator[str]:
    borrower = trial.given.borrower
    withheld = (CPR_ATTRIBUTE, "may_not_assert") in trial.login.reading.withheld
    if withheld and trial.given.cpr in _SENT_NUMBERS and trial.login.institution:
        yield words.say(_NUMBER_NOT_ALLOWED)
    if borrower is None:
        return
    if any(
        played.reason in _NEEDS_BORROWER and not played.decision.has(Right.USE_BORROWER)
        for played in trial.played
    ):
        yield from wrap(words.say(_BORROWER_NOT_FOUND), WIDTH)
    if borrower.category not in {UNNAMED_CATEGORY, *_find_categories(site.policies)}:
        category = repr(borrower.category)
        yield words.say(_("note: no rule names the category %(category)s"), category=category)


def _find_categories(policies: PolicySet) -> Iterator[str]:
    """Yield the categories that policies name: in borrower rules and in conditions."""
    yield from policies.find_condition_values(CATEGORY)
    for policy in policies.policies:
        for each in policy.variants:
            yield from list_categories(each.borrower) if each.borrower else ()
