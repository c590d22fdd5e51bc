"""What changes for a class of logins: wider, refused, other, narrower; in words, with its line."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from broker.core.analysis.directed_change import Change, Direction
from broker.core.analysis.lasting_changes import account_changes, mailbox_changes
from broker.core.analysis.outcomes import MADE, LeavingKinds, Outcome, SharedTerms
from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.login.played_login import PlannedBorrower
from broker.core.policy.model import Notice, PolicyLine

_CONSENT: Final = "consent"
NOBODY: Final = "nobody"  # the affiliation of a person who has none
MOVES: Final = " -> "  # between the affiliations before and after


def changes(before: Outcome, after: Outcome) -> Iterator[Change]:
    """Yield what changes for a class; nothing where both outcomes are equal."""
    if before.refusal != after.refusal:
        yield from _admission(before, after)
    if before.affiliation != after.affiliation:
        text = f"{before.affiliation or NOBODY}{MOVES}{after.affiliation or NOBODY}"
        yield Change(Direction.OTHER, text, after.place)
    yield from _attributes(before, after)
    if before.terms is not None and after.terms is not None:
        yield from _terms(before.terms, after.terms)
    if before.borrower != after.borrower and not after.refusal:
        yield from _borrower(before.borrower, after.borrower)
    if before.account != after.account:
        yield from account_changes(before, after)
    if before.steps != after.steps:
        yield from _steps(before, after)
    if before.mailboxes != after.mailboxes:
        yield from mailbox_changes(before.mailboxes, after.mailboxes)


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
    if old.why != new.why:
        yield Change(Direction.OTHER, f"{old.name}: another reason (why) is shown", new.place)


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


def _terms(old: SharedTerms, new: SharedTerms) -> Iterator[Change]:

    def line_of(key: str) -> PolicyLine:
        return new.entry.lines.get(key, new.entry.place)

    if old.basis != new.basis:
        weaker = old.basis == _CONSENT
        direction = Direction.WIDER if weaker else Direction.OTHER
        yield Change(direction, f"legal basis {old.basis} -> {new.basis}", line_of("legal_basis"))
    if old.name_id != new.name_id:
        direction = Direction.NARROWER if new.name_id == "transient" else Direction.WIDER
        yield Change(direction, f"name_id {old.name_id} -> {new.name_id}", line_of("name_id"))
    if _teller(old) != _teller(new):
        direction = Direction.WIDER if _teller(new) == "upstream" else Direction.NARROWER
        yield Change(direction, f"notice {_teller(old)} -> {_teller(new)}", line_of("notice"))
    if old.receiver != new.receiver:
        yield Change(Direction.WIDER, "another controller", new.entry.place)
    if old.purpose != new.purpose:
        yield Change(Direction.OTHER, "another purpose", line_of("purpose"))


def _teller(terms: SharedTerms) -> Notice:
    """Return whose page tells the person: under consent ours asks, whatever the entry says."""
    return "ours" if terms.basis == _CONSENT else terms.notice


def _borrower(old: PlannedBorrower | None, new: PlannedBorrower | None) -> Iterator[Change]:
    one, other = account_words(old), account_words(new)
    if one != other:
        place = new.place if new else None
        yield Change(_longer(old, new), f"borrower: {one} -> {other}", place, account=True)


def _longer(old: PlannedBorrower | None, new: PlannedBorrower | None) -> Direction:
    """Return which way a borrower goes that differs in nothing but how long it is good for."""
    if old is None or new is None or not (old.months and new.months):
        return Direction.OTHER
    if replace(old, months=None, place=None) != replace(new, months=None, place=None):
        return Direction.OTHER
    return Direction.WIDER if new.months > old.months else Direction.NARROWER


def account_words(planned: PlannedBorrower | None) -> str:
    """Return in words what becomes of the account: its category, and how long it is good for."""
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
