"""The turns of mails in ``broker work``: so many at a time; a trial while the server is silent."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from broker.core.errors import MailPutOff, MailUnavailable, RecipientRefused
from broker.core.event_routes import BrokerEvent, EventKind, TellPort, told_nobody
from broker.core.identity.mail_addresses import one_mailbox, plain
from broker.core.ports import Letter, Mail

# Who is refused in less holds nobody up: a mailbox that is unknown, a server that is switched off.
_HANGS_AFTER: Final = 5.0
# One mailbox may hang for its own sake, however often it is tried; three in a row share the server.
_IN_A_ROW: Final = 3
_TRIAL_EVERY: Final = 60.0


@dataclass(slots=True)
class MailSilence:
    """Whether the mail server leaves mails without an answer, as this process finds it.

    ``clock`` is monotonic, in seconds.
    """

    tell: TellPort = told_nobody
    clock: Callable[[], float] = time.monotonic
    # The mailboxes of those that have hung since the last answer.
    _in_a_row: set[str] = field(default_factory=set, init=False, repr=False)
    _since: float | None = field(default=None, init=False)
    _last: float = field(default=0.0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def lasts(self) -> float | None:
        """Return for how many seconds it has been silent; None where it is not."""
        since = self._since
        return None if since is None else self.clock() - since

    def is_silent(self) -> bool:
        """Return whether no mail but a trial is to be begun."""
        return self._since is not None

    def rests(self) -> bool:
        """Return whether not even a trial is to be begun; asked by the one thread that tries."""
        return self.is_silent() and self.clock() - self._last < _TRIAL_EVERY

    def hung(self, recipient: str) -> None:
        """Note a mail to ``recipient`` that failed without an answer."""
        with self._lock:
            self._last = self.clock()
            if self._since is not None:
                return
            self._in_a_row.add(one_mailbox(recipient))
            begins = len(self._in_a_row) >= _IN_A_ROW
            if begins:
                self._since = self._last
        if begins:
            self.tell(BrokerEvent(EventKind.MAIL_SILENT))

    def answered(self) -> None:
        """Note that the server took a mail, refused it without delay, or refused its mailbox."""
        lasted = self.lasts()
        with self._lock:
            ends = self._since is not None
            self._in_a_row.clear()
            self._since = None
        if ends:
            self.tell(BrokerEvent(EventKind.MAIL_ANSWERS, {"seconds": round(lasted or 0.0)}))

    @contextmanager
    def watching(self, recipient: str, *, ends_mail: bool) -> Iterator[None]:
        """Note how a call of the mail server ends; one that ``ends_mail`` answers for all of it.

        That the recipient is accepted says nothing: a server may hang with the text.
        """
        began = self.clock()
        try:
            yield
        except RecipientRefused:
            # It may be slow for everybody, and others' mails leave.
            self.answered()
            raise
        except MailUnavailable:
            if self.clock() - began >= _HANGS_AFTER:
                self.hung(recipient)
            else:
                self.answered()
            raise
        if ends_mail:
            self.answered()


@dataclass(slots=True)
class MailTurns:
    """The mails that the loops of enrolments send themselves: ``most`` at a time."""

    silence: MailSilence
    most: int
    _under_way: int = field(default=0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    @property
    def under_way(self) -> int:
        """Return how many mails are under way."""
        return self._under_way

    def none_left(self) -> bool:
        """Return whether a mail that is begun now would be put off."""
        return self.silence.is_silent() or self._under_way >= self.most

    def take(self) -> bool:
        """Take a turn; False where a mail is to be put off."""
        with self._lock:
            if self.none_left():
                return False
            self._under_way += 1
        return True

    def give_back(self) -> None:
        """Give a turn back."""
        with self._lock:
            self._under_way -= 1


def _nothing() -> None:
    """Do nothing: no turn was taken."""


@dataclass(frozen=True, slots=True)
class WatchedMail:
    """A mail server whose answers are noted; with ``turns`` each mail takes one, or is put off."""

    mail: Mail
    silence: MailSilence
    turns: MailTurns | None = None

    def address(self, recipient: str, deadline: datetime) -> Letter:
        """Open a conversation as ``mail`` does; MailPutOff where no turn is left."""
        if self.turns is None:
            return self._opened(recipient, deadline, _nothing)
        if not self.turns.take():
            raise MailPutOff("no mail is begun now")
        try:
            return self._opened(recipient, deadline, self.turns.give_back)
        except BaseException:
            self.turns.give_back()
            raise

    def _opened(self, recipient: str, deadline: datetime, closed: Callable[[], None]) -> Letter:
        if plain(recipient) is None:
            # It is refused before the server is asked, and says nothing of it.
            return self.mail.address(recipient, deadline)
        with self.silence.watching(recipient, ends_mail=False):
            letter = self.mail.address(recipient, deadline)
        return _WatchedLetter(letter, recipient, self.silence, closed)


@dataclass(slots=True)
class _WatchedLetter:
    """A letter whose end is noted, and gives a turn back."""

    letter: Letter
    to: str = field(repr=False)
    silence: MailSilence
    closed: Callable[[], None]

    def send(self, subject: str, text: str) -> None:
        """Send the text, as ``letter`` does."""
        with self.silence.watching(self.to, ends_mail=True):
            self.letter.send(subject, text)

    def close(self) -> None:
        """End the conversation, once."""
        try:
            self.letter.close()
        finally:
            self.closed()
