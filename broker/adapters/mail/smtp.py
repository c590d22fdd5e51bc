"""Mail over SMTP: the recipient accepted first, the text sent when it is time, by one deadline."""

import secrets
import smtplib
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from threading import Timer
from typing import Final
from urllib.parse import urlsplit

from broker.core.errors import ConfigurationFaults, Fault, MailUnavailable, RecipientRefused
from broker.core.identity.mail_addresses import normalize_address

_PORTS: Final = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
# What stands in a cause, the first that fits, and what to look at then.
_MENDS: Final = {
    "connecting": "see mail.url, and whether the mail server is up",
    "SMTPAuthenticationError": "see mail.username and mail.password",
    "SMTPNotSupportedError": "the server offers no STARTTLS or no login: see mail.url",
    "CertVerification": "its certificate is another name's, or of nobody whom this machine trusts",
    "answered": "the server takes no mail from or for the sender: see mail.sender",
    "": "see mail.url: the port may want smtps:// or smtp+starttls://",
}
_NEVER: Final = range(500, 600)  # what a server answers that will say so again (RFC 5321 4.2.1)


def mailbox(text: str) -> str:
    """Return an address as it goes on the wire (``mail_addresses.plain``).

    MailUnavailable where it is no plain address.
    """
    address = normalize_address(text)
    if address is None:
        raise MailUnavailable("the recipient is not a plain mail address")
    return address


@dataclass(frozen=True, slots=True)
class Smtp:
    """A mail server at ``url``: ``smtp://`` (plain, for loopback), ``smtp+starttls://`` or ``smtps://``.

    ``sender`` is an address, with a display name or without. ConfigurationFaults where url or
    sender does not read.
    """

    url: str
    sender: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout: float = 15.0
    trust: ssl.SSLContext | None = None  # None: the authorities of the system

    def __post_init__(self) -> None:
        """Refuse a configuration that can never send."""
        faults = []
        if not self._reachable():
            url_fault = "is not smtp://, smtp+starttls:// or smtps:// and a host"
            faults.append(Fault("mail.url", url_fault))
        if not self._sendable():
            faults.append(Fault("mail.sender", "is not a mail address"))
        if faults:
            raise ConfigurationFaults(faults)

    def _reachable(self) -> bool:
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError:
            return False
        if parts.scheme not in _PORTS or not parts.hostname:
            return False
        return port != 0 and not parts.username

    def _sendable(self) -> bool:
        name, own = parseaddr(self.sender)
        try:
            return self.sender.isprintable() and bool(Address(name, addr_spec=mailbox(own)))
        except (MailUnavailable, ValueError):
            return False

    def probe(self, deadline: datetime) -> Sequence[str]:
        """Return in sentences what keeps mail from leaving; no mail is sent.

        It connects, starts TLS, logs in and names the sender, also as recipient; all by
        ``deadline`` (aware UTC).
        """
        try:
            conversation = self.address(parseaddr(self.sender)[1], deadline)
        except MailUnavailable as error:
            cause = str(error)
            mends = [fix for part, fix in _MENDS.items() if part in cause]
            return (f"{self._named()}: {cause} ({mends[0]})",)
        conversation.reset()
        conversation.close()
        return ()

    def _named(self) -> str:
        parts = urlsplit(self.url)
        port = parts.port or _PORTS[parts.scheme]
        return f"{parts.scheme}://{parts.hostname}:{port}"

    def address(self, recipient: str, deadline: datetime) -> "Conversation":
        """Open a conversation as far as an accepted RCPT, to end by ``deadline`` (aware UTC).

        MailUnavailable, which never names the recipient; RecipientRefused, which is one, where
        trying again would not help.
        """
        to = mailbox(recipient)
        name, own = parseaddr(self.sender)
        sender = Address(name, addr_spec=mailbox(own))
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        with _failing("connecting"):
            connected = socket.create_connection((host, port), min(_left(deadline), self.timeout))
        with ExitStack() as undone, _failing("before RCPT"):
            undone.callback(connected.close)
            end = _ConnectionEnd(connected, deadline)
            undone.callback(end.release)
            server = _ConnectedServer(self._wrapped(connected), host, sender.domain)
            undone.callback(server.close)
            self._greet(server)
            conversation = Conversation(server, sender, to, end)
            conversation.introduce()
            undone.pop_all()
        return conversation

    def _wrapped(self, connected: socket.socket) -> socket.socket:
        parts = urlsplit(self.url)
        if parts.scheme != "smtps":
            return connected
        return self._trust().wrap_socket(connected, server_hostname=parts.hostname)

    def _greet(self, server: smtplib.SMTP) -> None:
        server.ehlo()
        if urlsplit(self.url).scheme == "smtp+starttls":
            # Raises where the server offers no STARTTLS: a stripped offer must not end in clear
            # text.
            server.starttls(context=self._trust())
            server.ehlo()
        if self.username and self.password is not None:
            server.login(self.username, self.password)

    def _trust(self) -> ssl.SSLContext:
        return self.trust or ssl.create_default_context()


