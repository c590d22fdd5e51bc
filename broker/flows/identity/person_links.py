"""Who a login belongs to: durable links from eppn, cprUuid and CPR to one random person id and one borrower."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from broker.core.errors import StoreUnavailable
from broker.core.identity.link_evidence import Asserted, PersonLink, against, agrees, noted, strange
from broker.core.login.transaction import Person
from broker.core.ports import Kept, Key, Store
from broker.core.pseudonyms import Pseudonyms
from broker.core.serialization import dump, load

# Losing a person id would change every persistent NameID built on it, so a link in use never
# expires.
_KEPT: Final = timedelta(days=20 * 365)
_CONFIRM_EVERY: Final = timedelta(days=30)
_HOLDS_WITHOUT_CPR: Final = timedelta(days=365)  # design 5
_TURNS: Final = 20
# Capitals of ASCII only: casefold and lower make one name of two ("ß" and "ss", the Kelvin sign and
# "k").
_SMALL: Final = {capital: capital + 32 for capital in range(ord("A"), ord("Z") + 1)}


@dataclass(frozen=True, slots=True)
class _Found:
    link: PersonLink
    version: str


@dataclass(frozen=True, slots=True)
class PersonLinks:
    """Reads, makes and confirms links; every name is kept as a pseudonym (design 4b)."""

    store: Store
    pseudonyms: Pseudonyms
    now: Callable[[], datetime]

    def of_cpr(self, cpr: str) -> str:
        """Give the pseudonym that a CPR is kept under."""
        return self.pseudonyms.of("person", cpr)

    def of_name(self, kind: str, value: str) -> str:
        """Give the pseudonym of an upstream's own name for the person; ``kind`` is "eppn" or "cprUuid"."""
        return self.pseudonyms.of("link", kind, value.translate(_SMALL))

    def of_borrower(self, number: str) -> str:
        """Give the pseudonym of the library account itself, where its PIN was the login."""
        return self.of_name("borrower", number)

    def asserted(
        self,
        name: str,
        number: str | None,
        *,
        real: bool,
        uuid: str | None = None,
        sure: bool = False,
    ) -> Asserted:
        """Give number (real, replacement or constructed) and cprUuid (of ``of_name``) as evidence about ``name``."""
        uuid = None if uuid == name else uuid
        if number is None:
            return Asserted(uuid=uuid, sure=sure)
        # All three begin with the date of birth, the replacement number's with 60 added to the day
        # (cpr.md).
        day = int(number[:2])
        born = f"{day - 60 if day > 60 else day:02}{number[2:6]}"
        return Asserted(
            self.of_cpr(number), real, self.pseudonyms.of("born", name, born), uuid, sure
        )

    def person(
        self,
        name: str | None,
        cpr: str | None,
        carries: Callable[[str], bool],
        asserted: Asserted | None = None,
    ) -> Person:
        """Say whom ``name`` (of ``of_name``) and ``cpr`` (of ``of_cpr``) belong to; at least one is given.

        ``cpr`` is a number that may find a borrower, ``asserted`` whatever was asserted, good or
        not. Two first logins that race get one id. Where the name leads to another CPR's borrower,
        ``carries`` is asked whether that borrower carries ``cpr`` now; if not, or if ``asserted``
        alone speaks against the link, the name was recycled or the CPR changed: another person id,
        no number, ``case`` "cpr_changed", and the old link stands, of no use without its CPR, until
        staff have looked (invariant 6). A name unconfirmed for a year: a new id (design 4b, 5).
        """
        for _ in range(_TURNS):
            person = self._turn(name, cpr, carries, asserted)
            if person is not None:
                return person
        raise StoreUnavailable("a link is changed by others all the time")

    def apart(self, name: str, uuid: str) -> bool:
        """Say whether an upstream's name that has had a CPR and the cprUuid beside it lead to two people."""
        named, found = self._read(name), self._read(uuid)
        if named is None or named.link.cpr is None:
            return False  # no borrower at stake, and the register's own name leads
        if strange(named.link, Asserted(uuid=uuid)):
            return True
        if found is None or found.link.person == named.link.person:
            return False
        return found.link.cpr is not None or not (named.link.uuid or self._stale(named.link))

    def contested(self, name: str, asserted: Asserted | None) -> Person:
        """Mark the link of ``name`` as disputed, and give who then comes by it: nobody that it has led to."""
        for _ in range(_TURNS):
            named = self._read(name)
            person = self._rival(name, named, asserted) if named else Person(_new_id())
            if person is not None:
                return person
        raise StoreUnavailable("a link is changed by others all the time")

    def learn(self, name: str, person: str, asserted: Asserted | None) -> None:
        """Note what came with a name beside the one that led to ``person``, if it leads there too."""
        named = self._read(name)
        if named and named.link.person == person and not against(named.link, asserted):
            seen = noted(named.link, asserted)
            if seen != named.link:
                self._write(
                    name, seen, named.version
                )  # lost to another login, the next one says it again

    def known(self, name: str | None, cpr: str | None, asserted: Asserted | None) -> Person | None:
        """Give whom ``cpr``, else ``name``, leads to if a login has made that link and nothing speaks against it."""
        kept = self._read(cpr) if cpr else None
        if kept:
            return Person(kept.link.person, kept.link.number)
        named = self._read(name) if name and cpr is None else None
        if named is None or named.link.disputed or self._stale(named.link):
            return None
        return (
            None
            if against(named.link, asserted)
            else Person(named.link.person, self._number(named.link))
        )

    def number(self, name: str) -> str | None:
        """Give the borrower that ``name`` leads to, or None."""
        found = self._read(name)
        return self._number(found.link) if found else None

    def link(self, name: str) -> PersonLink | None:
        """Give what ``name`` (a pseudonym of ours) leads to, whatever speaks against it."""
        found = self._read(name)
        return found.link if found else None

    def holder(self, name: str) -> str:
        """Give the id of whose ``name`` is, or the name itself where no link leads to anybody."""
        link = self.link(name)
        return link.person if link else name

    def cpr(self, name: str) -> str | None:
        """Give the pseudonym of the CPR that ``name`` is linked with, or None."""
        link = self.link(name)
        return link.cpr if link else None

    def remember(self, cpr: str, number: str | None) -> None:
        """Write which borrower the person of ``cpr`` (a pseudonym) has; nothing where no link is kept."""
        self._amend(cpr, lambda link: replace(link, number=number))

    def forget(self, name: str, *, sure: bool = False) -> None:
        """Let ``name`` lead to somebody new if its link is disputed, for staff say that it does, or if that is sure."""
        now = self.now()
        fresh = PersonLink(
            _new_id(), None, None, now, since=now
        )  # what was proved under the name before is not theirs
        self._amend(name, lambda link: fresh if sure or link.disputed else link)

    def _amend(self, name: str, change: Callable[[PersonLink], PersonLink]) -> None:
        for _ in range(_TURNS):
            found = self._read(name)
            if (
                found is None
                or (link := change(found.link)) == found.link
                or self._write(name, link, found.version)
            ):
                return
        raise StoreUnavailable("a link is changed by others all the time")

    def _turn(
        self,
        name: str | None,
        cpr: str | None,
        carries: Callable[[str], bool],
        asserted: Asserted | None,
    ) -> Person | None:
        named = self._read(name) if name else None
        if cpr is None:
            return self._by_name_alone(name or "", named, asserted)
        kept = self._read(cpr)
        changed = named is not None and named.link.cpr not in {None, cpr}
        other = named is not None and strange(named.link, asserted)
        linked = self._number(named.link) if named and changed else None
        if name and named and other and named.link.cpr == cpr:
            return self._rival(name, named, asserted)
        if (
            name
            and named
            and linked
            and (other or not agrees(linked, kept.link if kept else None, carries))
        ):
            if not self._dispute(name, named):
                return None
            mine = kept or self._added(cpr, PersonLink(_new_id(), None, cpr, self.now()))
            return Person(mine.link.person, None, "cpr_changed") if mine else None
        if kept is None:
            kept = self._born(name or "", named, cpr, linked, asserted or Asserted(cpr))
            if kept is None:
                return None
        if name and not self._confirm(name, named, kept.link, cpr, asserted):
            return None
        return Person(kept.link.person, kept.link.number)

    def _by_name_alone(
        self, name: str, named: _Found | None, asserted: Asserted | None
    ) -> Person | None:
        rival = named is not None and against(named.link, asserted)
        if named and named.link.cpr and (named.link.disputed or rival):
            return self._rival(name, named, asserted)
        now = self.now()
        if named is None or rival or self._stale(named.link):
            fresh = noted(
                PersonLink(_new_id(), None, None, now, since=now if named else None), asserted
            )
            return (
                Person(fresh.person)
                if self._write(name, fresh, named.version if named else None)
                else None
            )
        link = named.link
        # Only a name without a CPR is confirmed by coming: the borrower's twelve months run from
        # the CPR.
        late = link.cpr is None and now - link.confirmed >= _CONFIRM_EVERY
        seen = noted(replace(link, confirmed=now) if late else link, asserted)
        written = seen == link or self._write(name, seen, named.version)
        return Person(link.person, self._number(link)) if written else None

    def _rival(self, name: str, named: _Found, asserted: Asserted | None) -> Person | None:
        # Old holder or new one, no machine can tell: neither the borrower nor the id is given to
        # either.
        told = (asserted.number or asserted.uuid) if asserted else None
        rival = self.pseudonyms.of("rival", name, told) if told else _new_id()
        return Person(rival, None, "cpr_changed") if self._dispute(name, named) else None

    def _born(
        self, name: str, named: _Found | None, cpr: str, linked: str | None, asserted: Asserted
    ) -> _Found | None:
        """Make the link of ``cpr``, with the id that the name brings along where nothing speaks against it."""
        now, link = self.now(), named.link if named else None
        if (
            link
            and link.cpr is None
            and named
            and not self._stale(link)
            and not against(link, asserted)
        ):
            # The name is claimed first, and its id taken on the next turn: of two CPRs that race
            # one gets the id.
            self._write(
                name, replace(link, cpr=cpr, confirmed=now, asserted=None, born=None), named.version
            )
            return None
        if link and (linked or link.cpr == cpr):
            return self._added(cpr, PersonLink(link.person, linked or link.number, cpr, now))
        return self._added(cpr, PersonLink(_new_id(), None, cpr, now))

    def _dispute(self, name: str, named: _Found) -> bool:
        return named.link.disputed or self._write(
            name, replace(named.link, disputed=True), named.version
        )

    def _confirm(
        self, name: str, named: _Found | None, kept: PersonLink, cpr: str, asserted: Asserted | None
    ) -> bool:
        now = self.now()
        if named is None:
            return self._write(
                name, noted(PersonLink(kept.person, kept.number, cpr, now), asserted), None
            )
        uuid, since = (
            (named.link.uuid, named.link.since) if named.link.person == kept.person else (None, now)
        )
        link = noted(
            PersonLink(kept.person, kept.number, cpr, now, uuid=uuid, since=since), asserted
        )
        # Its own CPR does not end a dispute: whoever else holds the name may come without one.
        link = replace(link, disputed=named.link.disputed and named.link.cpr == cpr)
        recent = link.confirmed - named.link.confirmed < _CONFIRM_EVERY
        if recent and replace(named.link, confirmed=link.confirmed) == link:
            return True
        return self._write(name, link, named.version)

    def _number(self, link: PersonLink) -> str | None:
        # A borrower is remembered by the CPR; the name learns of it at its next login only.
        kept = self._read(link.cpr) if link.cpr else None
        return kept.link.number if kept else link.number

    def _stale(self, link: PersonLink) -> bool:
        return self.now() - link.confirmed > _HOLDS_WITHOUT_CPR

    def _read(self, name: str) -> _Found | None:
        kept = self.store.get(Key("link", name), self.now())
        return _Found(load(PersonLink, kept.value), kept.version) if kept else None

    def _added(self, name: str, link: PersonLink) -> _Found | None:
        return self._read(name) if self._write(name, link, None) else None

    def _write(self, name: str, link: PersonLink, was: str | None) -> bool:
        now, version = self.now(), secrets.token_hex(8)
        return self.store.put(
            Key("link", name), Kept(dump(link), version, now + _KEPT), was, now, durable=True
        )


def _new_id() -> str:
    return secrets.token_hex(16)
