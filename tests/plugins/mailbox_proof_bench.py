"""Mailbox proofs over an SQLite file and a mail server, for a login that needs one."""

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from broker.adapters.mail.mail_texts import LibraryMailTexts
from broker.adapters.mail.smtp import Smtp
from broker.adapters.stores import sqlite
from broker.adapters.stores.sqlite import SqliteStore
from broker.core.entities import Text
from broker.core.errors import BrokerError
from broker.core.identity.mailbox_proofs import MailboxProof
from broker.core.login.steps import ProveMailbox
from broker.core.login.transaction import LIFETIME, AuthnRequest, Transaction
from broker.core.lookup_hmacs import LookupHmacs
from broker.demo.run.mail_server import Mailbox, ReceivedMail
from broker.use_cases.pins.mailbox_proofs import MailboxProofs
from broker.use_cases.pins.mailed_codes import MailedCodes
from broker.use_cases.storage.mail_outbox import MailOutbox
from broker.use_cases.storage.person_records import PersonRecords
from broker.use_cases.transactions.transactions import LoginContext, Transactions
from tests.plugins.ports import free_port

DOMAINS = ("auh.rm.dk", "ps.rm.dk")
NURSE = "nurse@auh.rm.dk"
YEAR = timedelta(days=365)
MailServer = tuple[Mailbox, int]


@dataclass(slots=True)
class ProofBench:
    """Mailbox proofs over one SQLite file and one mail server; ``now`` is the start of the test."""

    path: Path
    mailbox: Mailbox
    port: int
    now: datetime
    hmacs: LookupHmacs = field(default_factory=lambda: LookupHmacs("k1", b"k" * 32))

    def open_proofs(self) -> MailboxProofs:
        """Return the mailbox proofs of another worker, with a separate store on the same file."""
        store = SqliteStore(self.path)
        codes = MailedCodes(store, self.hmacs, lambda: self.now)
        return MailboxProofs(PersonRecords(store, self.hmacs), codes, self.outbox())

    def list_valid_proofs(self, owner: str) -> tuple[MailboxProof, ...]:
        """Return the valid proofs of a person."""
        persons = PersonRecords(SqliteStore(self.path), self.hmacs)
        record = persons.read(owner, self.now)
        return persons.list_proofs(record, self.now) if record else ()

    def outbox(self) -> MailOutbox:
        """Return the outbox to the mail server."""
        smtp = Smtp(f"smtp://127.0.0.1:{self.port}", "library@library.example")
        letters = LibraryMailTexts(Text("AU Library", "AU Library"), "https://login.example/pin", "the desk")
        return MailOutbox(SqliteStore(self.path), self.hmacs, smtp, letters, lambda: self.now)

    @property
    def transactions(self) -> Transactions:
        """Return the transactions in the file."""
        return Transactions(SqliteStore(self.path))

    def login(self, **facts: object) -> LoginContext:
        """Begin a login that is authenticated."""
        request = AuthnRequest("_1", "my-loans", "https://loans.example", "https://loans.example/acs")
        name, mark = secrets.token_hex(16), secrets.token_hex(8)
        plain = Transaction(name, "BCDFGHJK", self.now, self.now + LIFETIME, request, arrival=mark, browser="browser 1")
        made = replace(plain, authenticated=self.now, **facts)  # type: ignore[arg-type]
        return self.transactions.add(made, self.now)

    def mail_code(self, context: LoginContext, owner: str = "ann", address: str = NURSE, **how: Any) -> LoginContext:
        """Queue a mail with a code."""
        said = {"claimant": "Ann Holm", "language": "en", "now": self.now, **how}
        return self.open_proofs().mail_code(
            context,
            owner,
            _make_step(how),
            address,
            claimant=str(said["claimant"]),
            language=str(said["language"]),
            now=said["now"],
        )

    def try_code(self, context: LoginContext, code: str, owner: str = "ann", **how: Any) -> LoginContext:
        """Enter a code."""
        return self.open_proofs().try_code(context, owner, _make_step(how), code, remembered_for=YEAR, now=self.now)

    def read_mailed_code(self) -> str:
        """Send the queued mails and return the code in the newest mail."""
        while self.outbox().step():
            pass
        return read_code(self.mailbox.mails()[0])

    def reread(self, context: LoginContext) -> Transaction:
        """Return the transaction as stored."""
        return self.transactions.read(context.transaction.id, self.now).transaction


def _make_step(how: dict[str, Any]) -> ProveMailbox:
    """Return the step in which the mailbox is proved."""
    domains = how.get("domains", DOMAINS)
    return ProveMailbox(how.get("name", "kaldemail"), domains, None, optional=False)


def read_code(mail: ReceivedMail) -> str:
    """Return the code in a mail."""
    return str(re.findall(r": ([0-9]{4} [0-9]{4})\n", mail.text)[0]).replace(" ", "")


def different_code(code: str) -> str:
    """Return a different code."""
    return f"{(int(code.replace(' ', '')) + 1) % 10**8:08}"


def outcome_of(attempt: Callable[[], LoginContext]) -> str:
    """Return "proved", or the reason code of the refusal."""
    try:
        attempt()
    except BrokerError as error:
        return str(getattr(error, "cause", error.reason))
    return "proved"


@contextmanager
def run_mail_server() -> Iterator[MailServer]:
    """Run a mail server."""
    port, page = free_port(), free_port()
    mailbox = Mailbox(port, page)
    with mailbox.listen():
        yield mailbox, port


def open_bench(folder: Path, post: MailServer) -> ProofBench:
    """Return mailbox proofs on a new file in a folder, with an empty mailbox."""
    mailbox, port = post
    mailbox._kept.clear()
    sqlite.prepare(folder / "proofs.db")
    return ProofBench(folder / "proofs.db", mailbox, port, datetime.now(UTC))
