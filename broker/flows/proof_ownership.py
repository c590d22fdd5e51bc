"""The ownership of a proof: of many persons that ask at once, the first has it."""

from collections.abc import Collection
from datetime import datetime

from broker.core.identity.mail_addresses import one_mailbox
from broker.core.identity.mailbox_proofs import ProofOwner, Proved
from broker.core.ports import Key, Store
from broker.flows.records import Content, Record, Records


def claim_ownership(
    store: Store,
    place: Key,
    claim: ProofOwner,
    until: datetime,
    now: datetime,
    *,
    mine: Collection[str] = (),
) -> bool:
    """Return whether what ``place`` stands for is the claim's owner's from now on.

    Of many who ask at once one has it. ``mine`` are the same person's other pseudonyms: a claim of
    theirs moves.
    """
    own = {claim.owner, *mine}

    def claimed(record: Record[ProofOwner] | None) -> Content[ProofOwner] | None:
        if record and record.value.owner not in own:
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


def drop_replaced_proofs(
    store: Store,
    proved: Proved,
    olds: Collection[str],
    now: datetime,
) -> None:
    """Drop the same proof of the person's other pseudonyms.

    What staff take away must not be left under one of them.
    """
    proofs = Records(store, Proved)
    mailbox = one_mailbox(proved.address)
    for owner in olds:
        record = proofs.get(Key("proof", owner, proved.name), now)
        if record and one_mailbox(record.value.address) == mailbox:
            proofs.drop(record.key)
