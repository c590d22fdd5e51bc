"""The proof that a mailbox is the person's own, and their verified mail address.

A policy may release the verified address as the person's identifier.
An address that an upstream only passes on was typed by its user and proves nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.core.entities import Assurance, Institution
from broker.core.identity.attribute_values import is_in_scope
from broker.core.identity.cpr import looks_like_cpr
from broker.core.identity.mail_addresses import normalize_address

# The proof of an address to write to, in any domain; every other name is a policy file's.
MAIL_PROOF: Final = "mail"


@dataclass(frozen=True, slots=True, repr=False)
class MailboxProof:
    """The proof that the person reads the mail of ``address``, valid until ``until``.

    ``name`` is the name of the proof in the policies.
    """

    name: str
    address: str
    at: datetime
    until: datetime

    @property
    def domain(self) -> str:
        """Return the part of the address after its last "@"."""
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True, repr=False)
class MailedAddress:
    """The address that a code was mailed to in this login, and when the code expires."""

    name: str
    address: str
    until: datetime


_UNSURE: Final = frozenset({None, Assurance.SELF_ASSERTED})


def find_asserted_address(
    mails: Iterable[str],
    assurance: Assurance | None,
    institution: Institution | None,
    others: Iterable[Institution] = (),
) -> str | None:
    """Return the address in one of the institution's own domains, or None.

    A subdomain of its scope may be the scope of one of ``others`` (``lib.au.dk`` below ``au.dk``):
    it cannot vouch for addresses there. Of several addresses the alphabetically first counts, so
    that the next login finds the same one. At a self-asserted level, and at a national eID, the
    person typed the address.
    """
    if institution is None or institution.national_eid:
        return None
    if assurance in _UNSURE:
        return None
    own = []
    for written in mails:
        address = normalize_address(written)
        if address is None:
            continue
        if is_in_scope(address, "sub", institution.scopes):
            own.append(address)
    theirs = [scope for other in others if own for scope in _narrower(other, institution)]
    return _first_without_cpr(address for address in own if not is_in_scope(address, "sub", theirs))


def _narrower(other: Institution, institution: Institution) -> Iterator[str]:
    """Yield the scopes of another institution that lie below one of this one's."""
    if other.entity_id == institution.entity_id:
        return
    for scope in other.scopes:
        below = any(scope.endswith(f".{own}") for own in institution.scopes)
        if below and scope not in institution.scopes:
            yield scope


def find_proved_address(proofs: Iterable[MailboxProof], now: datetime) -> str | None:
    """Return the address of a valid proof, the alphabetically first; or None.

    The proof of a contact address is left out, because two people may share a mailbox. A proof that
    a policy names belongs to one person.
    """
    live = (proof for proof in proofs if proof.until > now)
    return _first_without_cpr(proof.address for proof in live if proof.name != MAIL_PROOF)


def _first_without_cpr(addresses: Iterable[str]) -> str | None:
    usable = (address for address in addresses if not looks_like_cpr(address))
    return min(usable, default=None)
