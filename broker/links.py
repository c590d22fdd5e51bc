"""Who a login belongs to: durable links from eppn, cprUuid and CPR to one random person id and one borrower."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from broker.core.errors import StoreUnavailable
from broker.core.ports import Kept, Key, Store
from broker.core.pseudonyms import Pseudonyms
from broker.core.records import dump, load
from broker.core.transaction import Person

# Losing a person id would change every persistent NameID built on it, so a link in use never expires.
_KEPT: Final = timedelta(days=20 * 365)
_CONFIRM_EVERY: Final = timedelta(days=30)
_HOLDS_WITHOUT_CPR: Final = timedelta(days=365)  # design 5
_TURNS: Final = 20


@dataclass(frozen=True, slots=True, repr=False)
class Link:
    """What one name of a person leads to.

    ``person`` is the random id, ``number`` the borrower, ``cpr`` the pseudonym of the CPR that came with the name
    (None: none ever did), ``confirmed`` when the two last came together.
    """

    person: str
    number: str | None
    cpr: str | None
    confirmed: datetime


@dataclass(frozen=True, slots=True)
class _Found:
    link: Link
    version: str


@dataclass(frozen=True, slots=True)
class Links:
    """Reads, makes and confirms links; every name is kept as a pseudonym (design 4b)."""

    store: Store
    pseudonyms: Pseudonyms
    now: Callable[[], datetime]

    def of_cpr(self, cpr: str) -> str:
        """Give the pseudonym that a CPR is kept under."""
        return self.pseudonyms.of("person", cpr)

    def of_name(self, kind: str, value: str) -> str:
        """Give the pseudonym of an upstream's own name for the person; ``kind`` is "eppn" or "cprUuid"."""
        return self.pseudonyms.of("link", kind, value.casefold())

    def person(self, name: str | None, cpr: str | None, carries: Callable[[str], bool]) -> Person:
        """Say whom ``name`` (of ``of_name``) and ``cpr`` (of ``of_cpr``) belong to; at least one is given.

        Two first logins that race get one id. Where the name remembers a borrower of another CPR, ``carries`` is asked
        whether that borrower carries the asserted CPR now; if not, the name was recycled or the CPR changed: another
        person id, ``case`` "cpr_changed", and the old link stands until staff have looked (invariant 6).
        """
        for _ in range(_TURNS):
            person = self._turn(name, cpr, carries)
            if person is not None:
                return person
        raise StoreUnavailable("a link is changed by others all the time")

    def number(self, name: str) -> str | None:
        """Give the borrower that the link of ``name`` remembers, or None."""
        found = self._read(name)
        return found.link.number if found else None

    def remember(self, cpr: str, number: str | None) -> None:
        """Write which borrower the person of ``cpr`` (a pseudonym) has; nothing where no link is kept."""
        for _ in range(_TURNS):
            found = self._read(cpr)
            if found is None or found.link.number == number:
                return
            if self._write(cpr, replace(found.link, number=number), found.version):
                return
        raise StoreUnavailable("a link is changed by others all the time")

    def forget(self, name: str) -> None:
        """Drop the link of ``name``: staff say that it leads to someone else now."""
        self.store.drop(Key("link", name))

    def _turn(self, name: str | None, cpr: str | None, carries: Callable[[str], bool]) -> Person | None:
        named = self._read(name) if name else None
        if cpr is None:
            return self._by_name_alone(name or "", named)
        disputed = _disputed(named, cpr)
        kept = self._read(cpr)
        if disputed and named and named.link.number and not self._agree(named.link, kept, carries):
            mine = kept or self._added(cpr, Link(_new_id(), None, cpr, self.now()))
            return Person(mine.link.person, None, "cpr_changed") if mine else None
        if kept is None:
            # A name that never came with another CPR brings its id along; so does one whose borrower staff moved.
            own = named.link if named and (not disputed or named.link.number) else None
            born = Link(own.person if own else _new_id(), own.number if own else None, cpr, self.now())
            kept = self._added(cpr, born)
            if kept is None:
                return None
        if name and not self._confirm(name, named, kept.link, cpr):
            return None
        return Person(kept.link.person, kept.link.number)

    def _by_name_alone(self, name: str, named: _Found | None) -> Person | None:
        now = self.now()
        if named is None:
            named = self._added(name, Link(_new_id(), None, None, now))
            return Person(named.link.person) if named else None
        link = named.link
        if link.cpr is None or now - link.confirmed > _HOLDS_WITHOUT_CPR:
            return Person(link.person)
        kept = self._read(link.cpr)
        return Person(link.person, kept.link.number if kept else link.number)

    def _agree(self, named: Link, kept: _Found | None, carries: Callable[[str], bool]) -> bool:
        if named.number is None or (kept and kept.link.number not in {None, named.number}):
            return False
        return carries(named.number)

    def _confirm(self, name: str, named: _Found | None, kept: Link, cpr: str) -> bool:
        link = Link(kept.person, kept.number, cpr, self.now())
        if named is None:
            return self._write(name, link, None)
        recent = link.confirmed - named.link.confirmed < _CONFIRM_EVERY
        if recent and replace(named.link, confirmed=link.confirmed) == link:
            return True
        return self._write(name, link, named.version)

    def _read(self, name: str) -> _Found | None:
        kept = self.store.get(Key("link", name), self.now())
        return _Found(load(Link, kept.value), kept.version) if kept else None

    def _added(self, name: str, link: Link) -> _Found | None:
        return self._read(name) if self._write(name, link, None) else None

    def _write(self, name: str, link: Link, was: str | None) -> bool:
        now = self.now()
        kept = Kept(dump(link), secrets.token_hex(8), now + _KEPT)
        return self.store.put(Key("link", name), kept, was, now, durable=True)


def _disputed(named: _Found | None, cpr: str) -> bool:
    return named is not None and named.link.cpr is not None and named.link.cpr != cpr


def _new_id() -> str:
    return secrets.token_hex(16)
