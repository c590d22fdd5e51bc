"""A mail server that hangs is known by three mails in a row, holds few loops, and is tried by one of them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from broker.app.mail_turns import MailSilence, MailTurns, WatchedMail
from broker.core.audit_events import AuditEvent
from broker.core.errors import MailPutOff, MailUnavailable, RecipientRefused
from broker.core.event_routes import BrokerEvent, EventKind

BY = datetime(2026, 11, 25, tzinfo=UTC)


def nothing() -> None:
    """Answer."""


class Server:
    """A mail server whose calls take so long and then fail, or not; it has the clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.before_recipient = nothing
        self.before_text = nothing
        self.told: list[BrokerEvent | AuditEvent] = []
        self.silence = MailSilence(self.tell, lambda: self.now)

    def tell(self, event: BrokerEvent | AuditEvent) -> None:
        """Keep what is told."""
        self.told.append(event)

    def address(self, recipient: str, deadline: datetime) -> "Server":
        """Accept a recipient, or do not."""
        assert deadline == BY
        assert recipient == "aase at example.org" or recipient.endswith("@example.org")
        self.before_recipient()
        return self

    def send(self, subject: str, text: str) -> None:
        """Take the text, or do not."""
        assert (subject, text) == ("s", "t")
        self.before_text()

    def close(self) -> None:
        """End."""

    def hangs(self) -> None:
        """Say nothing until the other side goes."""
        self.now += 15
        raise MailUnavailable("before RCPT: TimeoutError")

    def refuses(self) -> None:
        """Refuse the recipient at once."""
        raise RecipientRefused("RCPT answered 550")

    def mail(self, turns: MailTurns | None = None, to: str = "aase@example.org") -> None:
        """Send a mail through what watches this server."""
        letter = WatchedMail(self, self.silence, turns).address(to, BY)
        try:
            letter.send("s", "t")
        finally:
            letter.close()


@pytest.fixture
def server() -> Server:
    """Give a server that answers."""
    return Server()


def hang(server: Server, times: int) -> None:
    """Let mails to as many people hang."""
    server.before_recipient = server.hangs
    for serial in range(times):
        with pytest.raises(MailUnavailable):
            server.mail(to=f"{serial}@example.org")


def test_three_mails_in_a_row_without_an_answer_are_a_silent_server(server: Server) -> None:
    """One mailbox may hang for its own sake: each mail that leaves begins the count anew."""
    hang(server, 2)
    server.before_recipient = nothing
    server.mail()
    hang(server, 2)
    assert not server.silence.is_silent()
    assert server.silence.lasts() is None
    hang(server, 3)
    server.now += 100
    assert server.silence.is_silent()
    assert server.silence.lasts() == 100
    assert [event.kind for event in server.told] == [EventKind.MAIL_SILENT]


def test_a_server_that_hangs_with_the_text_is_silent_too(server: Server) -> None:
    """It accepts each recipient, and that says nothing."""
    server.before_text = server.hangs
    for serial in range(3):
        with pytest.raises(MailUnavailable):
            server.mail(to=f"{serial}@example.org")
    assert server.silence.is_silent()


def test_one_mailbox_that_hangs_whenever_it_is_tried_again_is_no_silent_server(server: Server) -> None:
    """In a quiet night nobody else is mailed between its tries; however it is spelt it is one."""
    server.before_recipient = server.hangs
    for to in ("aase@example.org", "Aase@example.org", "aase+1@example.org", "aase@example.org"):
        with pytest.raises(MailUnavailable):
            server.mail(to=to)
    hang(server, 1)
    assert not server.silence.is_silent()
    hang(server, 2)
    assert server.silence.is_silent()


def test_a_server_that_takes_its_time_to_refuse_a_mailbox_for_good_has_answered(server: Server) -> None:
    """It may be slow for everybody: others' mails leave."""

    def refuses_late() -> None:
        server.now += 15
        server.refuses()

    hang(server, 3)
    server.before_recipient = refuses_late
    for serial in range(3):
        with pytest.raises(RecipientRefused):
            server.mail(to=f"{serial}@example.org")
        assert not server.silence.is_silent()


