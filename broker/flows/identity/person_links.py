"""Durable links from eppn, cprUuid and CPR to one random person id and one borrower."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from string import ascii_lowercase, ascii_uppercase
from typing import Final

from broker.core.identity.cpr import birth_digits
from broker.core.identity.identifier_reassignment import (
    Asserted,
    PersonLink,
    borrower_agrees,
    contradicts,
    has_another_cpr_uuid,
    with_evidence,
)
from broker.core.login.transaction import Person
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Store
from broker.flows.identity.link_records import LinkRecord, LinkRecords, until_written

_CONFIRM_EVERY: Final = timedelta(days=30)
# Capitals of ASCII only: casefold makes one name of two ("ß" and "ss").
_SMALL: Final = str.maketrans(ascii_uppercase, ascii_lowercase)


@dataclass(frozen=True, slots=True, repr=False)
class _Login:
    """A login as the links see it: the parameters of ``PersonLinks.person``."""

    name: str | None
    cpr: str | None
    carries: Callable[[str], bool]
    asserted: Asserted | None


@dataclass(frozen=True, slots=True)
class PersonLinks:
    """Reads, makes and confirms links; every name is kept as a pseudonym.

    Source: docs/reference/design.md#sealing.
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

    def asserted(
        self,
        name: str,
        number: str | None,
        *,
        real: bool,
        uuid: str | None = None,
        sure: bool = False,
    ) -> Asserted:
        """Return a number and a cprUuid (of ``of_name``) as evidence about ``name``.

        ``real`` is False for a replacement or constructed number, ``sure`` True for a person who
        may be found by them.
        """
        evidence = Asserted(sure=sure)
        if uuid != name:
            evidence = replace(evidence, uuid=uuid)
        if number is None:
            return evidence
        born = self.hmacs.of("born", name, birth_digits(number))
        return replace(evidence, number=self.of_cpr(number), real=real, born=born)

    def person(
        self,
        name: str | None,
        cpr: str | None,
        carries: Callable[[str], bool],
        asserted: Asserted | None = None,
    ) -> Person:
        """Return the person of ``name`` (of ``of_name``) and ``cpr`` (of ``of_cpr``).

        At least one is given. ``cpr`` is a number that may find a borrower, ``asserted`` whatever
        was asserted, good or not. Two first logins that race get one id. Where the name leads to
        another CPR's borrower, ``carries`` is asked whether that borrower carries ``cpr`` now; if
        not, or if ``asserted`` alone speaks against the link, the name was recycled or the CPR
        changed: another person id, no number, ``case`` "cpr_changed", and the old link stands, of
        no use without its CPR, until staff have looked (docs/reference/design.md#invariant-6). A
        name unconfirmed for a year: a new id (docs/reference/design.md#persons and #names).
        """
        login = _Login(name, cpr, carries, asserted)
        return until_written(lambda: self._decided(login))

    def apart(self, name: str, uuid: str) -> bool:
        """Return whether a name that has had a CPR and the cprUuid beside it lead to two people."""
        named = self._records.read(name)
        other = self._records.read(uuid)
        if named is None or named.value.cpr is None:
            return False  # no borrower at stake, and the register's own name leads
        link = named.value
        if has_another_cpr_uuid(link, Asserted(uuid=uuid)):
            return True
        if other is None or other.value.person == link.person:
            return False
        if other.value.cpr is not None:
            return True
        return not link.uuid and not self._records.is_stale(link)

    def contested(self, name: str, asserted: Asserted | None) -> Person:
        """Mark the link of ``name`` as disputed, and return the person of such a login.

        That is nobody whom the name has led to.
        """

        def read_and_dispute() -> Person | None:
            named = self._records.read(name)
            if named is None:
                return Person(_new_id())
            return self._rival(named, asserted)

        return until_written(read_and_dispute)

    def learn(self, name: str, person: str, asserted: Asserted | None) -> None:
        """Note what came with a name beside the one that led to ``person``, if it leads there."""
        named = self._records.read(name)
        if named is None or named.value.person != person:
            return
        link = named.value
        if contradicts(link, asserted):
            return
        seen = with_evidence(link, asserted)
        if seen != link:
            # Lost to another login, the next one brings it again.
            self._records.replace(named, seen)

    def known(
        self,
        name: str | None,
        cpr: str | None,
        asserted: Asserted | None,
    ) -> Person | None:
        """Return the person that ``cpr``, else ``name``, leads to.

        None where no login has made that link, or something speaks against it.
        """
        if cpr:
            kept = self._records.read(cpr)
            return _person_of(kept)
        link = self.link(name)
        if link is None or link.disputed or self._records.is_stale(link):
            return None
        if contradicts(link, asserted):
            return None
        return Person(link.person, self._records.number(link))

    def number(self, name: str) -> str | None:
        """Return the borrower that ``name`` leads to, or None."""
        link = self.link(name)
        if link is None:
            return None
        return self._records.number(link)

    def link(self, name: str | None) -> PersonLink | None:
        """Return what ``name`` (a pseudonym of ours) leads to, whatever speaks against it."""
        named = self._records.read(name)
        return named.value if named else None

    def holder(self, name: str) -> str:
        """Return the id of the person of ``name``, or the name itself where it leads to nobody."""
        link = self.link(name)
        return link.person if link else name

    def cpr(self, name: str | None) -> str | None:
        """Return the pseudonym of the CPR that ``name`` is linked with, or None."""
        link = self.link(name)
        return link.cpr if link else None

    def remember(self, cpr: str, number: str | None) -> None:
        """Write which borrower the person of ``cpr`` (a pseudonym) has, if there is a link."""
        self._records.amend(cpr, lambda link: replace(link, number=number))

    def forget(self, name: str, *, sure: bool = False) -> None:
        """Let ``name`` lead to somebody new, if its link is disputed, or if that is ``sure``."""
        now = self.now()
        # What was proved under the name before is not the new person's: ``since``.
        fresh = PersonLink(_new_id(), None, None, now, since=now)

        def renewed(link: PersonLink) -> PersonLink:
            if sure or link.disputed:
                return fresh
            return link

        self._records.amend(name, renewed)

    def _decided(self, login: _Login) -> Person | None:
        """Decide whose a login is; None where another wrote a link meanwhile."""
        named = self._records.read(login.name)
        if login.cpr is None:
            return self._by_name_alone(login, named)
        return self._by_cpr(login, named, login.cpr)

    def _by_cpr(
        self,
        login: _Login,
        named: LinkRecord | None,
        cpr: str,
    ) -> Person | None:
        """Decide by a CPR that may find a borrower."""
        kept = self._records.read(cpr)
        borrower = self._borrower_of_another(named, cpr)
        if named:
            if has_another_cpr_uuid(named.value, login.asserted) and named.value.cpr == cpr:
                return self._rival(named, login.asserted)
            if borrower and self._speaks_against(login, named, kept, borrower):
                return self._disagreed(named, kept, cpr)
        if kept is None:
            kept = self._born(login, named, cpr, borrower)
        if kept is None or not self._confirmed(login, named, kept.value, cpr):
            return None
        return _person_of(kept)

    @staticmethod
    def _speaks_against(
        login: _Login,
        named: LinkRecord,
        kept: LinkRecord | None,
        borrower: str,
    ) -> bool:
        """Return whether the borrower that a name leads to by another CPR is not this CPR's too."""
        if has_another_cpr_uuid(named.value, login.asserted):
            return True
        link = kept.value if kept else None
        return not borrower_agrees(borrower, link, login.carries)

    def _borrower_of_another(self, named: LinkRecord | None, cpr: str) -> str | None:
        """Return the borrower that a name leads to by another CPR than ``cpr``, or None."""
        if named is None or named.value.cpr in {None, cpr}:
            return None
        return self._records.number(named.value)

    def _disagreed(
        self,
        named: LinkRecord,
        kept: LinkRecord | None,
        cpr: str,
    ) -> Person | None:
        """Dispute the name, and return the person of the CPR as a case, without a borrower."""
        if not self._dispute(named):
            return None
        own = kept
        if own is None:
            own = self._records.add(cpr, PersonLink(_new_id(), None, cpr, self.now()))
        if own is None:
            return None
        return Person(own.value.person, None, "cpr_changed")

    def _by_name_alone(self, login: _Login, named: LinkRecord | None) -> Person | None:
        """Decide by a name without a CPR."""
        if named is None:
            first = self._unheld(login, since=None)
            return _person_of(self._records.add(login.name or "", first))
        link = named.value
        now = self.now()
        opposed = contradicts(link, login.asserted)
        if link.cpr and (link.disputed or opposed):
            return self._rival(named, login.asserted)
        if opposed or self._records.is_stale(link):
            anew = self._unheld(login, since=now)
            return _person_of(self._records.replace(named, anew))
        seen = with_evidence(_confirmed_by_coming(link, now), login.asserted)
        if seen != link and not self._records.replace(named, seen):
            return None
        return Person(link.person, self._records.number(link))

    def _unheld(self, login: _Login, *, since: datetime | None) -> PersonLink:
        """Return the link of a name that nobody holds, or nobody any more: ``since`` then."""
        confirmed = since or self.now()
        link = PersonLink(_new_id(), None, None, confirmed, since=since)
        return with_evidence(link, login.asserted)

    def _rival(self, named: LinkRecord, asserted: Asserted | None) -> Person | None:
        # Old holder or new one, no machine can tell: neither the borrower nor the id is given to
        # either.
        rival = _new_id()
        evidence = evidence_of(asserted)
        if evidence:
            rival = self.hmacs.of("rival", named.key.group, evidence)
        if not self._dispute(named):
            return None
        return Person(rival, None, "cpr_changed")

    def _born(
        self,
        login: _Login,
        named: LinkRecord | None,
        cpr: str,
        borrower: str | None,
    ) -> LinkRecord | None:
        """Make the link of ``cpr``, with the name's id where nothing speaks against it."""
        now = self.now()
        unknown = PersonLink(_new_id(), None, cpr, now)
        if named is None:
            return self._records.add(cpr, unknown)
        link = named.value
        opposed = contradicts(link, login.asserted or Asserted(cpr)) or self._records.is_stale(link)
        if link.cpr is None and not opposed:
            # The name is claimed first, and its id taken on the next try: of two CPRs that race
            # one gets the id.
            claimed = replace(
                link,
                cpr=cpr,
                confirmed=now,
                asserted=None,
                born=None,
            )
            self._records.replace(named, claimed)
            return None
        if borrower or link.cpr == cpr:
            return self._records.add(
                cpr, PersonLink(link.person, borrower or link.number, cpr, now)
            )
        return self._records.add(cpr, unknown)

    def _dispute(self, named: LinkRecord) -> bool:
        if named.value.disputed:
            return True
        disputed = replace(named.value, disputed=True)
        return self._records.replace(named, disputed) is not None

    def _confirmed(
        self,
        login: _Login,
        named: LinkRecord | None,
        kept: PersonLink,
        cpr: str,
    ) -> bool:
        """Write that name and CPR came together; False where another wrote meanwhile."""
        if not login.name:
            return True
        now = self.now()
        link = PersonLink(kept.person, kept.number, cpr, now)
        if named is None:
            first = with_evidence(link, login.asserted)
            return self._records.add(login.name, first) is not None
        before = named.value
        if before.person == kept.person:
            link = replace(link, uuid=before.uuid, since=before.since)
        else:
            link = replace(link, since=now)
        link = with_evidence(link, login.asserted)
        # Its own CPR does not end a dispute: whoever else holds the name may come without one.
        disputed = before.disputed and before.cpr == cpr
        link = replace(link, disputed=disputed)
        recent = now - before.confirmed < _CONFIRM_EVERY
        if recent and replace(before, confirmed=now) == link:
            return True
        return self._records.replace(named, link) is not None

    @property
    def _records(self) -> LinkRecords:
        return LinkRecords(self.store, self.now)


def evidence_of(asserted: Asserted | None) -> str | None:
    """Return the number, else the cprUuid, that was asserted, as a pseudonym; None for neither."""
    if asserted is None:
        return None
    return asserted.number or asserted.uuid


def _person_of(record: LinkRecord | None) -> Person | None:
    if record is None:
        return None
    return Person(record.value.person, record.value.number)


def _confirmed_by_coming(link: PersonLink, now: datetime) -> PersonLink:
    # Only a name without a CPR is confirmed by coming: the borrower's twelve months run from the
    # CPR.
    if link.cpr is not None or now - link.confirmed < _CONFIRM_EVERY:
        return link
    return replace(link, confirmed=now)


def _new_id() -> str:
    return secrets.token_hex(16)
