"""A played login for people, in some lines, and for programs, as one row."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.entities import Names
from broker.core.identity.canonical_attributes import ASSURANCE, CPR_ATTRIBUTE
from broker.core.login.nearest_login import NearLogin
from broker.core.login.played_login import Leaving, PlannedBorrower, PlayedLogin
from broker.core.login.steps import Ask, Done, OfferUpgrade, ProveMailbox, Step, TellChange
from broker.core.policy.model import PolicyLine, Reason

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
    EnrolmentOutcome.CREATED: "{category} is made",
    EnrolmentOutcome.UPGRADED: "{before} is upgraded to {category}",
    EnrolmentOutcome.LOWERED: "{before} is lowered to {category}",
    EnrolmentOutcome.ADOPTED: "{before} gets the CPR number and becomes {category}",
    EnrolmentOutcome.UPDATED: "{category} is brought up to date",
    EnrolmentOutcome.FILLED_IN: "{category} gets what it lacks",
    EnrolmentOutcome.UNCHANGED: "{category} stays as it is",
}
# The words of a register rule by which nothing is done with its answer.
_LEFT_ALONE: Final = frozenset({"never", "make"})
_OR_ELSE: Final = {
    EnrolmentOutcome.UPGRADED: "upgraded",
    EnrolmentOutcome.LOWERED: "lowered",
    EnrolmentOutcome.ADOPTED: "adopted",
}


def plain(text: str) -> str:
    """Return ``text`` with everything escaped that a terminal would act on, or not show."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def lines(
    played: PlayedLogin,
    others: Sequence[PlayedLogin],
    near: Sequence[NearLogin],
    *,
    corner: str,
    made_up: Names,
    unoffered: str = "",
) -> Iterator[str]:
    """Yield the lines of a played login; ``others`` are those with another borrower.

    ``corner`` stands at the right of the first line. Of what was ``made_up`` nobody asks why it
    stays. ``unoffered`` is the way to log in where the service does not offer it: nobody gets that
    far.
    """
    title = _title(played)
    if unoffered:
        title = f"{played.service.name} does not offer {plain(unoffered)}; else {title}"
    yield f"{title:<{_WIDTH - len(corner)}}  {corner}".rstrip()
    if not played.permitted:
        yield from _refusal(played, near)
        return
    on_the_way = [*_asked(played), *_borrower(played, others)]
    if on_the_way:
        yield "  " + "   ".join(on_the_way)
    yield from _looked_up(played)
    if isinstance(played.end, Done):
        yield "  the sign-up is done; nothing leaves"
        return
    yield from _leaving(played)
    yield from _staying(played, {*made_up, ASSURANCE})


def row(
    played: PlayedLogin,
    others: Sequence[PlayedLogin],
    near: Sequence[NearLogin],
    *,
    offered: bool,
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
            {"reason": reason.code, "line": _line(reason.place)} for reason in _missed(played)
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


def _title(played: PlayedLogin) -> str:
    decision = played.decision
    title = played.service.name
    if decision.affiliation is None:
        return title
    matched = [reason.place for reason in decision.reasons if reason.code == "matched"]
    file = decision.policy.file if decision.policy else ""
    return f"{title}, as {decision.affiliation} ({matched[0] if matched else file})"


def _refusal(played: PlayedLogin, near: Sequence[NearLogin]) -> Iterator[str]:
    key = _KEYS.get(played.reason, "")
    place = f"{_line(played.place) or ''} {key}".strip()
    yield f"  refused   {played.reason}   {place}".rstrip()
    for reason in _missed(played)[:_MOST_NEAR]:
        yield f"            near: {reason.place} {reason.code}"
    head = "what would let them in"
    for each in near:
        changes = ", ".join(map(plain, each.changes))
        yield f"            {head}: {changes} ({each.place})"
        head = "or, as another affiliation"


def _missed(played: PlayedLogin) -> tuple[Reason, ...]:
    decision = played.decision
    return decision.reasons[1:] if decision.affiliation is None else ()


def _asked(played: PlayedLogin) -> Iterator[str]:
    place = played.decision.release.place if played.decision.release else None
    for step in played.steps:
        match step:
            case ProveMailbox(name):
                yield f"asks for a mailbox ({name})"
            case OfferUpgrade(category):
                yield f"offers another category than {category}"
            case Ask(question):
                asks = "asks for consent" if question.variant == "ask" else "informs"
                yield f"{asks} ({place})"
            case TellChange():
                yield "tells of the new category"
            case _:
                continue


def _step(step: Step) -> str:
    if isinstance(step, Ask):
        return step.question.variant
    return type(step).__name__


def _borrower(played: PlayedLogin, others: Sequence[PlayedLogin]) -> Iterator[str]:
    planned = played.borrower
    if planned is None:
        return
    text = _OUTCOMES[planned.outcome].format(category=planned.category, before=planned.before)
    text += "".join(_or_else(others))
    months = f", for {planned.months} months" if planned.months else ""
    yield f"borrower: {text}{months} ({planned.place})"


def _or_else(others: Sequence[PlayedLogin]) -> Iterator[str]:
    for outcome, word in _OR_ELSE.items():
        before = [
            other.borrower.before or ""
            for other in others
            if other.borrower and other.borrower.outcome is outcome
        ]
        if before:
            yield f", or {', '.join(before)} {word}"


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


def _looked_up(played: PlayedLogin) -> Iterator[str]:
    found = _register_row(played)
    if found is None:
        return
    place = found.pop("line")
    written = (f"{key} {word}" for key, word in found.items() if word not in _LEFT_ALONE)
    what = ", ".join(written) or "nothing of it is written"
    yield f"  looked up in the register of persons, unless lately: {what}   {place}"


def _register_row(played: PlayedLogin) -> dict[str, str | None] | None:
    rule = played.register
    borrower = played.decision.policy.borrower if played.decision.policy else None
    if rule is None or borrower is None:
        return None
    return {**asdict(rule), "line": _line(borrower.line_of("register"))}


def _leaving(played: PlayedLogin) -> Iterator[str]:
    ordinary: list[Leaving] = []
    special: list[Leaving] = []
    for each in played.leaving:
        listed = special if _remark(each, played) else ordinary
        listed.append(each)
    label = "leaves"
    if ordinary:
        names = ", ".join(each.name for each in ordinary)
        yield f"  {label:<8}{names}   {_places(each.place for each in ordinary)}"
        label = ""
    for each in special:
        yield f"  {label:<8}{each.name}   {_remark(each, played)}   {_line(each.place)}"
        label = ""
    if not played.leaving:
        yield "  leaves  nothing but a name that is made for the service"


def _remark(each: Leaving, played: PlayedLogin) -> str:
    remarks = []
    if each.mask:
        remarks.append("masked")
    if each.optional:
        remarks.append("if the person ticks it")
    if each.in_part:
        remarks.append("some of its values")
    if each.name == CPR_ATTRIBUTE:
        controller = played.service.controller
        name = controller.name.en if controller else "none"
        remarks.append(f"{played.service.name} encrypts, controller {name}")
    return "; ".join(remarks)


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


def _staying(played: PlayedLogin, unasked: Collection[str]) -> Iterator[str]:
    staying = [
        f"{fate.name}   {fate.code}"
        for fate in played.staying
        if fate.code != "not_listed" or fate.name not in unasked
    ]
    if staying:
        yield "  stays   " + "        ".join(staying)


def _line(place: PolicyLine | None) -> str | None:
    return str(place) if place else None
