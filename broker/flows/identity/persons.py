"""The person of a login: the one that names and numbers lead to, and the name they go by."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from broker.core.borrowers.borrower import Borrower
from broker.core.identity.attribute_values import clean
from broker.core.identity.attributes import CPR_UUID, AttributeReading
from broker.core.identity.link_evidence import Asserted
from broker.core.login.configured_entities import ConfiguredEntities
from broker.core.login.transaction import Person
from broker.flows.arrived import Arrived
from broker.flows.identity.person_links import PersonLinks

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
class Persons:
    """Reads the links for a login; ``borrowers`` are asked where a link and a CPR number disagree."""

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
            person = self._led(name, cpr, number, self._asserted(name, arrived))
            if person.case:
                # one that disagrees is enough, and the others learn nothing from this login
                break
        return person

    def known(self, arrived: Arrived) -> Person | None:
        """Return the person if a login has left one; nothing is made, and a link in doubt is nobody's."""
        if self._is_local(arrived):
            number = arrived.authentication.name_id or ""
            return self.links.known(self.links.of_borrower(number), None, None)
        name = self.name(arrived)
        asserted = self._asserted(name, arrived) if name else None
        cpr = enrollable_cpr(arrived)
        if cpr:
            return self.links.known(name, self.links.of_cpr(cpr), asserted)
        if self._apart(arrived):
            return None
        return self.links.known(name, None, asserted)

    def verified(self, borrower: Borrower) -> None:
        """Note whose account the library system has just verified by its PIN.

        The CPR is the library's own for this borrower, never what was typed (wizard.md R33).
        """
        number = borrower.number
        name, cpr = self.links.of_borrower(number), self._cpr_of(borrower)
        before = self.links.cpr(name)
        if before not in {None, cpr} and (cpr or self.links.number(name) != number):
            # Staff had another's CPR on this record: its holder is not that person, whose
            # NameIDs are their own.
            self.links.forget(name, sure=True)
            before = None
        if cpr or before is None:
            self.links.person(name, cpr, lambda linked: linked == number)

    def owner(self, arrived: Arrived) -> str | None:
        """Return the pseudonym that this person's proofs are kept under, or None where nothing names them."""
        number = enrollable_cpr(arrived)
        return self.links.of_cpr(number) if number else self.name(arrived)

    def owned_since(self, arrived: Arrived) -> datetime | None:
        """Return from when on what is kept under ``owner`` is this person's; None where the name is in doubt.

        The next holder of a name has proved nothing by what the last one did.
        """
        name = None if enrollable_cpr(arrived) else self.name(arrived)
        link = self.links.link(name) if name else None
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
        person = self.known(arrived)
        names = self._names_of(person, arrived) if person else []
        cprs = [cpr for name in names if (cpr := self.links.cpr(name))]
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
        # Two with one CPR: staff may have typed it into a stranger's record, whose holder is not
        # the person for that.
        return cpr if self.borrowers.read(linked) is None else None

    def _names_of(self, person: Person, arrived: Arrived) -> list[str]:
        names = []
        for name in self._names(arrived):
            led = self.links.known(name, None, self._asserted(name, arrived))
            if led and led.id == person.id:
                names.append(name)
        return names

    def _names(self, arrived: Arrived) -> tuple[str, ...]:
        """Return the pseudonyms of the person's names, those that lead to somebody already first.

        The id that a name has had so far is then the one that a new number, and a new name, get.
        """
        # The register's own name for the person, everywhere the same; only a person who may be
        # found by CPR may use it.
        uuid = self._uuid(arrived.reading) if arrived.decision.may_find_by_cpr else None
        names = [name for name in (uuid, self._own(arrived)) if name]
        if len(names) > 1:
            names.sort(key=self._unfamiliarity)
        return tuple(names)

    def _unfamiliarity(self, name: str) -> tuple[bool, bool]:
        leads_nowhere = self.links.known(name, None, None) is None
        return leads_nowhere, self.links.cpr(name) is None

    def _uuid(self, reading: AttributeReading) -> str | None:
        uuid = reading.attributes.one(CPR_UUID)
        if uuid is None:
            return None
        return self.links.of_name(CPR_UUID, uuid.casefold().removeprefix("urn:uuid:"))

    def _own(self, arrived: Arrived) -> str | None:
        """Return the pseudonym of the upstream's own name, which is good within its institution only.

        Two institutions could assert the same.
        """
        for name in _NAMES:
            value = arrived.reading.attributes.one(name)
            if value:
                kind = f"{_KINDS.get(name, name)} {arrived.authentication.institution}"
                return self.links.of_name(kind, value)
        return None

    def _by_names(self, names: tuple[str, ...], arrived: Arrived) -> Person:
        own = self._apart(arrived)
        if own:
            asserted = self._asserted(own, arrived)
            return self._listed(own, None, asserted, self.links.contested(own, asserted))
        if not names:
            return Person(secrets.token_hex(16))
        person = self._led(names[0], None, None, self._asserted(names[0], arrived))
        if not person.case:
            for name in names[1:]:
                self.links.learn(name, person.id, self._asserted(name, arrived))
        return person

    def _apart(self, arrived: Arrived) -> str | None:
        """Return the upstream's own name where it and the cprUuid lead to two people.

        However weakly that is asserted.
        """
        own, uuid = self._own(arrived), self._uuid(arrived.reading)
        if own is None or uuid is None:
            return None
        return own if self.links.apart(own, uuid) else None

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
            evidence = (asserted.number or asserted.uuid) if asserted else None
            self.borrowers.dispute(name, cpr or evidence or name)
        return person

    def _holder_of(self, number: str) -> Person:
        name = self.links.of_borrower(number)
        person = self.links.person(name, None, lambda linked: linked == number)
        # The library system has verified whose account it is: that is no link that could be wrong.
        return Person(person.id, number, person.case)

    def _asserted(self, name: str, arrived: Arrived) -> Asserted | None:
        """Return what was asserted as evidence that may speak against a link, weak as it may be."""
        reading = arrived.reading
        number, uuid = reading.attributes.one("cpr"), self._uuid(reading)
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
    parts = [attributes.one("gn") or "", attributes.one("sn") or ""]
    name = " ".join(part for part in parts if part) or attributes.one("cn") or ""
    return name if clean(name) else ""


def enrollable_cpr(arrived: Arrived) -> str | None:
    """Return the CPR where it may find a borrower: a real number, of a person known in person (design 5)."""
    if arrived.reading.cpr != "real" or not arrived.decision.may_find_by_cpr:
        return None
    return arrived.reading.attributes.one("cpr")
