"""The ownership of a proof: of many persons that ask at once, the first has it."""

from datetime import datetime

from broker.core.identity.mail_addresses import one_mailbox
from broker.core.identity.mailbox_proofs import ProofOwner, Proved
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, Store
from broker.use_cases.records import Content, Record, Records


def mailbox_place(hmacs: LookupHmacs, proved: Proved) -> Key:
    """Return where the owner of the mailbox that ``proved`` shows is kept."""
    mark = hmacs.of("proof address", proved.name, one_mailbox(proved.address))
    return Key("proof", mark)


def claim_ownership(
    store: Store, place: Key, claim: ProofOwner, until: datetime, now: datetime
) -> bool:
    """Return whether what ``place`` stands for is the claim's owner's from now on.

    Of many who ask at once one has it.
    """

    def claimed(record: Record[ProofOwner] | None) -> Content[ProofOwner] | None:
        if record and record.value.owner != claim.owner:
            return None
        return Content(claim, until)

    claims = Records(store, ProofOwner, durable=True)
    return claims.amend(place, claimed, now).written


def keep_proof(store: Store, proved: Proved, owner: str, now: datetime) -> None:
    """Store what ``owner`` has proved, in place of what the same proof said before."""
    content = Content(proved, proved.until)
    place = Key("proof", owner, proved.name)
    proofs = Records(store, Proved, durable=True)
    proofs.amend(place, lambda _: content, now)


def list_proofs(store: Store, owner: str, now: datetime) -> tuple[Proved, ...]:
    """Return what ``owner`` has proved."""
    return tuple(record.value for record in Records(store, Proved).list("proof", owner, now))


def drop_proof(store: Store, hmacs: LookupHmacs, owner: str, name: str, now: datetime) -> None:
    """Remove a proof of ``owner``, and let another person prove the mailbox."""
    proofs, claims = Records(store, Proved), Records(store, ProofOwner)
    proof = proofs.get(Key("proof", owner, name), now)
    if proof is None:
        return
    place = mailbox_place(hmacs, proof.value)
    claim = claims.get(place, now)
    proofs.drop(proof.key)
    if claim is not None and claim.value.owner == owner:
        claims.drop(place)


def move_proofs(
    store: Store,
    hmacs: LookupHmacs,
    old: str,
    owner: str,
    now: datetime,
    *,
    since: datetime | None = None,
) -> None:
    """Give ``owner`` what is kept as proved under ``old``; both are pseudonyms of one person.

    What was proved before ``since`` is not theirs. A proof of ``owner``'s own stays.
    """
    proofs = Records(store, Proved, durable=True)
    for record in tuple(proofs.list("proof", old, now)):
        proved = record.value
        if since and proved.at < since:
            continue
        proofs.add(Key("proof", owner, proved.name), proved, proved.until, now)
        _move_claim(store, mailbox_place(hmacs, proved), old, owner, now)
        proofs.drop(record.key)


def _move_claim(store: Store, place: Key, old: str, owner: str, now: datetime) -> None:
    def moved(record: Record[ProofOwner] | None) -> Content[ProofOwner] | None:
        if record is None or record.value.owner != old:
            return None
        return Content(ProofOwner(owner, record.value.name), record.until)

    Records(store, ProofOwner, durable=True).amend(place, moved, now)
