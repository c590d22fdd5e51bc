"""What is one person's, or one worker's for a while: whoever claims it first, until the claim ends."""

import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Final

from broker.core.errors import LibraryUnavailable, StoreUnavailable
from broker.core.identity.mail_addresses import one_mailbox
from broker.core.identity.mailbox_proofs import ProofOwner, Proved
from broker.core.ports import Kept, Key, Store
from broker.core.pseudonyms import Pseudonyms
from broker.core.serialization import dump, load

_TURNS: Final = 8


def claim_ownership(
    store: Store,
    place: Key,
    claim: ProofOwner,
    until: datetime,
    now: datetime,
    *,
    mine: Collection[str] = (),
) -> bool:
    """Say whether what ``place`` stands for is the claim's owner's from now on, however many ask at once.

    ``mine`` are the same person's other pseudonyms: a claim of theirs moves.
    """
    for _ in range(_TURNS):
        kept = store.get(place, now)
        if kept and load(ProofOwner, kept.value).owner not in {claim.owner, *mine}:
            return False
        fresh = Kept(dump(claim), secrets.token_hex(8), until)
        if store.put(place, fresh, kept.version if kept else None, now, durable=True):
            return True
    raise StoreUnavailable("a claim kept changing")


def keep_proof(store: Store, proved: Proved, owner: str, now: datetime) -> None:
    """Keep what ``owner`` has proved, in place of what the same proof said before."""
    place = Key("proof", owner, proved.name)
    for _ in range(_TURNS):
        before = store.get(place, now)
        kept = Kept(dump(proved), secrets.token_hex(8), proved.until)
        if store.put(place, kept, before.version if before else None, now, durable=True):
            return
    raise StoreUnavailable("a proof kept changing")


def drop_replaced_proofs(
    store: Store, proved: Proved, olds: Collection[str], now: datetime
) -> None:
    """Drop the same proof of the person's other pseudonyms: what staff take away must not stand under one still."""
    for each in olds:
        place = Key("proof", each, proved.name)
        kept = store.get(place, now)
        if kept and one_mailbox(load(Proved, kept.value).address) == one_mailbox(proved.address):
            store.drop(place)


@contextmanager
def pin_lease(
    store: Store, pseudonyms: Pseudonyms, number: str, ends: datetime, now: datetime
) -> Iterator[None]:
    """Be the only one who sets a PIN of this borrower, until ``ends`` at most; LibraryUnavailable where another is.

    Of two that set and mail one at once, the mail that comes last may hold the PIN that was set
    first (design 4c).
    """
    place, mine = Key("pin", pseudonyms.of("pin-turn", number), "turn"), secrets.token_hex(8)
    if not store.put(place, Kept(b"", mine, ends), None, now):
        raise LibraryUnavailable("another PIN of this borrower is being made")
    try:
        yield
    finally:
        # A turn that cannot be given back ends by itself: the mail that is out must not be sent
        # again for that.
        with suppress(StoreUnavailable):
            kept = store.get(place, now)
            if kept and kept.version == mine:
                store.drop(place)
