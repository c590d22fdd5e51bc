"""Claims of one person, or of one worker for a while: the first that asks has it."""

import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from broker.core.errors import LibraryUnavailable, StoreUnavailable
from broker.core.identity.mail_addresses import one_mailbox
from broker.core.identity.mailbox_proofs import ProofOwner, Proved
from broker.core.ports import Kept, Key, Store
from broker.core.pseudonyms import Pseudonyms
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


@contextmanager
def pin_lease(
    store: Store,
    pseudonyms: Pseudonyms,
    number: str,
    ends: datetime,
    now: datetime,
) -> Iterator[None]:
    """Be the only one that sets a PIN of this borrower, until ``ends`` at most.

    LibraryUnavailable where another is. Of two that set and mail one at once, the mail that comes
    last may hold the PIN that was set first (docs/reference/design.md#pin-order).
    """
    place = Key("pin", pseudonyms.of("pin-turn", number), "turn")
    token = secrets.token_hex(8)
    if not store.put(place, Kept(b"", token, ends), None, now):
        raise LibraryUnavailable("another PIN of this borrower is being made")
    try:
        yield
    finally:
        # A lease that cannot be dropped ends by itself: the mail that is out must not be sent
        # again for that.
        with suppress(StoreUnavailable):
            kept = store.get(place, now)
            if kept and kept.version == token:
                store.drop(place)
