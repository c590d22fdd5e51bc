"""The queue of mails: stored in the request that causes them, sent by the background worker."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final

from broker.core.errors import MailUnavailable, RecipientRefused
from broker.core.events.broker_events import BrokerEvent, EventKind, EventPort, discard_event
from broker.core.identity.mail_addresses import mask_address
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.mail.mail_contents import MailContent
from broker.core.ports import Key, Mail, MailTexts, Store, Write
from broker.core.retention import MAIL, MAIL_SENT
from broker.use_cases.storage.records import Content, Record, Records, load
from broker.use_cases.storage.worker_loop import WakeSignal, retry_delay

_SENDING: Final = timedelta(seconds=45)


@dataclass(frozen=True, slots=True, repr=False)
class QueuedMail:
    """A queued mail. Once it is sent or refused, only the masked address is kept, for staff."""

    recipient: str
    subject: str
    text: str
    queued_at: datetime
    attempts: int = 0
    sent_at: datetime | None = None
    refused_at: datetime | None = None

    @property
    def state(self) -> str:
        """Return "sent", "refused" or "waiting"."""
        if self.sent_at is not None:
            return "sent"
        return "waiting" if self.refused_at is None else "refused"

    @property
    def masked_recipient(self) -> str:
        """Return the address as staff may see it."""
        return mask_address(self.recipient) if self.state == "waiting" else self.recipient

    @property
    def description(self) -> str:
        """Return state, time, subject and masked address in one line."""
        at = self.sent_at or self.refused_at or self.queued_at
        return f"{self.state} {at:%Y-%m-%d %H:%M}: {self.subject}, to {self.masked_recipient}"


@dataclass(frozen=True, slots=True)
class MailOutbox:
    """The queue of mails, and the step of the worker that sends them.

    ``about`` is the borrower number or person id that a mail concerns. ``list_mails`` finds the
    mails by it.
    """

    store: Store
    hmacs: LookupHmacs
    mail: Mail | None
    texts: MailTexts
    now: Callable[[], datetime]
    wake: WakeSignal | None = None
    tell: EventPort = discard_event

    def queue_mail(self, draft: Write) -> Key:
        """Queue a mail that ``draft_mail`` returned, and return its key."""
        self.store.put(*draft, self.now())
        self.wake_worker()
        return draft.key

    def draft_mail(
        self,
        recipient: str,
        content: MailContent,
        language: str,
        *,
        about: str,
        lasts: timedelta = MAIL.span,
        due: datetime | None = None,
    ) -> Write:
        """Return the write that queues a mail, for ``queue_mail`` or ``put_many``.

        After ``put_many`` call ``wake_worker``. A mail that is not sent within ``lasts`` is
        dropped. A mail with a later ``due`` waits until then, or until ``release_mail``.
        """
        now = self.now()
        mail_text = self.texts.render(content, language)
        queued = QueuedMail(recipient, mail_text.subject, mail_text.text, now)
        queue_entry = Content(queued, min(MAIL.until(now), now + lasts), due or now)
        key = Key("mail", mail_group(self.hmacs, about), secrets.token_hex(16))
        return self._mails.draft(key, queue_entry, None)

    def wake_worker(self) -> None:
        """Tell the background worker that a mail is due."""
        if self.wake is not None:
            self.wake.set()

    def release_mail(self, key: Key) -> None:
        """Make a waiting mail due now."""
        now = self.now()

        def release(record: Record[QueuedMail] | None) -> Content[QueuedMail] | None:
            if record is None or record.due is None:
                return None
            return Content(record.value, record.until, now)

        self._mails.amend(key, release, now)
        self.wake_worker()

    def cancel_mail(self, key: Key) -> None:
        """Remove a waiting mail."""
        self.store.drop(key)

    def list_mails(self, about: str) -> tuple[QueuedMail, ...]:
        """Return the mails about a borrower or person, newest first."""
        records = self._mails.list("mail", mail_group(self.hmacs, about), self.now())
        mails = [record.value for record in records]
        return tuple(sorted(mails, key=attrgetter("queued_at"), reverse=True))

    def list_waiting(self) -> list[datetime]:
        """Return when each mail that has not been sent or refused was queued, oldest first."""
        stored = self.store.list("mail", None, self.now())
        return sorted(load(QueuedMail, each.value).queued_at for _, each in stored if each.due)

    def step(self) -> bool:
        """Send the mail that has been due longest; False if none is due."""
        now = self.now()
        claimed = self._mails.claim("mail", now + _SENDING, now) if self.mail else None
        if claimed is None or self.mail is None:
            return False
        record = claimed.record
        try:
            mail = record.value
            self.mail.send(mail.recipient, mail.subject, mail.text, now + _SENDING)
        except RecipientRefused:
            self.tell(BrokerEvent(EventKind.MAIL_REFUSED))
            self._end(record, replace(record.value, refused_at=self.now()))
        except MailUnavailable:
            attempts = record.value.attempts
            later = replace(record.value, attempts=attempts + 1)
            due = self.now() + retry_delay(attempts)
            content = Content(later, record.until, due)
            self._mails.write(record.key, content, record.version, self.now())
        else:
            self._end(record, replace(record.value, sent_at=self.now()))
        claimed.lease.end(self.now())
        return True

    def _end(self, record: Record[QueuedMail], mail: QueuedMail) -> None:
        """Keep what staff may see of a mail that was sent or refused."""
        now = self.now()
        shown = replace(mail, recipient=mask_address(mail.recipient), text="")
        content = Content(shown, MAIL_SENT.until(now))
        self._mails.write(record.key, content, record.version, now)

    @property
    def _mails(self) -> Records[QueuedMail]:
        return Records(self.store, QueuedMail)


def mail_group(hmacs: LookupHmacs, about: str) -> str:
    """Return the group of the mails about a borrower number or person id."""
    return hmacs.compute("mails about", about)
