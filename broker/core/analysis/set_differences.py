"""What changes between two policy sets, for whom: wider, refused, other, narrower."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from broker.core.analysis.compared_logins import Analysis, ComparedLogin
from broker.core.analysis.outcomes import MADE, LeavingKinds, Outcome, SharedTerms
from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.login.described_login import DescribedLogin
from broker.core.login.played_login import PlannedBorrower
from broker.core.policy.model import PolicyLine

_CONSENT: Final = "consent"


class Direction(StrEnum):
    """Which way a change goes; in the order in which people should read them."""

    WIDER = "WIDER"
    REFUSED = "refused"
    OTHER = "other"
    NARROWER = "narrower"


@dataclass(frozen=True, slots=True)
class Change:
    """One change for one class: its direction, in words, and the line that makes it so.

    ``was`` is whether the line is one of the set before.
    """

    direction: Direction
    text: str
    place: PolicyLine | None = None
    was: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One change at one service for the people of one affiliation, with a login that shows it.

    ``classes`` is how many classes it happens to.
    """

    change: Change
    service: str
    affiliation: str
    login: DescribedLogin
    classes: int


@dataclass(frozen=True, slots=True)
class Difference:
    """All that two sets decide differently.

    ``same`` of ``all_pairs`` affiliations at services have no row; ``classes`` were compared.
    """

    rows: tuple[Row, ...]
    same: int
    all_pairs: int
    classes: int

    @property
    def wider(self) -> bool:
        """Return whether anybody gets more, or a service does, or less is asked."""
        return any(row.change.direction is Direction.WIDER for row in self.rows)


_Key = tuple[Direction, str, str, str]
_NOBODY: Final = "nobody"


def difference(analysis: Analysis) -> Difference:
    """Compare the two sets of ``analysis``, class by class."""
    rows: dict[_Key, Row] = {}
    pairs: set[tuple[str, str]] = set()
    changed: set[tuple[str, str]] = set()
    classes = set()
    for login in analysis.logins():
        classes.add((login.day, login.found))
        before, after = login.outcomes
        group = _affiliation(before, after)
        pair = (before.affiliation or after.affiliation or _NOBODY, login.service.name)
        pairs.add(pair)
        for change in changes(before, after):
            changed.add(pair)
            _count(rows, change, login, group)
    order = list(Direction)
    found = sorted(
        rows.values(),
        key=lambda row: (order.index(row.change.direction), row.service, row.affiliation),
    )
    return Difference(tuple(found), len(pairs - changed), len(pairs), len(classes))


def _count(rows: dict[_Key, Row], change: Change, login: ComparedLogin, group: str) -> None:
    service = login.service.name
    key = (change.direction, service, group, change.text)
    row = rows.get(key)
    classes = row.classes + 1 if row else 1
    shown = row.login if row else login.login
    rows[key] = Row(row.change if row else change, service, group, shown, classes)


def _affiliation(before: Outcome, after: Outcome) -> str:
    one = before.affiliation or _NOBODY
    other = after.affiliation or _NOBODY
    return one if one == other else f"{one} -> {other}"


def changes(before: Outcome, after: Outcome) -> Iterator[Change]:
    """Yield what changes for a class; nothing where both outcomes are equal."""
    if before.refusal != after.refusal:
        yield from _admission(before, after)
    if before.affiliation != after.affiliation:
        text = f"{before.affiliation or _NOBODY} -> {after.affiliation or _NOBODY}"
        yield Change(Direction.OTHER, text, after.place)
    yield from _attributes(before, after)
    if before.terms is not None and after.terms is not None:
        yield from _terms(before.terms, after.terms, after.place)
    if before.borrower != after.borrower and not after.refusal:
        yield from _borrower(before.borrower, after.borrower)
    if before.steps != after.steps:
        yield from _steps(before, after)


def _admission(before: Outcome, after: Outcome) -> Iterator[Change]:
    if after.refusal is None:
        yield Change(Direction.WIDER, f"let in, where it was {before.refusal}", after.place)
    elif before.refusal is None:
        yield Change(Direction.REFUSED, after.refusal, after.place)
    else:
        text = f"refused for {after.refusal}, where it was {before.refusal}"
        yield Change(Direction.OTHER, text, after.place)


