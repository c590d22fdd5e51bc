"""Mail over SMTP: one message to one recipient, accepted by the server before a deadline."""

import smtplib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import make_msgid, parseaddr
from typing import Final
from urllib.parse import urlsplit

from broker.core.errors import (
    ConfigurationFaults,
    Fault,
    MailUnavailable,
    RecipientRefused,
    name_cause,
)
from broker.core.identity.mail_addresses import normalize_address

_PORTS: Final = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
# Part of a failure, and what to look at; the first part that fits counts.
_FIXES: Final = {
    "SMTPAuthenticationError": "see mail.username and mail.password",
    "SMTPNotSupportedError": "the server offers no STARTTLS or no login: see mail.url",
    "CertVerification": "its certificate has another name or an issuer that is not trusted here",
    "answered": "the server takes no mail from or for the sender: see mail.sender",
    "SSLError": "see mail.url: the port may need smtps:// or smtp+starttls://",
    "": "see mail.url, and whether the mail server is up",
}
_TIMEOUT_S: Final = 15.0  # for each answer of the server
_PERMANENT: Final = range(500, 600)  # a server repeats these answers (RFC 5321 4.2.1)


def encode_address(text: str) -> str:
    """Return an address in ASCII. Raises MailUnavailable if it is not a plain address."""
    address = normalize_address(text)
    if address is None:
        raise MailUnavailable("the recipient is not a plain mail address")
    return address


@dataclass(frozen=True, slots=True)
class Smtp:
    """A mail server at ``url``: ``smtp://`` (for loopback), ``smtp+starttls://`` or ``smtps://``.

    ``sender`` is an address with or without a display name. Raises ConfigurationFaults if it cannot
    be used.
    """

    url: str
    sender: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    trust: ssl.SSLContext | None = None  # None: the authorities of the system

    def __post_init__(self) -> None:
        """Check the sender; the settings check the URL."""
        try:
            self._address()
        except (MailUnavailable, ValueError):
            raise ConfigurationFaults([Fault("mail.sender", "is not a mail address")]) from None

    def send(self, recipient: str, subject: str, text: str, deadline: datetime) -> None:
        """Send one mail.

        Raises MailUnavailable unless the server accepted it, begun before ``deadline``.

        RecipientRefused, which is one, if another try would not help. No error names the recipient.
        """
        to = encode_address(recipient)
        message = self._compose(to, subject, text)
        with self._connect(deadline) as server:
            self._name_parties(server, to)
            _expect("DATA", server.data(message)[0])

    def probe(self, deadline: datetime) -> Sequence[str]:
        """Return in sentences what keeps mail from leaving; no mail is sent.

        Connect, start TLS, log in, and name the sender, also as recipient.
        """
        try:
            with self._connect(deadline) as server:
                self._name_parties(server, self._address().addr_spec)
        except MailUnavailable as error:
            parts = urlsplit(self.url)
            port = parts.port or _PORTS[parts.scheme]
            fix = next(fix for part, fix in _FIXES.items() if part in str(error))
            return (f"{parts.scheme}://{parts.hostname}:{port}: {error} ({fix})",)
        return ()

    def _address(self) -> Address:
        name, address = parseaddr(self.sender)
        if not self.sender.isprintable():
            raise ValueError("the sender has control characters")
        return Address(name, addr_spec=encode_address(address))

    @contextmanager
    def _connect(self, deadline: datetime) -> Iterator[smtplib.SMTP]:
        """Yield a connection that is encrypted and logged in as configured, and close it.

        Every failure becomes MailUnavailable without the server's words, which quote addresses.
        """
        if datetime.now(UTC) >= deadline:
            raise MailUnavailable("the deadline has passed")
        parts = urlsplit(self.url)
        place = (parts.hostname or "", parts.port or _PORTS[parts.scheme])
        # The greeting names the sender's domain, not this machine.
        domain = self._address().domain
        trust = self.trust or ssl.create_default_context()
        try:
            if parts.scheme == "smtps":
                server: smtplib.SMTP = smtplib.SMTP_SSL(
                    *place, domain, timeout=_TIMEOUT_S, context=trust
                )
            else:
                server = smtplib.SMTP(*place, domain, timeout=_TIMEOUT_S)
            try:
                if parts.scheme == "smtp+starttls":
                    server.starttls(context=trust)  # raises if the server does not offer it
                server.ehlo_or_helo_if_needed()
                if self.username and self.password is not None:
                    server.login(self.username, self.password)
                yield server
                with suppress(smtplib.SMTPException, OSError):
                    server.quit()
            finally:
                server.close()
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise MailUnavailable(name_cause(error)) from None

    def _name_parties(self, server: smtplib.SMTP, to: str) -> None:
        """Name sender and recipient. Raises MailUnavailable unless both are accepted."""
        _expect("MAIL", server.mail(self._address().addr_spec)[0])
        code = server.rcpt(to)[0]
        if code in _PERMANENT:
            raise RecipientRefused(f"RCPT answered {code}")
        _expect("RCPT", code, also=251)  # the server forwards the mail

    def _compose(self, to: str, subject: str, text: str) -> bytes:
        sender = self._address()
        message = EmailMessage(policy=SMTP)
        try:
            message["From"] = sender
            message["To"] = Address(addr_spec=to)
            # A line break in it raises, so that it cannot add a header.
            message["Subject"] = subject
        except ValueError:
            raise MailUnavailable("a header of the message does not fit in one line") from None
        message["Date"] = datetime.now(UTC)
        message["Message-ID"] = make_msgid(domain=sender.domain)
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
        message.set_content(text, cte="quoted-printable")
        return message.as_bytes()


def _expect(command: str, code: int, also: int = 250) -> None:
    if code not in {250, also}:
        raise MailUnavailable(f"{command} answered {code}")
