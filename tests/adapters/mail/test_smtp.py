"""Mail over real connections: accepted and refused recipients, TLS, headers, and errors without addresses."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from broker.adapters.mail.smtp import Smtp, encode_address
from broker.core.errors import ConfigurationFaults, MailUnavailable, RecipientRefused
from tests.plugins.feed_server import make_tls
from tests.plugins.ports import free_port

TO = "aase@example.org"


class Server:
    """A mail server's answers to RCPT and DATA."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.rcpt = "250 OK"
        self.end = "250 OK"
        self.greeted: list[str] = []
        self.encrypted: list[bool] = []

    async def handle_RCPT(self, _server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        """Accept or refuse a recipient."""
        del options
        self.greeted.append(session.host_name)
        envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        """Record a mail."""
        self.mails.append(envelope.content)
        self.encrypted.append(server.transport.get_extra_info("ssl_object") is not None)
        return self.end


def soon(seconds: float = 60) -> datetime:
    """Return a deadline."""
    return datetime.now(UTC) + timedelta(seconds=seconds)


@contextmanager
def serving(server: Server, **options: Any) -> Iterator[int]:
    """Run a real SMTP server and yield its port."""
    port = free_port()
    controller = Controller(server, hostname="127.0.0.1", port=port, ready_timeout=60.0, **options)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


@pytest.fixture
def server() -> Server:
    """Return the server's answers."""
    return Server()


@pytest.fixture
def smtp(server: Server) -> Iterator[Smtp]:
    """Return the mail adapter of a running server."""
    with serving(server) as port:
        yield Smtp(f"smtp://127.0.0.1:{port}", "AU Library <library@au.example>")


def send(smtp: Smtp, subject: str = "Prøve", text: str = "Hej\n.\nÆØÅ\n", to: str = TO) -> None:
    """Send one mail."""
    smtp.send(to, subject, text, soon())


@pytest.mark.server
def test_a_mail_arrives_as_written(smtp: Smtp, server: Server) -> None:
    """Non-ASCII letters, a single full stop, and the header against automatic replies."""
    send(smtp)
    mail = message_from_bytes(server.mails[0], policy=default)
    assert (mail["From"], mail["To"], mail["Subject"]) == ("AU Library <library@au.example>", TO, "Prøve")
    assert mail.get_content().replace("\r\n", "\n") == "Hej\n.\nÆØÅ\n"
    assert (mail["Auto-Submitted"], mail["Date"].datetime.tzinfo) == ("auto-generated", UTC)
    assert all(octet < 128 for octet in server.mails[0])


@pytest.mark.server
@pytest.mark.parametrize(
    ("answer", "is_permanent"), [("550 <aase@example.org> unknown", True), ("450 later", False), ("252 ?", False)]
)
def test_a_refused_recipient_is_not_named(smtp: Smtp, server: Server, answer: str, is_permanent: bool) -> None:
    """Only 250 and 251 accept. A permanent refusal has its own error."""
    server.rcpt = answer
    with pytest.raises(MailUnavailable) as caught:
        send(smtp)
    assert isinstance(caught.value, RecipientRefused) is is_permanent
    assert "aase" not in f"{caught.value!r}{caught.value.__cause__!r}"


@pytest.mark.server
@pytest.mark.parametrize("answer", ["451 <aase@example.org> later", "552 too big", "251 perhaps", "354 go on"])
def test_a_refused_text_is_not_sent(smtp: Smtp, server: Server, answer: str) -> None:
    """Only 250 accepts DATA."""
    server.end = answer
    with pytest.raises(MailUnavailable) as caught:
        send(smtp)
    assert "aase" not in str(caught.value)


@pytest.mark.server
def test_a_server_that_is_down(server: Server) -> None:
    """No process listens."""
    with serving(server) as port:
        pass
    with pytest.raises(MailUnavailable):
        send(Smtp(f"smtp://127.0.0.1:{port}", "library@au.example"))


@pytest.mark.server
def test_a_deadline_that_has_passed_opens_nothing(smtp: Smtp, server: Server) -> None:
    """No connection is opened."""
    with pytest.raises(MailUnavailable):
        smtp.send(TO, "Prøve", "Hej", soon(-1))
    assert server.greeted == []


@pytest.mark.parametrize(
    "address",
    [
        "", "aase", "@example.org", "aase@", "aase@localhost", "aase@-x.org", "aase@[127.0.0.1]", '"a b"@example.org',
        "a..b@example.org", "aåse@example.org", "aase@example.org\r\nBcc: x@y.org", "aase\n@example.org",
        "aase@example.org>\r\nRCPT TO:<x@y.org", "a@b@example.org", "aase@example.org ", f"{'a' * 65}@example.org",
        f"aase@{'a' * 64}.org", "aase@example..org",
    ],
)  # fmt: skip
def test_only_a_plain_address_reaches_the_server(address: str) -> None:
    """No line break, quote or second address reaches a command or a header, or the error."""
    with pytest.raises(MailUnavailable) as caught:
        encode_address(address)
    assert not address or address not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "wire"), [("aase@example.org", "aase@example.org"), ("a.b+c@Blåbær.dk", "a.b+c@xn--blbr-roah.dk")]
)
def test_plain_addresses_go_out_in_ascii(address: str, wire: str) -> None:
    """A domain with other letters is spelled as DNS spells it."""
    assert encode_address(address) == wire


@pytest.mark.server
def test_a_subject_cannot_add_a_header(smtp: Smtp, server: Server) -> None:
    """A line break in a subject would end the header."""
    with pytest.raises(MailUnavailable):
        send(smtp, subject="Prøve\r\nBcc: x@example.net")
    assert server.mails == []


@pytest.mark.server
@pytest.mark.parametrize(("scheme", "option"), [("smtp+starttls", "tls_context"), ("smtps", "ssl_context")])
def test_tls_is_used_and_its_certificate_checked(server: Server, tmp_path: Path, scheme: str, option: str) -> None:
    """Mail is sent only to a server with a trusted certificate."""
    tls, trusted = make_tls(tmp_path)
    with serving(server, **{option: tls}) as port:
        url = f"{scheme}://127.0.0.1:{port}"
        send(Smtp(url, "library@au.example", trust=ssl.create_default_context(cafile=trusted)))
        with pytest.raises(MailUnavailable):
            send(Smtp(url, "library@au.example"))
    assert (len(server.mails), server.encrypted) == (1, [True])


@pytest.mark.server
def test_a_server_without_starttls_gets_no_mail(server: Server) -> None:
    """An attacker on the way may have removed the offer of TLS."""
    with serving(server) as port, pytest.raises(MailUnavailable):
        send(Smtp(f"smtp+starttls://127.0.0.1:{port}", "library@au.example"))
    assert server.mails == []


@pytest.mark.server
def test_a_probe_speaks_to_the_server_and_sends_nothing(smtp: Smtp, server: Server) -> None:
    """It names sender and recipient."""
    assert smtp.probe(soon()) == ()
    assert (len(server.greeted), server.mails) == (1, [])


@pytest.mark.parametrize("sender", ["library", "AU\r\nBcc: a@b.org <library@au.example\r\n>", "", "a <>"])
def test_an_unusable_sender_is_a_configuration_fault(sender: str) -> None:
    """At the start, not at the first mail."""
    with pytest.raises(ConfigurationFaults):
        Smtp("smtp://x", sender)


def test_the_repr_hides_the_password() -> None:
    """Settings get logged."""
    assert "geheim" not in repr(Smtp("smtps://x", "library@au.example", "me", "geheim"))
