"""What proves one person and nobody else: whoever claims it first, until the claim ends."""

import secrets
from datetime import datetime
from typing import Final

from broker.core.errors import StoreUnavailable
from broker.core.ports import Kept, Key, Store
from broker.core.proofs import Claim
from broker.core.records import dump, load

_TURNS: Final = 8


def claimed(store: Store, place: Key, claim: Claim, until: datetime, now: datetime) -> bool:
    """Say whether what ``place`` stands for is the claim's owner's from now on, however many ask at once."""
    for _ in range(_TURNS):
        kept = store.get(place, now)
        if kept and load(Claim, kept.value).owner != claim.owner:
            return False
        fresh = Kept(dump(claim), secrets.token_hex(8), until)
        if store.put(place, fresh, kept.version if kept else None, now, durable=True):
            return True
    raise StoreUnavailable("a claim kept changing")
