"""The queue of mails over a real store: sent once, retried while the server is down, and shown to staff."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.adapters.stores import sqlite
from broker.adapters.stores.sqlite import SqliteStore
from broker.core.errors import MailUnavailable, RecipientRefused
from broker.core.events.broker_events import BrokerEvent
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.mail.mail_contents import ConnectedAccountMail, MailContent, MailText
from broker.use_cases.storage.mail_outbox import MailOutbox

ADDRESS = "ann@post.example"
TEXT = MailText("Hello", "The code is: 1234 5678")


@dataclass(slots=True)
class Server:
    """A mail server that can be down or refuse the recipient."""

    error: Exception | None = None
    sent: list[tuple[str, str, str]] = field(default_factory=list)

    def send(self, recipient: str, subject: str, text: str, deadline: datetime) -> None:
        """Accept a mail, or fail."""
        del deadline
        if self.error:
            raise self.error
        self.sent.append((recipient, subject, text))


class Texts:
    """Texts of mails, always the same."""

    pin_url = "https://login.example/pin"

    def render(self, _letter: MailContent, _language: str) -> MailText:
        """Return the text."""
        return TEXT


@dataclass(slots=True)
class Bench:
    """A queue over one SQLite file, a scripted server and a clock that is set."""

    path: Path
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    server: Server = field(default_factory=Server)
    events: list[BrokerEvent] = field(default_factory=list)

    @property
    def outbox(self) -> MailOutbox:
        """Return the queue as one more process has it."""
        hmacs = LookupHmacs("k1", b"k" * 32)
        store = SqliteStore(self.path)
        return MailOutbox(store, hmacs, self.server, Texts(), lambda: self.now, tell=self.events.append)  # type: ignore[arg-type]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Give an empty store."""
    sqlite.prepare(tmp_path / "mail.db")
    return Bench(tmp_path / "mail.db")


def test_a_mail_is_sent_once_and_only_the_masked_address_stays(bench: Bench) -> None:
    """Staff see that it was sent; the text with the code is gone."""
    bench.outbox.queue_mail(bench.outbox.draft_mail(ADDRESS, ConnectedAccountMail(), "en", about="17"))
    [mail] = bench.outbox.list_mails("17")
    assert (mail.state, mail.masked_recipient) == ("waiting", "a•••@p•••")
    assert [bench.outbox.step(), bench.outbox.step()] == [True, False]
    assert bench.server.sent == [(ADDRESS, *TEXT)]
    [mail] = bench.outbox.list_mails("17")
    assert (mail.recipient, mail.text, mail.sent_at) == ("a•••@p•••", "", bench.now)
    assert bench.outbox.list_mails("18") == ()


def test_a_server_that_is_down_gets_the_mail_later(bench: Bench) -> None:
    """The pauses grow, and the mail leaves when the server is back."""
    bench.outbox.queue_mail(bench.outbox.draft_mail(ADDRESS, ConnectedAccountMail(), "en", about="17"))
    bench.server.error = MailUnavailable("down")
    attempts = 0
    for _ in range(120):
        attempts += bench.outbox.step()
        bench.now += timedelta(seconds=30)
    assert 3 <= attempts <= 8
    assert bench.outbox.list_waiting() == [mail.queued_at for mail in bench.outbox.list_mails("17")]
    bench.server.error = None
    bench.now += timedelta(hours=3)
    assert bench.outbox.step()
    assert bench.server.sent == [(ADDRESS, *TEXT)]
    assert bench.outbox.list_waiting() == []


def test_a_mail_is_given_up_when_its_code_has_expired(bench: Bench) -> None:
    """A code that is void is not mailed."""
    bench.outbox.queue_mail(
        bench.outbox.draft_mail(ADDRESS, ConnectedAccountMail(), "en", about="17", lasts=timedelta(minutes=30))
    )
    bench.now += timedelta(minutes=30)
    assert not bench.outbox.step()


def test_a_refused_recipient_is_not_tried_again(bench: Bench) -> None:
    """Staff see it in the list, and the log has an event without the address."""
    bench.outbox.queue_mail(bench.outbox.draft_mail(ADDRESS, ConnectedAccountMail(), "en", about="17"))
    bench.server.error = RecipientRefused("RCPT answered 550")
    assert bench.outbox.step()
    bench.server.error = None
    bench.now += timedelta(hours=5)
    assert not bench.outbox.step()
    [mail] = bench.outbox.list_mails("17")
    assert (mail.recipient, mail.sent_at) == ("a•••@p•••", None)
    assert mail.state == "refused"
    [event] = bench.events
    assert (event.kind.name, event.facts) == ("MAIL_REFUSED", {})


def test_a_waiting_mail_is_released_or_cancelled(bench: Bench) -> None:
    """A notice waits until the outcome is known; without an outcome it is sent at its time."""
    outbox = bench.outbox
    later = bench.now + timedelta(minutes=10)
    released, cancelled, _ = (
        outbox.queue_mail(
            outbox.draft_mail(f"{each}@post.example", ConnectedAccountMail(), "en", about="17", due=later)
        )
        for each in "abc"
    )
    assert not outbox.step()
    outbox.release_mail(released)
    outbox.cancel_mail(cancelled)
    assert [outbox.step(), outbox.step()] == [True, False]
    bench.now = later
    assert [outbox.step(), outbox.step()] == [True, False]
    assert [to for to, _, _ in bench.server.sent] == ["a@post.example", "c@post.example"]


def test_a_mail_whose_worker_died_is_sent_by_the_next(bench: Bench) -> None:
    """The lease ends, and the mail is due again."""
    bench.outbox.queue_mail(bench.outbox.draft_mail(ADDRESS, ConnectedAccountMail(), "en", about="17"))
    bench.server.error = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        bench.outbox.step()
    bench.server.error = None
    assert not bench.outbox.step()
    bench.now += timedelta(minutes=2)
    assert bench.outbox.step()
    assert len(bench.server.sent) == 1


def test_no_key_names_anybody(bench: Bench) -> None:
    """Keys hold neither address nor borrower number."""
    key = bench.outbox.queue_mail(bench.outbox.draft_mail(ADDRESS, ConnectedAccountMail(), "en", about="borrower-17"))
    assert not any(secret in repr(key) for secret in (ADDRESS, "borrower-17"))
