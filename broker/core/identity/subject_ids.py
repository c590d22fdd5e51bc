"""Identifiers of our own for a person, under the library's scope: one for all services, and one for each of them.

An upstream's are never passed on: their scope is not ours to speak for. Source: SAML V2.0 Subject
Identifier Attributes Profile 1.0; saml_profiles.md row 30.
"""

from collections.abc import Collection
from typing import Final

from broker.core.entities import Service
from broker.core.pseudonyms import Pseudonyms

SUBJECT: Final = "subject-id"
PAIRWISE: Final = "pairwise-id"
MINTED: Final = frozenset({SUBJECT, PAIRWISE})
# What a service says of them in its metadata, and which then stay here. It takes away and never
# adds: policies give.
_UNWANTED: Final = {"none": MINTED, SUBJECT: frozenset({PAIRWISE}), PAIRWISE: frozenset({SUBJECT})}


def kept(name: str, service: Service, listed: Collection[str]) -> str | None:
    """Say why ``name`` of MINTED stays here although a policy lists it, or None; ``listed`` is all that it lists."""
    if service.scope is None:
        return "no_scope"
    if name in _UNWANTED.get(service.subject_id_req or "", frozenset()):
        return "not_wanted"
    # Who takes either gets the one by which services cannot tell that it is the same person.
    return (
        "not_wanted"
        if service.subject_id_req == "any" and name == SUBJECT and PAIRWISE in listed
        else None
    )


def minted(naming: Pseudonyms, person: str, service: Service) -> dict[str, str]:
    """Give both for a person (the stored random id): never of a name or number, and the same for as long as the key.

    Small letters and digits only, so that services that compare without regard to case find the
    same person.
    """
    if service.scope is None:
        return {}
    ids = {
        SUBJECT: naming.of(SUBJECT, person),
        PAIRWISE: naming.of(PAIRWISE, person, service.entity_id),
    }
    return {name: f"{each.partition('.')[2]}@{service.scope}" for name, each in ids.items()}
