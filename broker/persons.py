"""Who has just logged in: the person that names and numbers lead to, and the name they go by."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.core.attributes import CPR_UUID, Reading
from broker.core.borrower import Borrower
from broker.core.policy import Decision
from broker.core.transaction import Authentication, Person
from broker.core.values import clean
from broker.enrolments import Enrolments
from broker.links import Asserted, Links
from broker.rules import Rules

# The upstream's own names for a person, steadiest first; a transient NameID names nobody.
_NAMES: Final = ("eduPersonPrincipalName", "subject-id", "pairwise-id")
_KINDS: Final = {"eduPersonPrincipalName": "eppn"}


@dataclass(frozen=True, slots=True)
class Persons:
    """Reads the links for an authentication; ``enrolments`` is asked where a link and a CPR disagree."""

    rules: Rules
    links: Links
    enrolments: Enrolments

    def person(self, authentication: Authentication, reading: Reading, decision: Decision) -> Person:
        """Give the person; where nothing names them, one nobody will meet again."""
        if authentication.upstream in self.rules.local:
            return self._borrower(authentication.name_id or "")
        number = real(reading, decision)
        names = self._names(authentication, reading, decision)
        cpr = self.links.of_cpr(number) if number else None
        if cpr is None:
            return self._led(names[0], None, None, reading) if names else Person(secrets.token_hex(16))
        found = self.links.person(None, cpr, lambda _: False) if not names else None
        for name in names:
            found = self._led(name, cpr, number, reading)
            if found.case:
                return found  # one that disagrees is enough, and the others learn nothing from this login
        return found or Person(secrets.token_hex(16))

    def known(self, authentication: Authentication, reading: Reading, decision: Decision) -> Person | None:
        """Give the person if a login has left one; nothing is made, and a link in doubt is nobody's."""
        if authentication.upstream in self.rules.local:
            return self.links.known(self.links.of_borrower(authentication.name_id or ""), None, None)
        number, name = real(reading, decision), self.name(authentication, reading, decision)
        cpr = self.links.of_cpr(number) if number else None
        return self.links.known(name, cpr, self._asserted(name, reading))

    def verified(self, borrower: Borrower) -> None:
        """Note whose account the library system has just verified by its PIN.

        The CPR is the library's own for this borrower, never what was typed (wizard.md R33).
        """
        number = borrower.number
        own = borrower.cpr if borrower.cpr and not borrower.is_anothers(borrower.cpr) else None
        name = self.links.of_borrower(number)
        if own or self.links.cpr(name) is None:
            self.links.person(name, self.links.of_cpr(own) if own else None, lambda linked: linked == number)

    def owner(self, authentication: Authentication, reading: Reading, decision: Decision) -> str | None:
        """Give the pseudonym that this person's proofs are kept under, or None where nothing names them."""
        number = real(reading, decision)
        return self.links.of_cpr(number) if number else self.name(authentication, reading, decision)

    def name(self, authentication: Authentication, reading: Reading, decision: Decision) -> str | None:
        """Give the pseudonym of the name that leads to the person, or None."""
        return next(iter(self._names(authentication, reading, decision)), None)

    def asker(self, authentication: Authentication, now: datetime) -> str:
        """Give what the person is called, for a mail that says who asked; "" where the upstream did not say."""
        attributes = self.rules.reading(authentication, now).attributes
        parts = [attributes.one("gn") or "", attributes.one("sn") or ""]
        called = " ".join(each for each in parts if each) or attributes.one("cn") or ""
        return called if clean(called) else ""

    def _names(self, authentication: Authentication, reading: Reading, decision: Decision) -> tuple[str, ...]:
        """Give the pseudonyms of what the person is called, those that lead to somebody already first.

        The id that a name has had so far is then the one that a new number, and a new name, get.
        """
        attributes, names = reading.attributes, []
        if decision.may_find_by_cpr and (uuid := attributes.one(CPR_UUID)):
            # The register's own name for the person, everywhere the same; only who may be found by CPR may use it.
            names.append(self.links.of_name(CPR_UUID, uuid.casefold().removeprefix("urn:uuid:")))
        own = next((name for name in _NAMES if attributes.one(name)), None)
        if own:
            # An upstream's name is good within its institution only: two could assert the same.
            kind = f"{_KINDS.get(own, own)} {authentication.institution}"
            names.append(self.links.of_name(kind, attributes.one(own) or ""))
        if len(names) > 1:
            names.sort(key=lambda name: self.links.known(name, None, None) is None)
        return tuple(names)

    def _led(self, name: str, cpr: str | None, number: str | None, reading: Reading) -> Person:
        asserted = self._asserted(name, reading)
        person = self.links.person(name, cpr, lambda borrower: self._carries(borrower, number), asserted)
        if person.case:
            self.enrolments.dispute(name, cpr or (asserted.number if asserted else name), person.number)
        return person

    def _borrower(self, number: str) -> Person:
        name = self.links.of_borrower(number)
        found = self.links.person(name, None, lambda linked: linked == number)
        # The library system has said whose account it is: that is no link that could be wrong.
        return Person(found.id, number, found.case)

    def _asserted(self, name: str | None, reading: Reading) -> Asserted | None:
        """Give the number that was asserted, too weak to find a borrower or not, as what may speak against a link."""
        number = reading.attributes.one("cpr")
        return self.links.asserted(name, number, real=reading.cpr == "real") if name and number else None

    def _carries(self, borrower: str, cpr: str | None) -> bool:
        if cpr is None:
            return False
        return any(each.number == borrower and not each.is_anothers(cpr) for each in self.enrolments.look(cpr))


def real(reading: Reading, decision: Decision) -> str | None:
    """Give the CPR where it may find a borrower: a real number, of a person known in person (design 5)."""
    return reading.attributes.one("cpr") if reading.cpr == "real" and decision.may_find_by_cpr else None
