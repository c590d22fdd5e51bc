"""The person of a login: the one that a number or a name leads to, and the id they go by."""

import secrets
from dataclasses import dataclass
from typing import Final, Protocol

from broker.core.borrowers.borrower import Borrower
from broker.core.entities import Assurance
from broker.core.identity.accepted_text import TextKind, text_fault
from broker.core.identity.canonical_attributes import (
    CPR_ATTRIBUTE,
    CPR_UUID,
    AttributeReading,
    Attributes,
)
from broker.core.identity.rights import has_usable_cpr
from broker.core.login.configured_entities import ConfiguredEntities
from broker.core.login.transaction import Authentication, Person
from broker.core.ports import Key
from broker.use_cases.arrived_login import Arrived
from broker.use_cases.identity.person_links import PersonLinks
from broker.use_cases.records import Reads

# The upstream's own names for a person, steadiest first; a transient NameID names nobody.
NAMES: Final = ("eduPersonPrincipalName", "subject-id", "pairwise-id")
_KINDS: Final = {"eduPersonPrincipalName": "eppn"}


class IdentityCases(Protocol):
    """What staff hear of names and numbers that do not go together; all are pseudonyms."""

    def another_cpr(self, name: str, had: str, cpr: str) -> str | None:
        """List a notice: ``name``, which came with ``had`` before, came with ``cpr``.

        Returns why nobody is let in by ``cpr`` for that, None where they are.
        """
        ...

    def cpr_uuid_differs(self, uuid: str, cpr: str) -> str:
        """List a case: a cprUuid that came with another number came with ``cpr``.

        Returns its id.
        """
        ...


