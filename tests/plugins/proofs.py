"""What a proof of a mailbox needs: a SQLite file, a mail server, and a login that waits for one."""

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from broker.adapters.mail.letter_texts import LetterTexts
from broker.adapters.mail.smtp import Smtp
from broker.adapters.stores import sqlite
from broker.adapters.stores.sqlite import SqliteStore
from broker.core.entities import Text
from broker.core.errors import BrokerError
from broker.core.login.transaction import LIFETIME, AuthnRequest, Transaction
from broker.core.lookup_hmacs import LookupHmacs
from broker.demo.run.mail_server import Mailbox, ReceivedMail
from broker.use_cases.proofs.mailbox_proof import MailboxProof
from broker.use_cases.transactions import Held, Transactions
from tests.plugins.ports import free_port

DOMAINS = ("auh.rm.dk", "ps.rm.dk")
NURSE = "nurse@auh.rm.dk"
YEAR = timedelta(days=365)
Post = tuple[Mailbox, int]


@dataclass(slots=True)
class Desk:
    """The cases that staff would see."""

    cases: list[tuple[str, str]] = field(default_factory=list)

    def taken(self, owner: str, address: str) -> str:
        """Note one."""
        self.cases.append((owner, address))
        return f"case {len(self.cases)}"


@dataclass(slots=True)
class Bench:
    """Proofs over one SQLite file and one mail server; ``now`` is when the test began."""

    path: Path
    mailbox: Mailbox
    port: int
    now: datetime
    desk: Desk = field(default_factory=Desk)
    hmacs: LookupHmacs = field(default_factory=lambda: LookupHmacs("k1", b"k" * 32))

    def proving(self) -> MailboxProof:
        """Give the proofs as one more worker has them, with a store of its own on the same file."""
        smtp = Smtp(f"smtp://127.0.0.1:{self.port}", "library@library.example", timeout=60)
        letters = LetterTexts(Text("AU Library", "AU Library"), "https://login.example/pin", "the desk")
        return MailboxProof(SqliteStore(self.path), self.hmacs, smtp, letters, self.desk)

    @property
    def transactions(self) -> Transactions:
        """Give the transactions in the file."""
        return Transactions(SqliteStore(self.path))

    def login(self, **facts: object) -> Held:
        """Begin a login that has been authenticated just now."""
        request = AuthnRequest("_1", "my-loans", "https://loans.example", "https://loans.example/acs")
        name, mark = secrets.token_hex(16), secrets.token_hex(8)
        plain = Transaction(name, "BCDFGHJK", self.now, self.now + LIFETIME, request, arrival=mark)
        made = replace(plain, authenticated=self.now, **facts)  # type: ignore[arg-type]
        return self.transactions.add(made, self.now)

    def mail(self, held: Held, owner: str = "ann", address: str = NURSE, **how: object) -> Held:
        """Have a code mailed."""
        said = {"name": "kaldemail", "asker": "Ann Holm", "language": "en", "now": self.now, **how}
        return self.proving().mail_to(
            held,
            owner,
            str(said["name"]),
            address,
            asker=str(said["asker"]),
            language=str(said["language"]),
            url=lambda link: f"https://login.example/{link}",
            lasts=timedelta(minutes=30),
            now=said["now"],  # type: ignore[arg-type]
        )

    def code(self, held: Held, code: str, owner: str = "ann", **how: object) -> Held:
        """Type a code."""
        return self.proving().try_code(
            held,
            code,
            owner,
            how.get("now", self.now),  # type: ignore[arg-type]
            domains=how.get("domains", DOMAINS),  # type: ignore[arg-type]
            remembered_for=YEAR,
        )

    def press(self, held: Held, link: str, owner: str = "ann") -> Held:
        """Press the button of a link."""
        return self.proving().press(held, link, owner, self.now, domains=DOMAINS, remembered_for=YEAR)

    def read(self, held: Held) -> tuple[str, str]:
        """Give the code and the link in the newest mail, which must be what the transaction waits for."""
        code, link = secrets_in(self.mailbox.mails()[0])
        mailing = self.again(held).mailing
        assert mailing is not None
        assert (mailing.code, mailing.link) == (code, link)
        return code, link

    def again(self, held: Held) -> Transaction:
        """Give the transaction as it stands in the file."""
        return self.transactions.read(held.transaction.id, self.now).transaction


def secrets_in(mail: ReceivedMail) -> tuple[str, str]:
    """Give the code and the link's secret of a mail."""
    return re.findall(r": ([0-9]{6})\n", mail.text)[0], re.findall(r"/([0-9a-f]{32})\s", mail.text)[0]


def other(code: str) -> str:
    """Give a code that is not this one."""
    return f"{(int(code) + 1) % 10**6:06}"


def outcome(attempt: Callable[[], Held]) -> str:
    """Give how an attempt ended: "proved", or the code of what refused it."""
    try:
        attempt()
    except BrokerError as error:
        return str(getattr(error, "cause", error.reason))
    return "proved"


@contextmanager
def posted() -> Iterator[Post]:
    """Run a mail server."""
    port, page = free_port(), free_port()
    mailbox = Mailbox(port, page)
    mailbox.start()
    try:
        yield mailbox, port
    finally:
        mailbox.stop()


def opened(folder: Path, post: Post) -> Bench:
    """Open a bench on a new file in a folder, with an empty mailbox."""
    mailbox, port = post
    mailbox._kept.clear()
    sqlite.prepare(folder / "proofs.db")
    return Bench(folder / "proofs.db", mailbox, port, datetime.now(UTC))