class Conversation:
    """One message, its recipient accepted and its text not yet sent (the port's ``Letter``)."""

    def __init__(
        self, server: smtplib.SMTP, sender: Address, recipient: str, end: "_ConnectionEnd"
    ) -> None:
        """Take a greeted server and the end of its connection."""
        self._server = server
        self._sender = sender
        self._recipient = recipient
        self._end = end

    def introduce(self) -> None:
        """Name sender and recipient; MailUnavailable unless both are accepted."""
        self._accepted("MAIL", self._server.mail(self._sender.addr_spec)[0])
        code = self._server.rcpt(self._recipient)[0]
        if code in _NEVER:
            raise RecipientRefused(f"RCPT answered {code}")
        self._accepted("RCPT", code, also=251)

    def send(self, subject: str, text: str) -> None:
        """Send the text; MailUnavailable unless the server answered 250."""
        message = self._message(subject, text)
        with _failing("DATA"):
            self._accepted("DATA", self._server.data(message)[0])

    def reset(self) -> None:
        """Take sender and recipient back: nothing is to be sent."""
        with suppress(smtplib.SMTPException, OSError, ValueError):
            self._server.rset()

    def close(self) -> None:
        """End the conversation; nothing is sent if ``send`` was not called."""
        try:
            with suppress(smtplib.SMTPException, OSError, ValueError):
                self._server.quit()
        finally:
            self._server.close()
            self._end.release()

    def _message(self, subject: str, text: str) -> bytes:
        message = EmailMessage(policy=SMTP)
        try:
            message["From"] = self._sender
            message["To"] = Address(addr_spec=self._recipient)
            # A line break in it raises: no second header can be smuggled in.
            message["Subject"] = subject
        except ValueError:
            raise MailUnavailable("a header of the message does not fit in one line") from None
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = f"<{secrets.token_hex(16)}@{self._sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
        message.set_content(text, cte="quoted-printable")
        return message.as_bytes()

    def _accepted(self, command: str, code: int, also: int = 250) -> None:
        if code not in {250, also}:
            raise MailUnavailable(f"{command} answered {code}")


class _ConnectedServer(smtplib.SMTP):
    """A server whose connection is open already; greeted by a name that is not this machine's."""

    def __init__(self, connected: socket.socket, host: str, greeting: str) -> None:
        self._connected = connected
        try:
            # Only what we replace ever looks at the port.
            super().__init__(host, 25, greeting)
        except BaseException:
            connected.close()
            raise

    def _get_socket(self, *_place: object) -> socket.socket:
        return self._connected


class _ConnectionEnd:
    """The end of a connection: at ``deadline`` it is cut, be it in the middle of a TLS handshake.

    A socket's own timeout counts from each byte, so a server that trickles would hold us for ever.
    """

    def __init__(self, connected: socket.socket, deadline: datetime) -> None:
        self._same = connected.dup()  # stays the connection when TLS takes the original away
        seconds = (deadline - datetime.now(UTC)).total_seconds()
        self._timer = Timer(max(0.0, seconds), self._cut)
        self._timer.daemon = True
        self._timer.start()

    def release(self) -> None:
        """Stop waiting for the deadline: there is nothing to cut any more."""
        self._timer.cancel()
        self._timer.join()
        self._same.close()

    def _cut(self) -> None:
        with suppress(OSError):
            self._same.shutdown(socket.SHUT_RDWR)


@contextmanager
def _failing(where: str) -> Iterator[None]:
    """Turn every failure into MailUnavailable, without the server's words: they quote addresses."""
    try:
        yield
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise MailUnavailable(f"{where}: {type(error).__name__}") from None


def _left(deadline: datetime) -> float:
    seconds = (deadline - datetime.now(UTC)).total_seconds()
    if seconds <= 0:
        raise MailUnavailable("the deadline has passed")
    return seconds
