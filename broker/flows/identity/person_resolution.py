"""The person of a login: the one that names and numbers lead to, and the name they go by."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from broker.core.borrowers.borrower import Borrower
from broker.core.identity.attribute_values import clean
from broker.core.identity.canonical_attributes import CPR_UUID, AttributeReading
from broker.core.identity.identifier_reassignment import Asserted
from broker.core.login.configured_entities import ConfiguredEntities
from broker.core.login.transaction import Person
from broker.flows.arrived_login import Arrived
from broker.flows.identity.person_links import PersonLinks, evidence_of

# The upstream's own names for a person, steadiest first; a transient NameID names nobody.
_NAMES: Final = ("eduPersonPrincipalName", "subject-id", "pairwise-id")
_ALWAYS: Final = datetime.min.replace(tzinfo=UTC)
_KINDS: Final = {"eduPersonPrincipalName": "eppn"}


class KnownBorrowers(Protocol):
    """The borrowers of the library system, as far as a doubt about a person needs them."""

    def look(self, cpr: str) -> tuple[Borrower, ...]:
        """Return the borrowers that carry a CPR number; raises ``LibraryUnavailable``."""

    def read(self, number: str) -> Borrower | None:
        """Return the borrower of a borrower number, or None; raises ``LibraryUnavailable``."""

    def dispute(self, name: str, cpr: str) -> object:
        """Open a case for staff: a name and a CPR number lead to different borrowers."""


@dataclass(frozen=True, slots=True)
class PersonResolution:
    """Reads the links for a login; ``borrowers`` are asked where a link and a CPR disagree."""

    rules: ConfiguredEntities
    links: PersonLinks
    borrowers: KnownBorrowers

    def person(self, arrived: Arrived) -> Person:
        """Return the person; where nothing names them, one that nobody will meet again."""
        if self._is_local(arrived):
            return self._holder_of(arrived.authentication.name_id or "")
        number = enrollable_cpr(arrived)
        names = self._names(arrived)
        if number is None:
            return self._by_names(names, arrived)
        cpr = self.links.of_cpr(number)
        if not names:
            return self.links.person(None, cpr, lambda _: False)
        for name in names:
            asserted = self._asserted(name, arrived)
            person = self._led(name, cpr, number, asserted)
            if person.case:
                # one that disagrees is enough, and the others learn nothing from this login
                break
        return person

    def known(self, arrived: Arrived) -> Person | None:
        """Return the person if a login has left one, and no link is in doubt; nothing is made."""
        if self._is_local(arrived):
            number = arrived.authentication.name_id or ""
            return self.links.known(self.links.of_borrower(number), None, None)
        cpr = enrollable_cpr(arrived)
        if cpr:
            return self.links.known(None, self.links.of_cpr(cpr), None)
        name = self.name(arrived)
        if name is None or self._apart(arrived):
            return None
        return self.links.known(name, None, self._asserted(name, arrived))

    def verified(self, borrower: Borrower) -> None:
        """Note whose account the library system has just verified by its PIN.

        The CPR is the library's own for this borrower, never what was typed
        (docs/reference/requirements.md#r33).
        """
        number = borrower.number
        name = self.links.of_borrower(number)
        cpr = self._cpr_of(borrower)
        before = self.links.cpr(name)
        another = before not in {None, cpr}
        if another and (cpr or self.links.number(name) != number):
            # Staff had another's CPR on this record: its holder is not that person, whose
            # NameIDs are their own.
            self.links.forget(name, sure=True)
            before = None
        if cpr or before is None:
            self.links.person(name, cpr, lambda linked: linked == number)

    def owner(self, arrived: Arrived) -> str | None:
        """Return the pseudonym of the person's proofs, or None where nothing names the person."""
        number = enrollable_cpr(arrived)
        if number:
            return self.links.of_cpr(number)
        return self.name(arrived)

    def owned_since(self, arrived: Arrived) -> datetime | None:
        """Return from when on what is kept under ``owner`` is this person's.

        None where the name is in doubt. The next holder of a name has proved nothing by what the
        last one did.
        """
        if enrollable_cpr(arrived):
            return _ALWAYS
        link = self.links.link(self.name(arrived))
        if link is None:
            return _ALWAYS
        if self.known(arrived) is None:
            return None
        return link.since or _ALWAYS

    def owners(self, arrived: Arrived) -> tuple[str, ...]:
        """Return ``owner``, and the names and the CPR of the person that this login leads to.

        By links that nothing speaks against: who proved a mailbox without a CPR is no second person
        once the CPR comes, nor the other way round.
        """
        owner = self.owner(arrived)
        if owner is None:
            return ()
        names = self._names_of(self.known(arrived), arrived)
        linked = [self.links.cpr(name) for name in names]
        cprs = [cpr for cpr in linked if cpr]
        return tuple(dict.fromkeys([owner, *names, *cprs]))

    def name(self, arrived: Arrived) -> str | None:
        """Return the pseudonym of the name that leads to the person, or None."""
        return next(iter(self._names(arrived)), None)

    def _is_local(self, arrived: Arrived) -> bool:
        return arrived.authentication.upstream in self.rules.local

    def _cpr_of(self, borrower: Borrower) -> str | None:
        """Return the pseudonym of the CPR that a borrower has.

        None where its person has another borrower that is there. LibraryUnavailable where that
        cannot be known: a guess would cost the person's ids, or give them to a stranger.
        """
        if borrower.cpr is None or borrower.is_anothers(borrower.cpr):
            return None
        cpr = self.links.of_cpr(borrower.cpr)
        linked = self.links.number(cpr)
        if linked is None or linked == borrower.number:
            return cpr
        if self.borrowers.read(linked):
            # Two with one CPR: staff may have typed it into a stranger's record, whose holder is
            # not the person for that.
            return None
        return cpr

    def _names_of(self, person: Person | None, arrived: Arrived) -> list[str]:
        """Return the names of a login that lead to ``person`` by links that nothing opposes."""
        names: list[str] = []
        if person is None:
            return names
        for name in self._names(arrived):
            asserted = self._asserted(name, arrived)
            led = self.links.known(name, None, asserted)
            if led and led.id == person.id:
                names.append(name)
        return names

    def _names(self, arrived: Arrived) -> tuple[str, ...]:
        """Return the pseudonyms of the person's names, those that lead to somebody already first.

        The id that a name has had so far is then the one that a new number, and a new name, get.
        """
        names = []
        if arrived.decision.may_find_by_cpr:
            # The register's own name for the person, everywhere the same; only a person who may be
            # found by CPR may use it.
            names.append(self._uuid(arrived.reading))
        names.append(self._own(arrived))
        known = [name for name in names if name]
        if len(known) > 1:
            known.sort(key=self._unfamiliarity)
        return tuple(known)

    def _unfamiliarity(self, name: str) -> tuple[bool, bool]:
        leads_nowhere = self.links.known(name, None, None) is None
        return leads_nowhere, self.links.cpr(name) is None

    def _uuid(self, reading: AttributeReading) -> str | None:
        uuid = reading.attributes.one(CPR_UUID)
        if uuid is None:
            return None
        bare = uuid.casefold().removeprefix("urn:uuid:")
        return self.links.of_name(CPR_UUID, bare)

    def _own(self, arrived: Arrived) -> str | None:
        """Return the pseudonym of the upstream's own name, good within its institution only.

        Two institutions could assert the same.
        """
        for name in _NAMES:
            value = arrived.reading.attributes.one(name)
            if value:
                kind = _KINDS.get(name, name)
                institution = arrived.authentication.institution
                return self.links.of_name(f"{kind} {institution}", value)
        return None

    def _by_names(self, names: tuple[str, ...], arrived: Arrived) -> Person:
        own = self._apart(arrived)
        if own:
            asserted = self._asserted(own, arrived)
            contested = self.links.contested(own, asserted)
            return self._listed(own, None, asserted, contested)
        if not names:
            return Person(secrets.token_hex(16))
        first, *others = names
        person = self._led(first, None, None, self._asserted(first, arrived))
        if not person.case:
            for name in others:
                self.links.learn(name, person.id, self._asserted(name, arrived))
        return person

    def _apart(self, arrived: Arrived) -> str | None:
        """Return the upstream's own name where it and the cprUuid lead to two people.

        However weakly that is asserted.
        """
        own = self._own(arrived)
        uuid = self._uuid(arrived.reading)
        if own is None or uuid is None or not self.links.apart(own, uuid):
            return None
        return own

    def _led(
        self,
        name: str,
        cpr: str | None,
        number: str | None,
        asserted: Asserted | None,
    ) -> Person:
        person = self.links.person(
            name, cpr, lambda borrower: self._carries(borrower, number), asserted
        )
        return self._listed(name, cpr, asserted, person)

    def _listed(
        self,
        name: str,
        cpr: str | None,
        asserted: Asserted | None,
        person: Person,
    ) -> Person:
        """Open a case where the links are in doubt, and return ``person``."""
        if person.case:
            self.borrowers.dispute(name, cpr or evidence_of(asserted) or name)
        return person

    def _holder_of(self, number: str) -> Person:
        name = self.links.of_borrower(number)
        person = self.links.person(name, None, lambda linked: linked == number)
        # The library system has verified whose account it is: that is no link that could be wrong.
        return Person(person.id, number, person.case)

    def _asserted(self, name: str, arrived: Arrived) -> Asserted | None:
        """Return what was asserted as evidence that may speak against a link, weak as it may be."""
        reading = arrived.reading
        number = reading.attributes.one("cpr")
        uuid = self._uuid(reading)
        if not number and not uuid:
            return None
        return self.links.asserted(
            name,
            number,
            real=reading.cpr == "real",
            uuid=uuid,
            sure=arrived.decision.may_find_by_cpr,
        )

    def _carries(self, borrower: str, cpr: str | None) -> bool:
        if cpr is None:
            return False
        for found in self.borrowers.look(cpr):
            if found.number == borrower and not found.is_anothers(cpr):
                return True
        return False


def display_name(reading: AttributeReading) -> str:
    """Return the person's name for a mail that says at whose request it comes.

    "" where the upstream named none, or one that is no name.
    """
    attributes = reading.attributes
    parts = [attributes.one("gn"), attributes.one("sn")]
    name = " ".join(part for part in parts if part)
    if not name:
        name = attributes.one("cn") or ""
    return name if clean(name) else ""


def enrollable_cpr(arrived: Arrived) -> str | None:
    """Return the CPR where it may find a borrower.

    It must be a real number, of a person known in person (docs/reference/design.md#find-by-cpr).
    """
    if arrived.reading.cpr != "real" or not arrived.decision.may_find_by_cpr:
        return None
    return arrived.reading.attributes.one("cpr")
