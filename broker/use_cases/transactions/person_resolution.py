"""Computes the person of a login, and stores the fingerprint of the keys for person ids."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.core.borrowers.borrower import Borrower
from broker.core.identity.accepted_text import TextKind, find_text_fault
from broker.core.identity.canonical_attributes import CPR_ATTRIBUTE, AttributeReading
from broker.core.identity.cpr import CprKind, classify
from broker.core.identity.person_id import (
    IDENTIFIER_TYPES,
    NAME_ID,
    compute_person_id_of_borrower,
    compute_person_id_of_cpr,
    compute_person_id_of_identifier,
)
from broker.core.identity.rights import Ground, has_usable_cpr
from broker.core.login.transaction import Authentication, Person
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, Store
from broker.core.retention import PERSON_KEYS
from broker.use_cases.storage.records import Records
from broker.use_cases.transactions.evaluated_login import EvaluatedLogin

_FINGERPRINT_KEY: Final = Key("index", "person keys")


@dataclass(frozen=True, slots=True)
class KeyFingerprint:
    """The keyed hashes of a fixed text, which are different with other keys."""

    value: str


def has_other_keys(store: Store, fingerprint: str, now: datetime) -> bool:
    """Return whether the store was used with other keys for person ids.

    With other keys, every person would get another person id. A store without a fingerprint gets
    this one. Raises StoreUnavailable if the store does not answer.
    """
    records = Records(store, KeyFingerprint, durable=True)
    own = KeyFingerprint(fingerprint)
    if records.add(_FINGERPRINT_KEY, own, PERSON_KEYS.until(now), now):
        return False
    stored = records.get(_FINGERPRINT_KEY, now)
    return stored is not None and stored.value != own


@dataclass(frozen=True, slots=True)
class PersonResolution:
    """Computes who has logged in.

    ``has_borrower`` returns whether the record of a person id names a borrower number.
    """

    hmacs: LookupHmacs
    has_borrower: Callable[[str, str], bool]

    def find(self, login: EvaluatedLogin) -> Person:
        """Return the person. A login without an identifier gets a new id at each arrival.

        A login with the library account has the person id of its borrower number. It has that of
        the CPR number in the borrower's record only if that person has logged in with the CPR
        number and was led to this borrower.
        """
        person_id = self._compute(login)
        if person_id is None:
            # Two people may log in one after the other in a transaction.
            arrival = login.transaction.arrival or ""
            return Person(self.hmacs.compute("nobody", login.transaction.id, arrival))
        if login.reading.ground is not Ground.LIBRARY_ACCOUNT:
            return Person(person_id)
        number, holder = login.authentication.name_id, login.authentication.cpr_person_id
        if number and holder and self.has_borrower(holder, number):
            return Person(holder, number)
        return Person(person_id, number)

    def find_cpr_person_of(self, borrower: Borrower, now: datetime) -> str | None:
        """Return the person id of the CPR number in a borrower's record, or None.

        The number must be real and agree with the birth date in the record.
        """
        cpr = borrower.cpr
        if (
            cpr is None
            or borrower.has_other_birth_date(cpr)
            or classify(cpr, now.date()) is not CprKind.REAL
        ):
            return None
        return compute_person_id_of_cpr(self.hmacs, cpr)

    def is_named(self, login: EvaluatedLogin) -> bool:
        """Return whether the login carries an identifier by which a later login has the same id."""
        return self._compute(login) is not None

    def _compute(self, login: EvaluatedLogin) -> str | None:
        return compute_person_id(self.hmacs, login.authentication, login.reading)


def compute_person_id(
    hmacs: LookupHmacs, authentication: Authentication, reading: AttributeReading
) -> str | None:
    """Return the person id of a login; None if the login carries no identifier.

    It is computed from the usable CPR number, else from the borrower number of a login with the
    library account, else from the first identifier of ``IDENTIFIER_TYPES``. A NameID counts only if
    it is persistent.
    """
    cpr, name_id = reading.attributes.one(CPR_ATTRIBUTE), authentication.persistent_name_id
    if cpr and has_usable_cpr(reading.ground):
        return compute_person_id_of_cpr(hmacs, cpr)
    if name_id and reading.ground is Ground.LIBRARY_ACCOUNT:
        return compute_person_id_of_borrower(hmacs, name_id)
    upstream, institution = authentication.upstream, authentication.institution
    for identifier_type in IDENTIFIER_TYPES:
        is_name_id = identifier_type == NAME_ID
        value = name_id if is_name_id else reading.attributes.one(identifier_type)
        if value:
            return compute_person_id_of_identifier(
                hmacs, upstream, institution, identifier_type, value
            )
    return None


def display_name(reading: AttributeReading) -> str:
    """Return the person's name, for a mail that says who asked for it.

    "" if the upstream sent no name, or a text that cannot be one.
    """
    attributes = reading.attributes
    parts = [attributes.one("gn"), attributes.one("sn")]
    name = " ".join(part for part in parts if part)
    if not name:
        name = attributes.one("cn") or ""
    if find_text_fault(name, TextKind.PERSON_NAME):
        return ""
    return name


def usable_cpr(login: EvaluatedLogin) -> str | None:
    """Return the usable CPR number of the login, or None."""
    if not has_usable_cpr(login.decision.ground):
        return None
    return login.reading.attributes.one(CPR_ATTRIBUTE)
