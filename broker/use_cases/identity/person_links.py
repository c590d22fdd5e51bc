"""Durable links from eppn, cprUuid, CPR number and library account to one random person id."""

import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from string import ascii_lowercase, ascii_uppercase
from types import MappingProxyType
from typing import Final, NamedTuple

from broker.core.entities import Names
from broker.core.errors import StoreUnavailable
from broker.core.identity.identifier_reassignment import (
    PersonLink,
    another_cpr,
    came_alone,
    came_with_cpr,
    came_without_cpr,
    is_stale,
    seen,
    without_person,
)
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, Store
from broker.core.retention.table import LINK
from broker.use_cases.identity.older_links import move_older_link
from broker.use_cases.records import WRITES, Content, Reads, Record, Records, read_together

_CPR_SEEN_EVERY: Final = timedelta(days=365)
_MOST_TRIES: Final = 20
# Redis keeps what has ended for five minutes more; what ended before that it drops at once.
_LONG_ENDED: Final = LINK.span + timedelta(minutes=6)
# Capitals of ASCII only: casefold makes one name of two ("ß" and "ss").
_SMALL: Final = str.maketrans(ascii_uppercase, ascii_lowercase)


class CprPerson(NamedTuple):
    """The person id of a CPR number, and the number that the name beside it came with before.

    ``name_had`` is None once staff have been ``told``. ``barred`` is why its holder is not let in,
    None where they are.
    """

    id: str
    name_had: str | None
    barred: str | None = None


class ChangedNumber(NamedTuple):
    """The CPR number that came with a name before, and the one that came after; pseudonyms."""

    had: str
    came: str


class _Amended(NamedTuple):
    """A link as it was made, and as it stood before; None where there was none."""

    link: PersonLink
    before: PersonLink | None

    @property
    def is_drawn(self) -> bool:
        """Return whether the id is new: nobody has been known by it."""
        return self.before is None or self.before.person != self.link.person


