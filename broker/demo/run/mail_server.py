"""The demo's mailbox: a mail server that keeps mails in memory, and a page that shows them."""

import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import default
from typing import Final
from zoneinfo import ZoneInfo

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as Arrivals
from flask import Flask, Response, jsonify, render_template
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from broker.demo.page_language import create_demo_app

_KEPT: Final = 200
_TIME_ZONE: Final = ZoneInfo("Europe/Copenhagen")
_READY_WITHIN: Final = 60.0  # seconds, on a busy machine


@dataclass(frozen=True, slots=True)
class ReceivedMail:
    """A mail as it arrived."""

    recipients: tuple[str, ...]
    subject: str
    text: str
    received: datetime
    octets: bytes = field(repr=False, default=b"")

    @property
    def local_time(self) -> str:
        """Return the time of day in Denmark, to the second."""
        return f"{self.received.astimezone(_TIME_ZONE):%H:%M:%S}"


class Mailbox:
    """A mail server that keeps the last 200 mails, and its page, both on ports of loopback."""

    def __init__(self, port: int, page_port: int) -> None:
        """Set the ports; ``start`` begins to listen."""
        self._kept: deque[ReceivedMail] = deque(maxlen=_KEPT)
        drop = _Drop(self._kept)
        self._controller = Controller(
            drop, hostname="127.0.0.1", port=port, ready_timeout=_READY_WITHIN
        )
        self._page_port = page_port
        self._server: BaseWSGIServer | None = None

    def start(self) -> None:
        """Listen on both ports in threads. Raise OSError if a port is in use."""
        self._server = make_server(
            "127.0.0.1", self._page_port, page(self), threaded=True, request_handler=_Quiet
        )
        self._controller.start()
        often = {"poll_interval": 0.02}  # stop() waits for the next poll
        threading.Thread(
            target=self._server.serve_forever, kwargs=often, name="mailbox page", daemon=True
        ).start()

    def stop(self) -> None:
        """Stop listening."""
        self._controller.stop(no_assert=True)
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def mails(self) -> tuple[ReceivedMail, ...]:
        """Return the mails, newest first."""
        return tuple(reversed(self._kept))


def page(mailbox: Mailbox) -> Flask:
    """Return the application that shows ``mailbox``: ``/`` and, for programs, ``/mails.json``."""
    app = create_demo_app()

    @app.get("/")
    def index() -> str:
        return render_template("mailbox.html", mails=mailbox.mails())

    @app.get("/mails.json")
    def listing() -> Response:
        return jsonify(
            [
                {"recipients": mail.recipients, "subject": mail.subject, "text": mail.text}
                for mail in mailbox.mails()
            ]
        )

    @app.after_request
    def add_security_headers(response: Response) -> Response:
        policy = "default-src 'none'; style-src 'self'; frame-ancestors 'none'"
        response.headers["Content-Security-Policy"] = policy
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return app


class _Drop(Arrivals):
    """Keeps the mails that the mail server receives."""

    def __init__(self, kept: deque[ReceivedMail]) -> None:
        super().__init__()
        self._kept = kept

    def handle_message(self, message: Message) -> None:
        """Keep one mail; aiosmtpd has written the envelope's recipients into a header."""
        octets = message.as_bytes()
        mail = message_from_bytes(octets, policy=default)
        recipients = tuple(str(mail["X-RcptTo"]).split(", "))
        subject = str(mail["Subject"] or "")
        received = ReceivedMail(recipients, subject, _text(mail), datetime.now(UTC), octets)
        self._kept.append(received)


def _text(mail: Message) -> str:
    body = None
    if isinstance(mail, EmailMessage):
        body = mail.get_body(("plain",))
    if body is None:
        return ""
    return str(body.get_content())


class _Quiet(WSGIRequestHandler):
    """Serves without writing request lines on the terminal."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Write nothing."""
