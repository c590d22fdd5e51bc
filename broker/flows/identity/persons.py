"""Who has just logged in: the person that names and numbers lead to, and the name they go by."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from broker.core.borrowers.borrower import Borrower
from broker.core.identity.attribute_values import clean
from broker.core.identity.attributes import CPR_UUID, AttributeReading
from broker.core.identity.link_evidence import Asserted
from broker.core.login.configured_entities import ConfiguredEntities
from broker.core.login.transaction import Authentication, Person
from broker.core.policy.model import Decision
from broker.flows.identity.person_links import PersonLinks

# The upstream's own names for a person, steadiest first; a transient NameID names nobody.
_NAMES: Final = ("eduPersonPrincipalName", "subject-id", "pairwise-id")
_EVER: Final = datetime.min.replace(tzinfo=UTC)
_KINDS: Final = {"eduPersonPrincipalName": "eppn"}


class KnownBorrowers(Protocol):
    """The borrowers of the library system, as far as a doubt about a person needs them."""

    def look(self, cpr: str) -> tuple[Borrower, ...]:
        """Return the borrowers that carry a CPR number; raises ``LibraryUnavailable``."""

    def read(self, number: str) -> Borrower | None:
        """Return the borrower of a borrower number, or None; raises ``LibraryUnavailable``."""

    def dispute(self, name: str, cpr: str, number: str | None = None) -> object:
        """Open a case for staff: a name and a CPR number lead to different borrowers."""


@dataclass(frozen=True, slots=True)
class Persons:
    """Reads the links for an authentication; ``borrowers`` are asked where a link and a CPR number disagree."""

    rules: ConfiguredEntities
    links: PersonLinks
    borrowers: KnownBorrowers

    def person(
        self, authentication: Authentication, reading: AttributeReading, decision: Decision
    ) -> Person:
        """Give the person; where nothing names them, one nobody will meet again."""
        if authentication.upstream in self.rules.local:
            return self._borrower(authentication.name_id or "")
        number = enrollable_cpr(reading, decision)
        names = self._names(authentication, reading, decision)
        cpr = self.links.of_cpr(number) if number else None
        if cpr is None:
            return self._by_names(names, authentication, reading, decision)
        found = self.links.person(None, cpr, lambda _: False) if not names else None
        for name in names:
            found = self._led(name, cpr, number, self._asserted(name, reading, decision))
            if found.case:
                # one that disagrees is enough, and the others learn nothing from this login
                return found
        return found or Person(secrets.token_hex(16))

    def known(
        self, authentication: Authentication, reading: AttributeReading, decision: Decision
    ) -> Person | None:
        """Give the person if a login has left one; nothing is made, and a link in doubt is nobody's."""
        if authentication.upstream in self.rules.local:
            return self.links.known(
                self.links.of_borrower(authentication.name_id or ""), None, None
            )
        number, name = (
            enrollable_cpr(reading, decision),
            self.name(authentication, reading, decision),
        )
        if number is None and self._apart(authentication, reading):
            return None
        cpr = self.links.of_cpr(number) if number else None
        return self.links.known(
            name, cpr, self._asserted(name, reading, decision) if name else None
        )

    def verified(self, borrower: Borrower) -> None:
        """Note whose account the library system has just verified by its PIN.

        The CPR is the library's own for this borrower, never what was typed (wizard.md R33).
        """
        number = borrower.number
        name, cpr = self.links.of_borrower(number), self._cpr_of(borrower)
        before = self.links.cpr(name)
        if before not in {None, cpr} and (cpr or self.links.number(name) != number):
            # The desk had another's CPR on this record: its holder is not that person, whose
            # NameIDs are their own.
            self.links.forget(name, sure=True)
            before = None
        if cpr or before is None:
            self.links.person(name, cpr, lambda linked: linked == number)

    def _cpr_of(self, borrower: Borrower) -> str | None:
        """Give the pseudonym of the CPR that a borrower has, unless its person has another borrower that is there.

        LibraryUnavailable where that cannot be said: a guess would cost the person's ids, or give
        them to a stranger.
        """
        if borrower.cpr is None or borrower.is_anothers(borrower.cpr):
            return None
        cpr = self.links.of_cpr(borrower.cpr)
        linked = self.links.number(cpr)
        # Two with one CPR: the desk may have typed it into a stranger's record, who is not the
        # person for that.
        return (
            cpr
            if linked in {None, borrower.number} or self.borrowers.read(linked or "") is None
            else None
        )

    def owner(
        self, authentication: Authentication, reading: AttributeReading, decision: Decision
    ) -> str | None:
        """Give the pseudonym that this person's proofs are kept under, or None where nothing names them."""
        number = enrollable_cpr(reading, decision)
        return self.links.of_cpr(number) if number else self.name(authentication, reading, decision)

    def owned_since(
        self, authentication: Authentication, reading: AttributeReading, decision: Decision
    ) -> datetime | None:
        """Give from when on what is kept under ``owner`` is this person's; None where the name is in doubt.

        The next holder of a name has proved nothing by what the last one did.
        """
        name = (
            None
            if enrollable_cpr(reading, decision)
            else self.name(authentication, reading, decision)
        )
        link = self.links.link(name) if name else None
        if link and self.known(authentication, reading, decision) is None:
            return None
        return link.since or _EVER if link else _EVER

    def owners(
        self, authentication: Authentication, reading: AttributeReading, decision: Decision
    ) -> tuple[str, ...]:
        """Give ``owner``, and the names and the CPR of whom this login leads to, by links that nothing speaks against.

        Who proved a mailbox without a CPR is no second person once the CPR comes, nor the other way
        round.
        """
        owner, me = (
            self.owner(authentication, reading, decision),
            self.known(authentication, reading, decision),
        )
        if owner is None or me is None:
            return (owner,) if owner else ()
        names = [
            name
            for name in self._names(authentication, reading, decision)
            if (led := self.links.known(name, None, self._asserted(name, reading, decision)))
            and led.id == me.id
        ]
        own = [*names, *(cpr for name in names if (cpr := self.links.cpr(name)))]
        return (owner, *(each for each in dict.fromkeys(own) if each != owner))

    def name(
        self, authentication: Authentication, reading: AttributeReading, decision: Decision
    ) -> str | None:
        """Give the pseudonym of the name that leads to the person, or None."""
        return next(iter(self._names(authentication, reading, decision)), None)

    def asker(self, authentication: Authentication, now: datetime) -> str:
        """Give what the person is called, for a mail that says who asked; "" where the upstream did not say."""
        attributes = self.rules.reading(authentication, now).attributes
        parts = [attributes.one("gn") or "", attributes.one("sn") or ""]
        called = " ".join(each for each in parts if each) or attributes.one("cn") or ""
        return called if clean(called) else ""

    def _names(
        self, authentication: Authentication, reading: AttributeReading, decision: Decision
    ) -> tuple[str, ...]:
        """Give the pseudonyms of what the person is called, those that lead to somebody already first.

        The id that a name has had so far is then the one that a new number, and a new name, get.
        """
        # The register's own name for the person, everywhere the same; only who may be found by CPR
        # may use it.
        uuid = self._uuid(reading) if decision.may_find_by_cpr else None
        names = [name for name in (uuid, self._own(authentication, reading)) if name]
        if len(names) > 1:
            names.sort(
                key=lambda name: (
                    self.links.known(name, None, None) is None,
                    self.links.cpr(name) is None,
                )
            )
        return tuple(names)

    def _uuid(self, reading: AttributeReading) -> str | None:
        uuid = reading.attributes.one(CPR_UUID)
        return (
            self.links.of_name(CPR_UUID, uuid.casefold().removeprefix("urn:uuid:"))
            if uuid
            else None
        )

    def _own(self, authentication: Authentication, reading: AttributeReading) -> str | None:
        """Give the pseudonym of the upstream's own name, which is good within its institution only.

        Two institutions could assert the same.
        """
        own = next((name for name in _NAMES if reading.attributes.one(name)), None)
        if own is None:
            return None
        kind = f"{_KINDS.get(own, own)} {authentication.institution}"
        return self.links.of_name(kind, reading.attributes.one(own) or "")

    def _by_names(
        self,
        names: tuple[str, ...],
        authentication: Authentication,
        reading: AttributeReading,
        decision: Decision,
    ) -> Person:
        own = self._apart(authentication, reading)
        if own:
            asserted = self._asserted(own, reading, decision)
            return self._listed(own, None, asserted, self.links.contested(own, asserted))
        if not names:
            return Person(secrets.token_hex(16))
        found = self._led(names[0], None, None, self._asserted(names[0], reading, decision))
        for name in () if found.case else names[1:]:
            self.links.learn(name, found.id, self._asserted(name, reading, decision))
        return found

    def _apart(self, authentication: Authentication, reading: AttributeReading) -> str | None:
        """Give the upstream's own name where it and the cprUuid lead to two people, however weakly that is asserted."""
        own, uuid = self._own(authentication, reading), self._uuid(reading)
        return own if own and uuid and self.links.apart(own, uuid) else None

    def _led(
        self, name: str, cpr: str | None, number: str | None, asserted: Asserted | None
    ) -> Person:
        person = self.links.person(
            name, cpr, lambda borrower: self._carries(borrower, number), asserted
        )
        return self._listed(name, cpr, asserted, person)

    def _listed(
        self, name: str, cpr: str | None, asserted: Asserted | None, person: Person
    ) -> Person:
        if person.case:
            told = (asserted.number or asserted.uuid) if asserted else None
            self.borrowers.dispute(name, cpr or told or name, person.number)
        return person

    def _borrower(self, number: str) -> Person:
        name = self.links.of_borrower(number)
        found = self.links.person(name, None, lambda linked: linked == number)
        # The library system has said whose account it is: that is no link that could be wrong.
        return Person(found.id, number, found.case)

    def _asserted(
        self, name: str, reading: AttributeReading, decision: Decision
    ) -> Asserted | None:
        """Give what was asserted, too weak to find a borrower or not, as what may speak against a link."""
        number, uuid, real = (
            reading.attributes.one("cpr"),
            self._uuid(reading),
            reading.cpr == "real",
        )
        sure = decision.may_find_by_cpr
        return (
            self.links.asserted(name, number, real=real, uuid=uuid, sure=sure)
            if number or uuid
            else None
        )

    def _carries(self, borrower: str, cpr: str | None) -> bool:
        if cpr is None:
            return False
        return any(
            each.number == borrower and not each.is_anothers(cpr)
            for each in self.borrowers.look(cpr)
        )


def enrollable_cpr(reading: AttributeReading, decision: Decision) -> str | None:
    """Give the CPR where it may find a borrower: a real number, of a person known in person (design 5)."""
    return (
        reading.attributes.one("cpr")
        if reading.cpr == "real" and decision.may_find_by_cpr
        else None
    )
