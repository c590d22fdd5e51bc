"""The demo's mailbox: a mail server that keeps mails in memory, and a page that shows them."""

import re
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import default
from typing import Final

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as Arrivals
from flask import Flask, Response, render_template

from broker.demo.demo_app import create_demo_app
from broker.demo.run.loopback_server import serve_on_loopback

_KEPT: Final = 200
_READY_WITHIN: Final = 60.0  # seconds, on a busy machine
_MAIL_WITHIN: Final = 60.0


@dataclass(frozen=True, slots=True)
class ReceivedMail:
    """A mail as it arrived."""

    recipients: tuple[str, ...]
    subject: str
    text: str
    received: datetime
    octets: bytes = field(repr=False, default=b"")


class Mailbox(Arrivals):
    """A mail server that keeps the last 200 mails, and its page, both on ports of loopback."""

    def __init__(self, port: int, page_port: int) -> None:
        """Set the ports; ``listen`` opens them."""
        super().__init__()
        self._kept: deque[ReceivedMail] = deque(maxlen=_KEPT)
        self._port, self._page_port = port, page_port

    @contextmanager
    def listen(self) -> Iterator[None]:
        """Listen on both ports while the block runs. Raise OSError if a port is in use."""
        controller = Controller(
            self, hostname="127.0.0.1", port=self._port, ready_timeout=_READY_WITHIN
        )
        with serve_on_loopback(page(self), self._page_port):
            controller.start()
            try:
                yield
            finally:
                controller.stop(no_assert=True)

    def handle_message(self, message: Message) -> None:
        """Keep one mail; aiosmtpd has written the envelope's recipients into a header."""
        octets = message.as_bytes()
        mail = message_from_bytes(octets, policy=default)
        recipients = tuple(str(mail["X-RcptTo"]).split(", "))
        subject = str(mail["Subject"] or "")
        received = ReceivedMail(recipients, subject, _text(mail), datetime.now(UTC), octets)
        self._kept.append(received)

    def mails(self) -> tuple[ReceivedMail, ...]:
        """Return the mails, newest first."""
        return tuple(reversed(self._kept))

    def wait_for(
        self, pattern: re.Pattern[str], addresses: frozenset[str], earlier: int = 0
    ) -> str | None:
        """Wait for a mail to one of ``addresses``. Return what ``pattern`` captures in its text.

        The ``earlier`` oldest mails do not count. Return None if no such mail comes.
        """
        until = time.monotonic() + _MAIL_WITHIN
        while time.monotonic() < until:
            mails = self.mails()
            for mail in mails[: len(mails) - earlier]:
                found = pattern.search(mail.text)
                if found and addresses & set(mail.recipients):
                    return found[1]
            time.sleep(0.05)
        return None


def page(mailbox: Mailbox) -> Flask:
    """Return the application that shows ``mailbox``."""
    app = create_demo_app()

    @app.get("/")
    def index() -> str:
        return render_template("mailbox.html", mails=mailbox.mails())

    @app.after_request
    def add_security_headers(response: Response) -> Response:
        policy = "default-src 'none'; style-src 'self'; frame-ancestors 'none'"
        response.headers["Content-Security-Policy"] = policy
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return app


def _text(mail: Message) -> str:
    body = None
    if isinstance(mail, EmailMessage):
        body = mail.get_body(("plain",))
    if body is None:
        return ""
    return str(body.get_content())
