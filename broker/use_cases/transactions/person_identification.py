"""Computes the person of a login."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from broker.core.borrowers.borrower import Borrower
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
from broker.use_cases.transactions.evaluated_login import EvaluatedLogin


@dataclass(frozen=True, slots=True)
class PersonIdentification:
    """Computes the person who has logged in.

    ``has_borrower`` returns whether the record of a person id names a borrower number.
    """

    hmacs: LookupHmacs
    has_borrower: Callable[[str, str], bool]

    def identify(self, login: EvaluatedLogin) -> Person:
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

    def has_lasting_id(self, login: EvaluatedLogin) -> bool:
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


def usable_cpr(login: EvaluatedLogin) -> str | None:
    """Return the usable CPR number of the login, or None."""
    if not has_usable_cpr(login.decision.ground):
        return None
    return login.reading.attributes.one(CPR_ATTRIBUTE)
