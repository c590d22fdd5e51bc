"""A tried login for people, in lines: at each service what is asked, made, sent and withheld."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from broker.adapters.translations.catalogue import marked as _
from broker.app.told_words import Wording, plain
from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.entities import Names
from broker.core.identity.canonical_attributes import ASSURANCE, CPR_ATTRIBUTE
from broker.core.identity.rights import NOT_USABLE, Right
from broker.core.login.given_facts import CATEGORY, UNNAMED_CATEGORY
from broker.core.login.nearest_login import NearLogin
from broker.core.login.played_login import Leaving, PlannedBorrower, PlayedLogin
from broker.core.login.steps import Ask, Done, OfferUpgrade, ProveMailbox, Step, TellChange
from broker.core.policy.matching import missed_conditions
from broker.core.policy.model import Condition, Policy, PolicyLine, PolicySet, Reason
from broker.use_cases import policy_trials
from broker.use_cases.policy_trials import Site, Trial

_WIDTH: Final = 78
_MOST_NEAR: Final = 3
_KEYS: Final = {
    "national_eid_required": "require.upstream",
    "assurance_too_low": "require.assurance",
    "cpr_required": "require.cpr",
    "replacement_number": "require.cpr",
    "constructed_number": "require.cpr",
    "too_young": "require.age",
    "no_library_account": "borrower: need",
}
_OUTCOMES: Final = {
    EnrolmentOutcome.CREATED: _("%(category)s is made"),
    EnrolmentOutcome.UPGRADED: _("%(before)s is upgraded to %(category)s"),
    EnrolmentOutcome.LOWERED: _("%(before)s is lowered to %(category)s"),
    EnrolmentOutcome.UPDATED: _("%(category)s is brought up to date"),
    EnrolmentOutcome.FILLED_IN: _("%(category)s gets what it lacks"),
    EnrolmentOutcome.UNCHANGED: _("%(category)s stays as it is"),
}
# The words of a register rule by which nothing is done with its answer.
_LEFT_ALONE: Final = frozenset({"never", "make"})
_OR_ELSE: Final = {
    EnrolmentOutcome.UPGRADED: _(", or %(categories)s upgraded"),
    EnrolmentOutcome.LOWERED: _(", or %(categories)s lowered"),
}
_LABEL_WIDTH: Final = 8
_UNCOUNTED: Final = _(
    "the CPR number does not count: the login is self-asserted, or its university calls the person"
    " no student, employee, staff, faculty or member"
)


def lines_at_service(
    played: PlayedLogin,
    others: Sequence[PlayedLogin],
    near: Sequence[NearLogin],
    *,
    missed: Sequence[tuple[Reason, Condition]] = (),
    corner: str,
    made_up: Names,
    words: Wording,
    unoffered: str = "",
) -> Iterator[str]:
    """Yield the lines of a played login in ``words``; ``others`` are those with another borrower.

    ``missed`` is why the nearest policies do not match whoever fits none. ``corner`` stands at the
    right of the first line. Of what was ``made_up`` nobody asks why it stays. ``unoffered`` is the
    way to log in where the service does not offer it: nobody gets that far.
    """
    title = _title(played, words)
    if unoffered:
        title = words.say(
            _("%(service)s does not offer %(upstream)s; else %(title)s"),
            service=played.service.name,
            upstream=plain(unoffered),
            title=title,
        )
    yield f"{title:<{_WIDTH - len(corner)}}  {corner}".rstrip()
    if not played.permitted:
        yield from _refusal(played, near, missed, words)
        return
    on_the_way = [*_asked(played, words), *_borrower(played, others, words)]
    if on_the_way:
        yield "  " + "   ".join(on_the_way)
    yield from _looked_up(played, words)
    if isinstance(played.end, Done):
        yield "  " + words.say(_("the sign-up is done; nothing leaves"))
        return
    yield from _leaving(played, words)
    yield from _staying(played, {*made_up, ASSURANCE}, words)


def row(
    played: PlayedLogin, others: Sequence[PlayedLogin], near: Sequence[NearLogin], *, offered: bool
) -> dict[str, Any]:
    """Return a played login for programs; ``offered`` is whether the service has the way to it."""
    return {
        "service": played.service.name,
        "offered": offered,
        "effect": "permit" if played.permitted else "deny",
        "affiliation": played.decision.affiliation,
        "reason": played.reason,
        "line": _line(played.place),
        "near_misses": [
            {"reason": reason.code, "line": _line(reason.place)}
            for reason in _missed_conditions(played)
        ],
        "steps": [_step(step) for step in played.steps],
        "borrower": _borrower_row(played.borrower),
        "or_else": [_borrower_row(other.borrower) for other in others if other.borrower],
        "register": _register_row(played),
        "leaves": [
            {
                "name": each.name,
                "line": _line(each.place),
                "masked": each.mask,
                "optional": each.optional,
                "in_part": each.in_part,
                "encrypted": played.service.encrypts,
            }
            for each in played.leaving
        ],
        "stays": [
            {"name": fate.name, "reason": fate.code, "line": _line(fate.place)}
            for fate in played.staying
        ],
        "nearest": _near_row(near[0]) if near else None,
        "or_nearer": [_near_row(each) for each in near[1:]],
    }


def _near_row(near: NearLogin) -> dict[str, Any]:
    return {"changes": near.changes, "line": str(near.place)}


def _title(played: PlayedLogin, words: Wording) -> str:
    decision = played.decision
    title = played.service.name
    if decision.affiliation is None:
        return title
    matched = [reason.place for reason in decision.reasons if reason.code == "matched"]
    file = decision.policy.file if decision.policy else ""
    return words.say(
        _("%(service)s, as %(affiliation)s (%(place)s)"),
        service=title,
        affiliation=decision.affiliation,
        place=matched[0] if matched else file,
    )


def _refusal(
    played: PlayedLogin,
    near: Sequence[NearLogin],
    missed: Sequence[tuple[Reason, Condition]],
    words: Wording,
) -> Iterator[str]:
    key = _KEYS.get(played.reason, "")
    release = played.decision.release
    if key and release and release.borrower == "need":
        # Nothing is required to make an account here: the entry needs one that is there.
        key = "borrower: need"
    withheld = played.facts.withheld.get(CPR_ATTRIBUTE)
    uncounted = played.reason == "cpr_required" and withheld == NOT_USABLE
    place = f"{_line(played.place) or ''} {key}".strip()
    refused = words.say(_("refused"))
    yield f"  {refused}   {played.reason}   {place}".rstrip()
    if uncounted:
        yield f"            {words.say(_UNCOUNTED)}"
    near_by = words.say(_("near:"))
    for reason, condition in missed[:_MOST_NEAR]:
        wanted = f"{condition.name}: {_some(condition.values)}"
        yield f"            {near_by} {reason.place} {reason.code}   {wanted}"
    head = words.say(_("what would let them in"))
    for each in near:
        changes = ", ".join(map(words.fact, each.changes))
        yield f"            {head}: {changes} ({each.place})"
        head = words.say(_("or, as another affiliation"))


def _some(values: Sequence[str]) -> str:
    """Return the first of the values that would do."""
    shown = ", ".join(values[:_MOST_NEAR])
    return f"{shown}, ..." if len(values) > _MOST_NEAR else shown


def _missed_conditions(played: PlayedLogin) -> tuple[Reason, ...]:
    decision = played.decision
    return decision.reasons[1:] if decision.affiliation is None else ()


def _asked(played: PlayedLogin, words: Wording) -> Iterator[str]:
    place = played.decision.release.place if played.decision.release else None
    for step in played.steps:
        match step:
            case ProveMailbox(name):
                yield words.say(_("asks for a mailbox (%(proof)s)"), proof=name)
            case OfferUpgrade(category):
                yield words.say(_("offers another category than %(category)s"), category=category)
            case Ask(question) if question.variant == "ask":
                yield words.say(_("asks for consent (%(place)s)"), place=place)
            case Ask():
                yield words.say(_("informs (%(place)s)"), place=place)
            case TellChange():
                yield words.say(_("tells of the new category"))
            case _:
                continue


def _step(step: Step) -> str:
    if isinstance(step, Ask):
        return step.question.variant
    return type(step).__name__


def _borrower(played: PlayedLogin, others: Sequence[PlayedLogin], words: Wording) -> Iterator[str]:
    planned = played.borrower
    if planned is None:
        return
    outcome = _OUTCOMES[planned.outcome]
    text = words.say(outcome, category=planned.category, before=planned.before)
    text += "".join(_or_else(others, words))
    if planned.months:
        text += words.say(_(", for %(months)s months"), months=planned.months)
    yield words.say(_("borrower: %(outcome)s (%(place)s)"), outcome=text, place=planned.place)


def _or_else(others: Sequence[PlayedLogin], words: Wording) -> Iterator[str]:
    for outcome, message in _OR_ELSE.items():
        before = [
            other.borrower.before or ""
            for other in others
            if other.borrower and other.borrower.outcome is outcome
        ]
        if before:
            yield words.say(message, categories=", ".join(before))


def _borrower_row(planned: PlannedBorrower | None) -> dict[str, Any] | None:
    if planned is None:
        return None
    return {
        "outcome": planned.outcome.value,
        "category": planned.category,
        "before": planned.before,
        "months": planned.months,
        "line": _line(planned.place),
    }


def _looked_up(played: PlayedLogin, words: Wording) -> Iterator[str]:
    found = _register_row(played)
    if found is None:
        return
    place = found.pop("line")
    written = (f"{key} {word}" for key, word in found.items() if word not in _LEFT_ALONE)
    what = ", ".join(written) or words.say(_("nothing of it is written"))
    looked = words.say(
        _("looked up in the register of persons, unless lately: %(what)s"), what=what
    )
    yield f"  {looked}   {place}"


def _register_row(played: PlayedLogin) -> dict[str, str | None] | None:
    rule = played.register
    borrower = played.decision.policy.borrower if played.decision.policy else None
    if rule is None or borrower is None:
        return None
    return {**asdict(rule), "line": _line(borrower.line_of("register"))}


def _leaving(played: PlayedLogin, words: Wording) -> Iterator[str]:
    label = words.say(_("leaves"))
    if not played.leaving:
        nothing = words.say(_("nothing but a name that is made for the service"))
        yield f"  {label:<{_LABEL_WIDTH}}{nothing}"
        return
    ordinary: list[Leaving] = []
    special: list[tuple[Leaving, str]] = []
    for each in played.leaving:
        remark = _remark(each, played, words)
        if remark:
            special.append((each, remark))
        else:
            ordinary.append(each)
    if ordinary:
        names = ", ".join(each.name for each in ordinary)
        yield f"  {label:<{_LABEL_WIDTH}}{names}   {_places(each.place for each in ordinary)}"
        label = ""
    for each, remark in special:
        yield f"  {label:<{_LABEL_WIDTH}}{each.name}   {remark}   {_line(each.place)}"
        label = ""


def _remark(each: Leaving, played: PlayedLogin, words: Wording) -> str:
    remarks = []
    if each.mask:
        remarks.append(words.say(_("masked")))
    if each.optional:
        remarks.append(words.say(_("if the person ticks it")))
    if each.in_part:
        remarks.append(words.say(_("some of its values")))
    if each.name == CPR_ATTRIBUTE:
        remarks.append(_encrypted(played, words))
    return "; ".join(remarks)


def _encrypted(played: PlayedLogin, words: Wording) -> str:
    service = played.service
    if service.controller is None:
        return words.say(_("%(service)s encrypts, controller none"), service=service.name)
    return words.say(
        _("%(service)s encrypts, controller %(controller)s"),
        service=service.name,
        controller=words.name(service.controller.name),
    )


def _places(places: Iterable[PolicyLine | None]) -> str:
    """Return lines of one file as ``student.yaml:36, :38``."""
    shown: list[str] = []
    file = ""
    for place in places:
        if place is None:
            continue
        shown.append(f":{place.line}" if place.file == file else str(place))
        file = place.file
    return ", ".join(shown)


def _staying(played: PlayedLogin, unasked: Collection[str], words: Wording) -> Iterator[str]:
    staying = [
        f"{fate.name}   {fate.code}"
        for fate in played.staying
        if fate.code != "not_listed" or fate.name not in unasked
    ]
    if staying:
        label = words.say(_("stays"))
        yield f"  {label:<{_LABEL_WIDTH}}" + "        ".join(staying)


def _line(place: PolicyLine | None) -> str | None:
    return str(place) if place else None


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
    return policy_trials.nearest_logins(site, trial, played, now)


def no_nearest(*_asked: object) -> Sequence[NearLogin]:
    """Return nothing: nobody asked what would let them in."""
    return ()


def lines(
    site: Site, trial: Trial, now: datetime, nears: Nears, *, words: Wording, corner: str = ""
) -> Iterator[str]:
    """Yield the lines of a trial in ``words``; ``corner`` stands at the right of the first."""
    made_up = trial.complete.made_up
    for played in trial.played:
        others = policy_trials.play_with_borrowers(site, trial, played, now)
        near = nears(site, trial, played, now)
        unoffered = "" if policy_trials.is_offered(site, trial, played) else trial.login.upstream
        yield from lines_at_service(
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