class OwnBorrower(Protocol):
    """The borrower that the library system has under a CPR number."""

    def is_only(self, borrower: Borrower, cpr: str) -> bool:
        """Return whether ``cpr`` finds this borrower alone; raises LibraryUnavailable."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class PersonNames:
    """What leads to the person of a login, each None where it has none; pseudonyms but ``number``.

    ``number`` is the borrower number of a login by the library account. ``uuid`` is the cprUuid,
    the register's own name for the person, and ``own`` the upstream's.
    """

    number: str | None = None
    cpr: str | None = None
    uuid: str | None = None
    own: str | None = None


@dataclass(frozen=True, slots=True)
class PersonResolution:
    """Reads and makes the links of a login; ``cases`` hear where they do not go together."""

    rules: ConfiguredEntities
    links: PersonLinks
    cases: IdentityCases
    borrowers: OwnBorrower

    def names(self, arrived: Arrived) -> PersonNames:
        """Return what leads to the person of a login."""
        number = self._account(arrived)
        if number:
            return PersonNames(number)
        cpr = usable_cpr(arrived)
        return PersonNames(
            cpr=self.links.of_cpr(cpr) if cpr else None,
            uuid=self._uuid(arrived),
            own=self._own(arrived),
        )

    def keys(self, names: PersonNames) -> list[Key]:
        """Return the keys of the links that a login with a CPR number reads."""
        if names.cpr is None:
            return []
        return self.links.keys(names.uuid, names.own, names.cpr)

    def person(self, names: PersonNames, reads: Reads | None = None) -> Person:
        """Return the person; where nothing names them, one that nobody will meet again.

        ``reads`` holds the ``keys`` of these names where the caller has read them.
        """
        if names.number:
            return self._led(self.links.of_borrower(names.number), names.number)
        if names.cpr:
            return self._by_cpr(names, reads or {})
        uuid = names.uuid
        if uuid and self.links.cpr(uuid):
            return self._led(uuid)
        known = self._known_name(uuid, names.own) or uuid or names.own
        if known:
            return Person(self.links.by_name(known))
        return Person(secrets.token_hex(16))

    def known(self, names: PersonNames) -> Person | None:
        """Return the person if a login has left one, and nothing is in doubt; nothing is made."""
        if names.number:
            return self._known_led(self.links.of_borrower(names.number), names.number)
        uuid_cpr = self.links.cpr(names.uuid)
        if names.cpr:
            if uuid_cpr not in {None, names.cpr}:
                return None
            return self._holder(names.cpr)
        if uuid_cpr:
            return self._holder(uuid_cpr)
        name = self._known_name(names.uuid, names.own)
        person = self.links.known_by_name(name)
        return Person(person) if person else None

    def is_named(self, arrived: Arrived) -> bool:
        """Return whether a number or a name leads to the person when they come again."""
        return self.names(arrived) != PersonNames()

    def verified(self, borrower: Borrower) -> None:
        """Note whose account the library system has just verified by its PIN.

        That is the person of the CPR number that the library has on it, where nobody else's account
        has it too: staff may have typed it into a stranger's record, and its holder is not that
        person. The number is the library's own, never what was typed
        (docs/reference/requirements.md#r33). LibraryUnavailable where that cannot be known: a guess
        would cost the person's ids, or give them to a stranger.
        """
        account = self.links.of_borrower(borrower.number)
        cpr = borrower.cpr
        if cpr and not borrower.is_anothers(cpr) and self.borrowers.is_only(borrower, cpr):
            person = self.links.by_cpr(self.links.of_cpr(cpr), account)
            if person and person.name_had:
                # Staff have written another number to it themselves.
                self.links.told(account, person.name_had)
        else:
            self.links.without_cpr(account)

    def asserted(self, answer: Authentication, attributes: Attributes) -> frozenset[str]:
        """Return the pseudonyms of everything in an answer that may name its person.

        More than what leads to a person: also what no policy lets lead there.
        """
        names = {self._own_name(answer, attributes), self._account_name(answer)}
        cpr = attributes.one(CPR_ATTRIBUTE)
        uuid = attributes.one(CPR_UUID)
        if cpr:
            names.add(self.links.of_cpr(cpr))
        if uuid:
            names.add(self._uuid_name(uuid))
        return frozenset(name for name in names if name)

    def lasting(self, answer: Authentication, reading: AttributeReading) -> frozenset[str]:
        """Return those pseudonyms beside the CPR number that no institution gives away again.

        The library account, and the cprUuid where it may stand for the number.
        """
        names = {self._account_name(answer)}
        uuid = reading.attributes.one(CPR_UUID)
        if uuid and _is_sure(reading):
            names.add(self._uuid_name(uuid))
        return frozenset(name for name in names if name)

    def _by_cpr(self, names: PersonNames, reads: Reads) -> Person:
        cpr = names.cpr or ""
        # Before the name leads to the number: whoever comes by that alone, once a process has died
        # between the two, finds what bars it.
        told = self._tell_before(names, cpr, reads)
        person = self.links.by_cpr(cpr, names.own, names.uuid, reads)
        if person is None:
            # The register gives a cprUuid to nobody else: one of the two is wrong, and neither's
            # id or borrower is given (docs/reference/design.md#invariant-6).
            case = self.cases.cpr_uuid_differs(names.uuid or "", cpr)
            return Person(secrets.token_hex(16), None, "cpr_changed", case)
        barred = person.barred or told.get(person.name_had or "")
        if names.own and person.name_had:
            if person.name_had not in told:
                changed = self.cases.another_cpr(names.own, person.name_had, cpr)
                barred = barred or changed
            self.links.told(names.own, person.name_had)
        return Person(person.id, case=barred, led_by=(cpr,))

    def _tell_before(self, names: PersonNames, cpr: str, reads: Reads) -> dict[str, str | None]:
        """Tell staff what numbers the login's name had, before ``cpr`` is written over the last.

        Returns by each why nobody is let in by ``cpr`` for that, None where they are.
        """
        own = names.own
        changes = self.links.changes_of(own, cpr, reads) if own else ()
        if own is None or not changes:
            return {}
        if self.links.cpr(names.uuid) not in {None, cpr}:
            # A number that comes with another's cprUuid is given to no name.
            return {}
        return {had: self.cases.another_cpr(own, had, came) for had, came in changes}

    def _led(self, name: str, number: str | None = None) -> Person:
        """Return the person of a name that stands for its CPR number: nobody else gets the id."""
        cpr = self.links.cpr(name)
        known = self._holder(cpr, number)
        if known:
            return known
        made = self.links.by_cpr(cpr, name) if cpr else None
        found = made or self.links.by_account(name)
        led_by = cpr if cpr and made else name
        return Person(found.id, number, found.barred, led_by=(led_by,))

    def _known_led(self, name: str, number: str) -> Person | None:
        cpr = self.links.cpr(name)
        if cpr:
            return self._holder(cpr, number)
        person = self.links.known_by_name(name)
        account = self.links.holder_of(name)
        if person is None or account is None:
            return None
        return Person(person, number, account.barred, led_by=(name,))

    def _holder(self, cpr: str | None, number: str | None = None) -> Person | None:
        """Return the person of a CPR number (a pseudonym), with why they are not let in."""
        holder = self.links.holder_of(cpr)
        if cpr is None or holder is None:
            return None
        return Person(holder.id, number, holder.barred, led_by=(cpr,))

    def _account(self, arrived: Arrived) -> str | None:
        """Return the borrower number of a login by the library account, or None."""
        authentication = arrived.authentication
        if authentication.upstream not in self.rules.local:
            return None
        return authentication.name_id

    def _account_name(self, answer: Authentication) -> str | None:
        if answer.upstream in self.rules.local and answer.name_id:
            return self.links.of_borrower(answer.name_id)
        return None

    def _known_name(self, *names: str | None) -> str | None:
        for name in names:
            if self.links.known_by_name(name):
                return name
        return None

    def _uuid(self, arrived: Arrived) -> str | None:
        """Return the pseudonym of the cprUuid: the register's own name for the person."""
        reading = arrived.reading
        uuid = reading.attributes.one(CPR_UUID)
        return self._uuid_name(uuid) if uuid and _is_sure(reading) else None

    def _uuid_name(self, uuid: str) -> str:
        bare = uuid.casefold().removeprefix("urn:uuid:")
        return self.links.of_name(CPR_UUID, bare)

    def _own(self, arrived: Arrived) -> str | None:
        """Return the pseudonym of the upstream's own name, good within its institution only.

        Two institutions could assert the same.
        """
        return self._own_name(arrived.authentication, arrived.reading.attributes)

    def _own_name(self, answer: Authentication, attributes: Attributes) -> str | None:
        for name in NAMES:
            value = attributes.one(name)
            if value:
                return self.of_own(name, answer.institution, value)
        return None

    def of_own(self, name: str, institution: str, value: str) -> str:
        """Return the pseudonym of an institution's own name for a person; ``name`` is its kind."""
        return self.links.of_name(f"{_KINDS.get(name, name)} {institution}", value)


def display_name(reading: AttributeReading) -> str:
    """Return the person's name for a mail that says at whose request it comes.

    "" where the upstream named none, or one that is no name.
    """
    attributes = reading.attributes
    parts = [attributes.one("gn"), attributes.one("sn")]
    name = " ".join(part for part in parts if part)
    if not name:
        name = attributes.one("cn") or ""
    if text_fault(name, TextKind.PERSON_NAME):
        return ""
    return name


def usable_cpr(arrived: Arrived) -> str | None:
    """Return the usable CPR number of the login, or None."""
    if not has_usable_cpr(arrived.decision.ground):
        return None
    return arrived.reading.attributes.one(CPR_ATTRIBUTE)


def _is_sure(reading: AttributeReading) -> bool:
    return reading.assurance is not None and reading.assurance >= Assurance.SUBSTANTIAL
