"""Identifiers of our own for a person, under the library's scope: subject-id and pairwise-id.

An upstream's are never passed on: their scope is not ours to speak for. Source: SAML V2.0 Subject
Identifier Attributes Profile 1.0; docs/reference/saml-profiles.md#30.
"""

from collections.abc import Collection
from typing import Final

from broker.core.entities import Service
from broker.core.lookup_hmacs import LookupHmacs

SUBJECT: Final = "subject-id"
PAIRWISE: Final = "pairwise-id"
MINTED: Final = frozenset({SUBJECT, PAIRWISE})
# The identifiers that a service's metadata declines, which then stay here. Metadata takes away and
# never adds: policies release.
_UNWANTED: Final = {"none": MINTED, SUBJECT: frozenset({PAIRWISE}), PAIRWISE: frozenset({SUBJECT})}


def withheld_because(name: str, service: Service, listed: Collection[str]) -> str | None:
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


def minted(naming: LookupHmacs, person: str, service: Service) -> dict[str, str]:
    """Return both identifiers of a person (the stored random id), stable for as long as the key.

    Never made of a name or number. Small letters and digits only, so that services that compare
    without regard to case find the same person.
    """
    if service.scope is None:
        return {}
    hmacs = {
        SUBJECT: naming.of(SUBJECT, person),
        PAIRWISE: naming.of(PAIRWISE, person, service.entity_id),
    }
    ids = {}
    for name, pseudonym in hmacs.items():
        digits = pseudonym.partition(".")[2]
        ids[name] = f"{digits}@{service.scope}"
    return ids
