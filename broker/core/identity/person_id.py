"""The identifiers of a person, computed by keyed hashes: the person id, subject-id and pairwise-id.

A person id is never linked to another. An upstream's subject-id and pairwise-id are never passed
on: their scope is not the library's. Source: SAML V2.0 Subject Identifier Attributes Profile 1.0;
docs/reference/saml-profiles.md#30.
"""

from collections.abc import Collection
from string import ascii_lowercase, ascii_uppercase
from typing import Final

from broker.core.entities import Service
from broker.core.lookup_hmacs import LookupHmacs

NAME_ID: Final = "NameID"
# The identifiers of a login without a usable CPR number. The first that it carries counts.
IDENTIFIER_TYPES: Final = (
    "subject-id",
    "pairwise-id",
    NAME_ID,
    "cprUuid",
    "eduPersonPrincipalName",
)
_LABEL: Final = "person"
# Of ASCII only: casefold makes one identifier of two ("ß" and "ss").
_SMALL: Final = str.maketrans(ascii_uppercase, ascii_lowercase)


def compute_person_id_of_cpr(hmacs: LookupHmacs, cpr: str) -> str:
    """Return the person id of everybody who brings this usable CPR number: one person.

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

    An identifier is good only within its institution: two institutions may assert the same value.
    """
    # Only a NameID distinguishes capitals (SAML V2.0 Subject Identifier Attributes Profile 2.1).
    folded = value if identifier_type == NAME_ID else value.translate(_SMALL)
    return hmacs.compute(_LABEL, "name", upstream, institution, identifier_type, folded)


SUBJECT: Final = "subject-id"
PAIRWISE: Final = "pairwise-id"
MINTED: Final = frozenset({SUBJECT, PAIRWISE})
# The identifiers that a service's metadata declines, which then stay here. Metadata takes away and
# never adds: policies release.
_UNWANTED: Final = {"none": MINTED, SUBJECT: frozenset({PAIRWISE}), PAIRWISE: frozenset({SUBJECT})}


def find_withholding_reason(name: str, service: Service, listed: Collection[str]) -> str | None:
    """Return the reason code why ``name`` of MINTED stays here although a policy lists it, or None.

    ``listed`` is every attribute that the release entry lists.
    """
    if service.scope is None:
        return "no_scope"
    wanted = service.subject_id_req or ""
    if name in _UNWANTED.get(wanted, frozenset()):
        return "not_wanted"
    # A service that takes either gets the one by which services cannot tell that it is the same
    # person.
    if wanted == "any" and name == SUBJECT and PAIRWISE in listed:
        return "not_wanted"
    return None


def compute_service_ids(naming: LookupHmacs, person: str, service: Service) -> dict[str, str]:
    """Return both identifiers of a person (the stored random id), stable for as long as the key.

    Never made of a name or number. Small letters and digits only, so that services that compare
    without regard to case find the same person.
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
