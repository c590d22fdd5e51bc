"""The links that an older release wrote: what was proved under a name goes along with its id.

Release 1 kept proofs under the name or number itself, and noted in its link who they belonged to.
The link itself reads as one of today.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, Store
from broker.use_cases.proof_ownership import move_proofs
from broker.use_cases.records import Records


@dataclass(frozen=True, slots=True, repr=False)
class OlderLink:
    """What release 1 noted beside a person id.

    ``disputed``: two people claimed the name. ``since``: from when on the name was this person's.
    """

    person: str
    disputed: bool = False
    since: datetime | None = None


def move_older_link(
    store: Store, hmacs: LookupHmacs, key: Key, proofs_of: Callable[[str], str], now: datetime
) -> None:
    """Move the proofs of the name or number of ``key`` to those of its person id.

    ``proofs_of`` returns the pseudonym that these are kept under. What a name's earlier holder may
    have proved is left to its end: nobody is shown it.
    """
    record = Records(store, OlderLink).get(key, now)
    if record is None or record.value.disputed:
        return
    link = record.value
    move_proofs(store, hmacs, key.group, proofs_of(link.person), now, since=link.since)
