"""What changes of that which outlasts a login: the account that it writes, and proofs."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Final, get_args

from broker.core.analysis.directed_change import Change, Direction
from broker.core.analysis.lasting_terms import AccountTerms, MailboxTerms, WrittenField
from broker.core.analysis.outcomes import Outcome
from broker.core.entities import Names
from broker.core.policy.model import AddressWriting, FieldWriting, PolicyLine, ProofRule

# From the one that writes least to the one that writes most.
_WRITING: Final[tuple[FieldWriting, ...]] = ("create", "if_empty", "always")
_ADDRESS_WRITING: Final[Names] = get_args(AddressWriting)
_UNITS: Final = (("days", timedelta(days=1)), ("hours", timedelta(hours=1)))


def account_changes(before: Outcome, after: Outcome) -> Iterator[Change]:
    """Yield what changes of what is written to an account; nothing for who is refused."""
    if before.refusal or after.refusal:
        return
    old, new = before.account, after.account
    yield from _fields(old, new)
    yield from _register(old, new)
    if old is None or new is None:
        return
    if old.months and new.months and old.months != new.months and not _told(before, after):
        text = f"expires_after {old.months} -> {new.months} months, where it is moved"
        direction = _more(old.months < new.months)
        yield Change(direction, text, new.rule.line_of("expires_after"))
    if old.pin and new.pin and old.pin != new.pin:
        text = f"pin {old.pin} -> {new.pin}"
        yield Change(_more(new.pin == "mail"), text, new.rule.line_of("pin"))


def _told(before: Outcome, after: Outcome) -> bool:
    """Return whether the borrower itself says how long it is good for, before and after."""
    return all(each.borrower and each.borrower.months for each in (before, after))


def _fields(before: AccountTerms | None, after: AccountTerms | None) -> Iterator[Change]:
    old = {each.name: each for each in before.fields} if before else {}
    new = {each.name: each for each in after.fields} if after else {}
    for name in dict.fromkeys((*new, *old)):
        if name not in old:
            yield Change(Direction.WIDER, f"+ field {name}", new[name].place)
        elif name not in new:
            yield Change(Direction.NARROWER, f"- field {name}", old[name].place, was=True)
        else:
            yield from _field(old[name], new[name])


def _register(before: AccountTerms | None, after: AccountTerms | None) -> Iterator[Change]:
    """Yield what changes of what the register of persons is asked for, and writes."""
    old = before.register if before else None
    new = after.register if after else None
    if before and old and new is None:
        place = before.rule.line_of("register")
        text = "- register: it is not asked"
        yield Change(Direction.NARROWER, text, place, was=True)
    if after is None or new is None or old == new:
        return
    place = after.rule.line_of("register")
    if old is None:
        yield Change(Direction.WIDER, f"+ register: address {new.address}", place)
        return
    had, has = old.address, new.address
    direction = _more(_ADDRESS_WRITING.index(had) < _ADDRESS_WRITING.index(has))
    yield Change(direction, f"register: address {had} -> {has}", place)


def _field(old: WrittenField, new: WrittenField) -> Iterator[Change]:
    more = [name for name in new.sources if name not in old.sources]
    fewer = [name for name in old.sources if name not in new.sources]
    if more:
        text = f"+ field {new.name}: from {', '.join(more)}"
        yield Change(Direction.WIDER, text, new.place)
    if fewer:
        text = f"- field {new.name}: from {', '.join(fewer)}"
        yield Change(Direction.NARROWER, text, old.place, was=True)
    if old.sources != new.sources and not more and not fewer:
        text = f"field {new.name}: from {new.sources[0]} first, where it was {old.sources[0]}"
        yield Change(Direction.OTHER, text, new.place)
    if old.set != new.set:
        direction = _more(_WRITING.index(old.set) < _WRITING.index(new.set))
        yield Change(direction, f"field {new.name}: set {old.set} -> {new.set}", new.place)


def mailbox_changes(
    before: Iterable[MailboxTerms], after: Iterable[MailboxTerms]
) -> Iterator[Change]:
    """Yield what changes of proofs that are asked for before and after; a new one is a step."""
    old = {each.name: each for each in before}
    for new in after:
        if new.name in old:
            yield from _mailbox(old[new.name], new)


def _mailbox(old: MailboxTerms, new: MailboxTerms) -> Iterator[Change]:
    head = f"proof {new.name}"
    more, fewer = new.domains - old.domains, old.domains - new.domains
    if more:
        text = f"+ {head}: domains {', '.join(sorted(more))}"
        yield Change(Direction.WIDER, text, _line(new.asked_by, "domains"))
    if fewer:
        text = f"- {head}: domains {', '.join(sorted(fewer))}"
        yield Change(Direction.NARROWER, text, _line(old.asked_by, "domains"), was=True)
    if old.code_valid_for != new.code_valid_for:
        spans = f"{_span(old.code_valid_for)} -> {_span(new.code_valid_for)}"
        direction = _more(old.code_valid_for < new.code_valid_for)
        place = _line(new.asked_by, "code_valid_for")
        yield Change(direction, f"{head}: code_valid_for {spans}", place)
    if old.remembered_for != new.remembered_for:
        spans = f"{_span(old.remembered_for)} -> {_span(new.remembered_for)}"
        place = _line(new.remembered_by, "remembered_for")
        yield Change(_remembered(old, new), f"{head}: remembered_for {spans}", place)


def _remembered(old: MailboxTerms, new: MailboxTerms) -> Direction:
    if old.remembered_for is None or new.remembered_for is None:
        return Direction.OTHER
    return _more(old.remembered_for < new.remembered_for)


def _more(more: bool) -> Direction:  # noqa: FBT001 - the one thing it is about
    return Direction.WIDER if more else Direction.NARROWER


def _line(rule: ProofRule | None, key: str) -> PolicyLine | None:
    return rule.lines.get(key, rule.place) if rule else None


def _span(span: timedelta | None) -> str:
    """Return a span as administrators write it, in its largest whole unit."""
    if span is None:
        return "as any address"
    for unit, size in _UNITS:
        if not span % size:
            return f"{span // size} {unit}"
    return f"{span // timedelta(minutes=1)} minutes"
