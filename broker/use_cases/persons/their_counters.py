"""The counters of one person: a store lists none, so each is named again and asked for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.core.identity.mailbox_proofs import Proved
from broker.core.login.transaction import Transaction
from broker.core.ports import Key
from broker.core.retention.table import DECLINED
from broker.use_cases.enrolment.borrower_at_login import declined_key
from broker.use_cases.persons.person_search import FoundPerson
from broker.use_cases.persons.their_records import TheirRecord
from broker.use_cases.proofs.mailbox_proof import MailboxProof
from broker.use_cases.proofs.rate_limits import Limit, Limits

# A look through everything costs the store much, and its person learns nothing new by it.
OWN_LOOKS: Final = Limit("own records", 10, timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class TheirCounters:
    """The counters over proofs and limits.

    Not among them, for their names are made of what no record has: of a terminal the number that
    was typed (an hour), of an own browser the secret in its cookie (a year).
    """

    proving: MailboxProof
    limits: Limits

    def keys(self, person: FoundPerson, records: Iterable[TheirRecord]) -> tuple[Key, ...]:
        """Return the key of every counter that may be the person's, counted or not."""
        facts = [record.fact for record in records]
        return tuple(
            dict.fromkeys(
                (
                    *self._of_proofs(person, facts),
                    *self._of_looks(person),
                    *(declined_key(self.proving.hmacs, each) for each in person.ids),
                )
            )
        )

    def counted(
        self, person: FoundPerson, records: Iterable[TheirRecord], now: datetime
    ) -> Iterator[tuple[Key, int]]:
        """Yield each counter that is not nought, and its number."""
        for key in self.keys(person, records):
            total = self.limits.store.count(key, 0, DECLINED.until(now), now)
            if total:
                yield key, total

    def _of_proofs(self, person: FoundPerson, facts: list[object]) -> Iterator[Key]:
        proofs = [fact for fact in facts if isinstance(fact, Proved)]
        transactions = [fact for fact in facts if isinstance(fact, Transaction)]
        proofs += [proof for each in transactions for proof in each.proofs]
        addresses = [proof.address for proof in proofs]
        addresses += [each.mailing.address for each in transactions if each.mailing]
        for owner in person.ids:
            yield from self.proving.counters(owner, addresses)

    def _of_looks(self, person: FoundPerson) -> Iterator[Key]:
        limited = [(OWN_LOOKS, each) for each in person.ids]
        for limit, name in limited:
            yield from self.limits.counters(limit, name)