@pytest.mark.parametrize("call", ["before_recipient", "before_text"])
def test_what_is_refused_at_once_is_no_silence(server: Server, call: str) -> None:
    """Mailboxes that are unknown, a greylist and a server that is switched off hold nobody up."""
    setattr(server, call, server.refuses)
    for _ in range(10):
        with pytest.raises(MailUnavailable):
            server.mail()
    assert not server.silence.is_silent()


def test_a_mail_that_was_not_sent_for_another_reason_says_nothing_of_the_server(server: Server) -> None:
    """The library system may fail between the recipient and the text."""
    hang(server, 3)
    server.before_recipient = nothing
    letter = WatchedMail(server, server.silence).address("aase@example.org", BY)
    letter.close()
    assert server.silence.is_silent()


def test_an_address_that_is_none_ends_no_silence(server: Server) -> None:
    """It is refused before the server is asked."""
    hang(server, 3)
    server.before_recipient = server.refuses
    with pytest.raises(MailUnavailable):
        WatchedMail(server, server.silence).address("aase at example.org", BY)
    assert server.silence.is_silent()


def test_of_a_silent_server_one_trial_is_made_each_minute_and_an_answer_ends_it(server: Server) -> None:
    """The minute counts from the last mail that hung; the log says when it began and when it ended."""
    hang(server, 3)
    for _ in range(3):
        assert server.silence.rests()
        server.now += 59.9
        assert server.silence.rests()
        server.now += 0.2
        assert not server.silence.rests()
        hang(server, 1)
    server.now += 61
    server.before_recipient = nothing
    server.mail()
    assert not server.silence.is_silent()
    assert [event.kind for event in server.told] == [EventKind.MAIL_SILENT, EventKind.MAIL_ANSWERS]
    (_, ended) = server.told
    assert isinstance(ended, BrokerEvent)
    assert ended.facts == {"seconds": 286}


def test_while_it_is_silent_no_mail_with_turns_reaches_it(server: Server) -> None:
    """Whoever has no turn is put off, and the server is not asked."""
    turns = MailTurns(server.silence, 2)
    server.mail(turns)
    hang(server, 3)
    server.before_recipient = pytest.fail
    assert turns.none_left()
    with pytest.raises(MailPutOff):
        server.mail(turns)
    assert turns.under_way == 0


class Turns(RuleBasedStateMachine):
    """Mails that begin, fail and end in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.server = Server()
        self.turns = MailTurns(self.server.silence, 3)
        self.watched = WatchedMail(self.server, self.server.silence, self.turns)
        self.open: list[Any] = []

    @rule()
    def begin(self) -> None:
        """Begin a mail; it is put off if and only if three are under way, or the server is silent."""
        self.server.before_recipient = nothing
        full = len(self.open) == 3 or self.server.silence.is_silent()
        assert self.turns.none_left() is full
        try:
            self.open.append(self.watched.address("aase@example.org", BY))
        except MailPutOff:
            assert full
        else:
            assert not full

    @rule(hangs=st.booleans(), serial=st.integers(0, 3))
    def fail(self, hangs: bool, serial: int) -> None:
        """Begin a mail that fails."""
        self.server.before_recipient = self.server.hangs if hangs else self.server.refuses
        with pytest.raises(MailUnavailable):
            self.watched.address(f"{serial}@example.org", BY)

    @precondition(lambda self: self.open)
    @rule(number=st.integers(0, 2), sends=st.sampled_from(["nothing", "text", "hangs", "refused"]))
    def end(self, number: int, sends: str) -> None:
        """End one, sent or not."""
        letter = self.open.pop(number % len(self.open))
        calls = {"text": nothing, "hangs": self.server.hangs, "refused": self.server.refuses}
        if sends in calls:
            self.server.before_text = calls[sends]
            try:
                letter.send("s", "t")
            except MailUnavailable:
                assert sends != "text"
        letter.close()

    @invariant()
    def each_turn_is_a_mail_under_way(self) -> None:
        """No turn is lost, and none is given back twice."""
        assert self.turns.under_way == len(self.open) <= 3


TestTurns = Turns.TestCase