def _attributes(before: Outcome, after: Outcome) -> Iterator[Change]:
    old = {each.name: each for each in before.leaving}
    new = {each.name: each for each in after.leaving}
    for name in dict.fromkeys((*new, *old)):
        if name not in old:
            yield Change(Direction.WIDER, f"+ {name}", new[name].place)
        elif name not in new:
            place = after.place if after.refusal else old[name].place
            yield Change(Direction.NARROWER, f"- {name}", place, was=not after.refusal)
        else:
            yield from _listed(old[name], new[name])


def _listed(old: LeavingKinds, new: LeavingKinds) -> Iterator[Change]:
    more = sorted(new.patterns - old.patterns - {MADE})
    fewer = sorted(old.patterns - new.patterns - {MADE})
    if more:
        yield Change(Direction.WIDER, f"+ {old.name}: {_values(more)}", new.place)
    if fewer:
        yield Change(Direction.NARROWER, f"- {old.name}: {_values(fewer)}", old.place, was=True)
    if old.optional != new.optional:
        wider = Direction.WIDER if old.optional else Direction.NARROWER
        text = "leaves without a tick" if old.optional else "leaves only where it is ticked"
        yield Change(wider, f"{old.name} {text}", new.place)
    if old.mask != new.mask:
        text = "shown in full" if old.mask else "shown masked"
        yield Change(Direction.OTHER, f"{old.name} is {text}", new.place)


def _values(patterns: Iterable[str]) -> str:
    """Return patterns in words, without those that a shorter beginning among them covers."""
    written = list(patterns)
    beginnings = tuple(each[:-1] for each in written if each.endswith("*") and each != "*")
    shown = [
        "other values" if each == "*" else each
        for each in written
        if each[:-1] in beginnings or not each.startswith(beginnings)
    ]
    return ", ".join(shown)


def _terms(old: SharedTerms, new: SharedTerms, place: PolicyLine | None) -> Iterator[Change]:
    if old.basis != new.basis:
        weaker = old.basis == _CONSENT
        direction = Direction.WIDER if weaker else Direction.OTHER
        yield Change(direction, f"legal basis {old.basis} -> {new.basis}", place)
    if old.name_id != new.name_id:
        direction = Direction.NARROWER if new.name_id == "transient" else Direction.WIDER
        yield Change(direction, f"name_id {old.name_id} -> {new.name_id}", place)
    if old.notice != new.notice:
        direction = Direction.WIDER if new.notice == "upstream" else Direction.NARROWER
        yield Change(direction, f"notice {old.notice} -> {new.notice}", place)
    if old.receiver != new.receiver:
        yield Change(Direction.WIDER, "another controller", place)
    if old.purpose != new.purpose:
        yield Change(Direction.OTHER, "another purpose: whoever agreed is asked again", place)


def _borrower(old: PlannedBorrower | None, new: PlannedBorrower | None) -> Iterator[Change]:
    one, other = _plan(old), _plan(new)
    if one != other:
        place = new.place if new else None
        yield Change(Direction.OTHER, f"borrower: {one} -> {other}", place)


def _plan(planned: PlannedBorrower | None) -> str:
    if planned is None:
        return "none"
    if planned.outcome is EnrolmentOutcome.UNCHANGED:
        return f"{planned.category} stays"
    months = f" for {planned.months} months" if planned.months else ""
    return f"{planned.category} {planned.outcome}{months}"


def _steps(before: Outcome, after: Outcome) -> Iterator[Change]:
    asked = ("ProveMailbox", "OfferUpgrade")
    old = [step for step in before.steps if step.startswith(asked)]
    new = [step for step in after.steps if step.startswith(asked)]
    for step in old:
        if step not in new and after.refusal is None:
            proof = step.startswith("ProveMailbox")
            direction = Direction.WIDER if proof and before.refusal is None else Direction.OTHER
            yield Change(direction, f"not asked: {_step(step)}", after.place)
    for step in new:
        if step not in old:
            yield Change(Direction.OTHER, f"asked: {_step(step)}", after.place)


def _step(step: str) -> str:
    word, _, about = step.partition(" ")
    texts = {"ProveMailbox": "for a mailbox", "OfferUpgrade": "to change the category"}
    return f"{texts[word]} ({about})"
