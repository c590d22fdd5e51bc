"""Whose remembered answer does not cover what another policy set asks, and for what."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from broker.core.analysis.outcomes import MADE, LeavingKinds, Outcome, SharedTerms
from broker.core.consent.disclosure import WATCHED, told_of
from broker.core.login.next_step import OURS
from broker.core.policy.model import PolicyLine

_CONSENT: Final = "consent"


@dataclass(frozen=True, slots=True)
class AskedAgain:
    """One reason why whoever answered at a service is asked again, with its line.

    ``agreed``: they agreed; else they were told. ``asks``: now they are asked; else told. Whoever
    has agreed to as much before, and has not said no since, is not asked
    (docs/reference/consent.md#covers).
    """

    service: str
    agreed: bool
    asks: bool
    reason: str
    place: PolicyLine | None


def asked_again(service: str, before: Outcome, after: Outcome) -> Iterator[AskedAgain]:
    """Yield why people of a class are asked again who were asked by the set before."""
    old, new = before.terms, after.terms
    if old is None or new is None or not (_is_shown(before, old) and _is_shown(after, new)):
        return
    for reason, place in (*_of_terms(old, new), *_of_attributes(before, after)):
        yield AskedAgain(service, old.basis == _CONSENT, new.basis == _CONSENT, reason, place)


def _is_shown(outcome: Outcome, terms: SharedTerms) -> bool:
    """Return whether the page is shown at all, as the next step of a login has it."""
    names = {each.name for each in outcome.leaving}
    if terms.name_id == "persistent" or terms.looked_up:
        return True
    if terms.basis == _CONSENT or terms.notice == "ours":
        return bool(names)
    return not names.isdisjoint(OURS)


def _of_terms(old: SharedTerms, new: SharedTerms) -> Iterator[tuple[str, PolicyLine]]:
    entry = new.entry

    def line_of(key: str) -> PolicyLine:
        return entry.lines.get(key, entry.place)

    if old.purpose != new.purpose:
        yield "purpose", line_of("purpose")
    if old.basis != new.basis:
        yield "legal basis", line_of("legal_basis")
    if old.receiver != new.receiver:
        yield "controller", entry.place
    if new.name_id not in {old.name_id, "transient"}:
        yield "name_id", line_of("name_id")
    if new.looked_up and new.looked_up not in told_of(old.looked_up):
        yield "register", new.register_line or entry.place


def _of_attributes(before: Outcome, after: Outcome) -> Iterator[tuple[str, PolicyLine]]:
    old = {each.name: each for each in before.leaving}
    for each in after.leaving:
        if each.name not in old or _is_more(old[each.name], each):
            yield f"+ {each.name}", each.place


def _is_more(old: LeavingKinds, new: LeavingKinds) -> bool:
    if old.optional and not new.optional:
        return True
    return new.name in WATCHED and bool(new.patterns - old.patterns - {MADE})