_NOTHING_READ: Final[Reads] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class PersonLinks:
    """Reads and makes links; every name and number is kept as a pseudonym.

    Source: docs/reference/design.md#names and #sealing.
    """

    store: Store
    hmacs: LookupHmacs
    now: Callable[[], datetime]

    def of_cpr(self, cpr: str) -> str:
        """Return the pseudonym that a CPR is kept under."""
        return self.hmacs.of("person", cpr)

    def of_name(self, kind: str, value: str) -> str:
        """Return the pseudonym of an upstream's own name; ``kind`` is "eppn" or "cprUuid"."""
        return self.hmacs.of("link", kind, value.translate(_SMALL))

    def of_borrower(self, number: str) -> str:
        """Return the pseudonym of the library account itself, where its PIN was the login."""
        return self.of_name("borrower", number)

    def proofs_of(self, person: str) -> str:
        """Return the pseudonym that the proofs of a person id are kept under."""
        return self.hmacs.of("proofs", person)

    def by_cpr(
        self,
        cpr: str,
        name: str | None = None,
        uuid: str | None = None,
        reads: Reads = _NOTHING_READ,
    ) -> CprPerson | None:
        """Return the person of a CPR number; None where ``uuid`` came with another number before.

        A number that nobody has come with takes along the id of a name beside it that no number
        ever came with. Two first logins that race get one id. ``uuid`` is the cprUuid, which stays
        one person's; it learns the number. All are pseudonyms. ``reads`` holds what the caller has
        read of their links.
        """
        claims: list[_Amended] = []
        had = None
        reads = reads or read_together(self.store, self.keys(uuid, name, cpr), self.now())
        if uuid:
            learned = self._amended(uuid, lambda link: self._with_cpr_for_good(link, cpr), reads)
            claims.append(learned)
            if claims[0].link.cpr != cpr:
                return None
        if name:
            claim = self._amended(name, lambda link: self._with_cpr(link, cpr), reads)
            claims.append(claim)
            had = claim.link.had
        ids = [claim.link.person for claim in sorted(claims, key=lambda claim: claim.is_drawn)]
        person = ids[0] if ids else _new_id()
        made = self._amended(cpr, lambda link: self._of_number(link, person, cpr), reads)
        return CprPerson(made.link.person, had, made.link.barred)

    @staticmethod
    def keys(*names: str | None) -> list[Key]:
        """Return the keys of the links of those names that are some."""
        return [_key(name) for name in names if name]

    def by_name(self, name: str) -> str:
        """Return the person id of a name that came without a CPR number: never a number's."""
        return self.by_account(name).id

    def by_account(self, name: str) -> CprPerson:
        """Return the person of a library account without a CPR number, as ``by_name`` does."""
        link = self._amended(name, lambda link: came_alone(link, self.now(), _new_id())).link
        return CprPerson(link.alone_id or link.person, None, link.barred)

    def changes_of(self, name: str, cpr: str, reads: Reads) -> tuple[ChangedNumber, ...]:
        """Return what staff have to be told before ``cpr`` comes with a name.

        By then it may have come with another, or have changed already in a login that died.
        ``reads`` holds what the caller has read of its link.
        """
        key = _key(name)
        record = self._records.found(key, reads) if key in reads else self._read(name)
        link = record.value if record else None
        if link is None or link.cpr in {None, cpr}:
            return ()
        changes = [ChangedNumber(link.had, link.cpr)] if link.had else []
        if not is_stale(link, self.now()):
            changes.append(ChangedNumber(link.cpr, cpr))
        return tuple(changes)

    def told(self, name: str, had: str) -> None:
        """Note that staff have been told that ``name`` came with the number ``had`` before."""

        def changed(record: Record[PersonLink] | None) -> Content[PersonLink] | None:
            if record is None or record.value.had != had:
                return None
            return Content(replace(record.value, had=None), record.until)

        self._records.amend(_key(name), changed, self.now(), read=self._read(name))

    def without_cpr(self, name: str) -> None:
        """Let a name lead to the CPR number that came with it no more; its bar stays."""
        holder = self.holder_of(self.cpr(name))
        if holder:
            self._amended(name, lambda link: self._without_cpr(link, holder.barred))

    def cpr(self, name: str | None) -> str | None:
        """Return the pseudonym of the CPR that last came with ``name``, or None."""
        link = self._link(name)
        return link.cpr if link else None

    def known_by_cpr(self, cpr: str | None) -> str | None:
        """Return the person id of a CPR number; None where nobody has come with it."""
        link = self._link(cpr)
        return link.person if link else None

    def holder_of(self, cpr: str | None) -> CprPerson | None:
        """Return the person of a CPR number; None where nobody has come with it."""
        link = self._link(cpr)
        return CprPerson(link.person, None, link.barred) if link else None

    def is_barred(self, cpr: str | None, number: str | None = None) -> bool:
        """Return whether the holder of a CPR number (no pseudonym) is not let in, nor written to.

        Without one it is asked of the library account ``number``; False where that is None too.
        """
        if cpr:
            link = self._link(self.of_cpr(cpr))
        else:
            link = self._link(self.of_borrower(number)) if number else None
        return link is not None and link.barred is not None

    def bar_of(self, names: Names, reads: Reads) -> str | None:
        """Return why nobody is let in by one of ``names``, as ``reads`` has their links."""
        for key in self.keys(*names):
            record = self._records.found(key, reads)
            if record and record.value.barred:
                return record.value.barred
        return None

    def bar(self, cpr: str, reason: str | None) -> None:
        """Let nobody in by a CPR number for ``reason``, or let its holder in again with None.

        Nothing is made of a number that nobody has come with, nor of one that is forgotten.
        """
        self._bar(cpr, lambda _: reason)

    def lift(self, cpr: str, reason: str) -> bool:
        """Let the holder of a CPR number in again, and return whether ``reason`` held them back."""
        return self._bar(cpr, lambda barred: None if barred == reason else barred)

    def lift_account(self, account: str, cpr: str, reason: str) -> None:
        """Let the holder of ``cpr`` in by a library account again; another's bar of it stays."""

        def lifted(link: PersonLink) -> PersonLink:
            if link.barred != reason or link.cpr not in {None, cpr}:
                return link
            return replace(link, barred=None)

        self._change(account, lifted)

    def hold_back(self, cpr: str, reason: str) -> None:
        """Let nobody in by a CPR number for ``reason``, unless they are not for another.

        Where nobody has come with it yet whoever does is barred: it gets an id of its own.
        """
        now = self.now()
        made = PersonLink(_new_id(), cpr, now, barred=reason)
        if self._records.add(_key(cpr), made, LINK.until(now), now) is None:
            self._bar(cpr, lambda barred: barred or reason)

    def bar_account(self, account: str, cpr: str, reason: str) -> None:
        """Let nobody in by the library account of the holder of ``cpr`` either; both pseudonyms.

        The bar stands by itself, for staff may take the number off the account. Nothing where
        nobody has come with the number.
        """
        person = self.known_by_cpr(cpr)
        if person is None:
            return
        theirs = PersonLink(person, cpr, self.now())

        def barred(link: PersonLink | None) -> PersonLink:
            held = link if link and link.cpr in {None, cpr} else theirs
            return replace(held, barred=reason)

        self._amended(account, barred)

    def succeed(self, cpr: str, former: str, reason: str) -> None:
        """Let a CPR number lead to the person of ``former``, whom it was given anew, and bar it.

        The person stays who they are to every service. Where somebody has come with it already the
        number keeps its own id, and is barred unless it is so for another reason.
        """
        link = self._link(former)
        if link is None:
            return
        now = self.now()
        made = replace(link, cpr=cpr, alone=None, barred=reason)
        if self._records.add(_key(cpr), made, LINK.until(now), now) is None:
            self.hold_back(cpr, reason)

    def part(self, cpr: str, former: str) -> None:
        """Give a CPR number an id of its own where it leads to the person of ``former``."""
        person = self.known_by_cpr(former)
        self._change(cpr, lambda link: link.parted(person, _new_id()))

    def known_by_name(self, name: str | None) -> str | None:
        """Return the person id of a name that comes alone; None where it leads to nobody yet."""
        link = self._link(name)
        if link is None or is_stale(link, self.now()):
            return None
        return link.alone_id

    def holder(self, cpr: str) -> str:
        """Return the person id of a CPR number, or its pseudonym where nobody has come with it."""
        return self.known_by_cpr(cpr) or cpr

    def forget(self, name: str) -> None:
        """Let ``name`` lead to nobody."""
        self.store.drop(_key(name))

    def forget_person(
        self,
        name: str,
        ids: Collection[str],
        cprs: Collection[str] = (),
        *,
        kept_barred: bool = False,
    ) -> None:
        """Let ``name`` lead to the person of ``ids`` no more; another's id of it stays.

        Nor does it name one of ``cprs``, the pseudonyms of their numbers. A number that is barred
        and ``kept_barred`` stays so, with an id that is nobody's.
        Where nothing stays the link is written away, for another may come by the name at this
        moment: a drop would take their id. Source: docs/reference/design.md#names.
        """
        now = self.now()
        gone = Content(PersonLink("", None, now), LINK.until(now - _LONG_ENDED))

        def left(record: Record[PersonLink] | None) -> Content[PersonLink]:
            link = without_person(record.value, ids, cprs) if record else None
            if record and link is None and kept_barred and record.value.barred:
                link = PersonLink(_new_id(), name, now, barred=record.value.barred)
            return Content(link, record.until) if record and link else gone

        self._records.amend(_key(name), left, now, read=self._read(name))

    def _bar(self, name: str, change: Callable[[str | None], str | None]) -> bool:
        return self._change(name, lambda link: replace(link, barred=change(link.barred)))

    def _change(self, name: str, change: Callable[[PersonLink], PersonLink]) -> bool:
        """Make a link that leads to somebody what ``change`` says; return whether it differs."""

        def changed(record: Record[PersonLink] | None) -> Content[PersonLink] | None:
            if record is None or not record.value.person:
                return None
            link = change(record.value)
            return None if link == record.value else Content(link, record.until)

        read = self._read(name)
        return self._records.amend(_key(name), changed, self.now(), read=read).written

    def _with_cpr(self, link: PersonLink | None, cpr: str) -> PersonLink:
        return came_with_cpr(link, cpr, self.now(), _new_id())

    def _with_cpr_for_good(self, link: PersonLink | None, cpr: str) -> PersonLink:
        if link and another_cpr(link, cpr):
            return link
        return self._with_cpr(link, cpr)

    def _without_cpr(self, link: PersonLink | None, barred: str | None) -> PersonLink:
        before = link or PersonLink(_new_id(), None, self.now())
        return came_without_cpr(before, _new_id(), barred)

    def _of_number(self, link: PersonLink | None, person: str, cpr: str) -> PersonLink:
        if link is None:
            return PersonLink(person, cpr, self.now())
        return seen(link, self.now(), _CPR_SEEN_EVERY)

    def _link(self, name: str | None) -> PersonLink | None:
        if name is None:
            return None
        record = self._read(name)
        return record.value if record else None

    def _read(self, name: str) -> Record[PersonLink] | None:
        record = self._records.get(_key(name), self.now())
        if record is None or record.release == WRITES:
            return record
        move_older_link(self.store, self.hmacs, _key(name), self.proofs_of, self.now())
        return self._records.replace(record, record.value, self.now()) or self._read(name)

    def _amended(
        self,
        name: str,
        change: Callable[[PersonLink | None], PersonLink],
        reads: Reads = _NOTHING_READ,
    ) -> _Amended:
        """Make a link what ``change`` says; where another writes first it is asked again.

        ``reads`` holds the links that the caller has read already.
        """
        now = self.now()
        before: PersonLink | None = None

        def changed(record: Record[PersonLink] | None) -> Content[PersonLink] | None:
            nonlocal before
            before = record.value if record else None
            link = change(before)
            return None if link == before else Content(link, LINK.until(now))

        key = _key(name)
        read = self._records.found(key, reads) if key in reads else None
        if read is None or read.release != WRITES:
            read = self._read(name)
        amended = self._records.amend(key, changed, now, read=read).record
        if amended is None:
            raise StoreUnavailable("a link was not written")
        return _Amended(amended.value, before)

    @property
    def _records(self) -> Records[PersonLink]:
        return Records(self.store, PersonLink, durable=True, tries=_MOST_TRIES)


def _key(name: str) -> Key:
    return Key("link", name)


def _new_id() -> str:
    return secrets.token_hex(16)
