"""The identifiers of a person, computed by keyed hashes: the person id, subject-id and pairwise-id.

A person id is never linked to another. An upstream's subject-id and pairwise-id are never passed
on: their scope is not the library's. Source: SAML V2.0 Subject Identifier Attributes Profile 1.0;
docs/reference/saml-profiles.md#30.
"""

from collections.abc import Collection
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase
from typing import Final

from broker.core.entities import Names, Service
from broker.core.lookup_hmacs import LookupHmacs

NAME_ID: Final = "NameID"
# The identifiers of a login without a usable CPR number, in order of preference.
IDENTIFIER_TYPES: Final = (
    "subject-id",
    "pairwise-id",
    NAME_ID,
    "cprUuid",
    "eduPersonPrincipalName",
)
_LABEL: Final = "person"
# For ASCII letters only: ``casefold`` would turn "ß" and "ss" into the same identifier.
_SMALL: Final = str.maketrans(ascii_uppercase, ascii_lowercase)


@dataclass(frozen=True, slots=True, repr=False)
class PersonIds:
    """The person ids and borrower numbers that lead to the records of one person."""

    ids: Names
    borrower_numbers: Names = ()


def compute_person_id_of_cpr(hmacs: LookupHmacs, cpr: str) -> str:
    """Return the person id that belongs to a usable CPR number.

    The same CPR number is the same person through every upstream.
    """
    return hmacs.compute(_LABEL, "cpr", cpr)


def compute_person_id_of_borrower(hmacs: LookupHmacs, borrower_number: str) -> str:
    """Return the person id of a login with the library account of a borrower."""
    return hmacs.compute(_LABEL, "library", borrower_number)


def compute_person_id_of_identifier(
    hmacs: LookupHmacs, upstream: str, institution: str, identifier_type: str, value: str
) -> str:
    """Return the person id of a login without a usable CPR number, by its identifier.

    An identifier is unique only within its institution: two institutions may assert the same value.
    """
    # Only a NameID distinguishes capitals (SAML V2.0 Subject Identifier Attributes Profile 2.1).
    folded = value if identifier_type == NAME_ID else value.translate(_SMALL)
    return hmacs.compute(_LABEL, "name", upstream, institution, identifier_type, folded)


SUBJECT: Final = "subject-id"
PAIRWISE: Final = "pairwise-id"
SUBJECT_IDENTIFIERS: Final = frozenset({SUBJECT, PAIRWISE})
# The identifiers that are withheld from a service, by the subject-id:req of its metadata. Metadata
# can only withhold an identifier; only a policy can release one.
_WITHHELD_BY_REQUEST: Final = {
    "none": SUBJECT_IDENTIFIERS,
    SUBJECT: frozenset({PAIRWISE}),
    PAIRWISE: frozenset({SUBJECT}),
}


def find_withholding_reason(name: str, service: Service, listed: Collection[str]) -> str | None:
    """Return the reason code if ``name`` is withheld although a policy lists it, or None.

    ``name`` is one of SUBJECT_IDENTIFIERS. ``listed`` is every attribute of the release entry.
    """
    if service.scope is None:
        return "no_scope"
    wanted = service.subject_id_req or ""
    if name in _WITHHELD_BY_REQUEST.get(wanted, frozenset()):
        return "not_wanted"
    # A service that accepts either identifier gets the pairwise-id, so that services cannot
    # correlate a person.
    if wanted == "any" and name == SUBJECT and PAIRWISE in listed:
        return "not_wanted"
    return None


def compute_service_ids(naming: LookupHmacs, person: str, service: Service) -> dict[str, str]:
    """Return the subject-id and pairwise-id of a person at a service; empty without a scope.

    ``person`` is the stored random id, never a name or number. The identifiers stay the same as
    long as the key of ``naming``. They have lower-case letters and digits only, so that a service
    that ignores case finds the same person.
    """
    if service.scope is None:
        return {}
    hmacs = {
        SUBJECT: naming.compute(SUBJECT, person),
        PAIRWISE: naming.compute(PAIRWISE, person, service.entity_id),
    }
    ids = {}
    for name, pseudonym in hmacs.items():
        digits = pseudonym.partition(".")[2]
        ids[name] = f"{digits}@{service.scope}"
    return ids
