"""The last look before an assertion leaves: under which ids, and that it has left."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime

from broker.core.entities import PERSISTENT
from broker.core.pseudonyms import Pseudonyms
from broker.core.steps import Issue
from broker.core.transaction import Errand, Issued
from broker.learning import Learning
from broker.transactions import Held, Transactions


@dataclass(frozen=True, slots=True)
class Issuance:
    """Decides about ids and records that they are used."""

    pseudonyms: Pseudonyms
    learning: Learning
    transactions: Transactions

    def ids(self, held: Held, step: Issue, now: datetime) -> Issued | None:
        """Give the ids under which the assertion of ``step`` leaves: those recorded, or new ones that are not yet.

        None where another assertion has left under the recorded ids: they stand for that one only. None too for an
        errand that no service asked for: no assertion is anybody's then (invariant 3).
        """
        if held.transaction.errand is not Errand.LOGIN:
            return None
        content = self._content(step)
        before = held.transaction.issued
        if before is not None:
            return before if before.content == content else None
        return Issued(
            response=f"_{secrets.token_hex(20)}",
            assertion=f"_{secrets.token_hex(20)}",
            at=now,
            name_id=self.learning.name_id(held.transaction, persistent=step.disclosure.name_id_format == PERSISTENT),
            number=step.number,
            content=content,
        )

    def record(self, held: Held, issued: Issued, now: datetime) -> bool:
        """Record that the assertion leaves; False where the transaction has changed since it was decided."""
        return self.transactions.put(replace(held.transaction, issued=issued), held.version, now) is not None

    def _content(self, step: Issue) -> str:
        return self.pseudonyms.of("content", step.disclosure.shown(self.pseudonyms), step.number or "")
