"""The demo's mailbox."""

import json
import smtplib
from collections.abc import Iterator
from urllib.request import urlopen

import pytest

from broker.demo.run.mail_server import Mailbox
from tests.plugins.ports import free_port

pytestmark = pytest.mark.server


@pytest.fixture
def ports() -> tuple[int, int]:
    """Return two free ports."""
    return free_port(), free_port()


@pytest.fixture
def mailbox(ports: tuple[int, int]) -> Iterator[Mailbox]:
    """Return a mailbox that listens."""
    opened = Mailbox(*ports)
    opened.start()
    yield opened
    opened.stop()


def put(port: int, subject: str, text: str) -> None:
    """Send one mail."""
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as server:
        server.sendmail("library@example.org", ["aase@example.org"], f"Subject: {subject}\n\n{text}".encode())


def page(port: int, path: str) -> str:
    """Read a page of the mailbox."""
    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        return str(answer.read().decode())


def test_mails_are_shown_newest_first_and_escaped(mailbox: Mailbox, ports: tuple[int, int]) -> None:
    """What a mail says is text on the page, never markup."""
    assert "No mail yet" in page(ports[1], "/")
    put(ports[0], "elder", "<script>alert(1)</script>")
    put(ports[0], "=?utf-8?q?Pr=C3=B8ve?=", "second")
    shown = page(ports[1], "/")
    assert shown.index("Prøve") < shown.index("elder")
    assert "&lt;script&gt;" in shown
    assert "<script>" not in shown
    listed = json.loads(page(ports[1], "/mails.json"))
    assert [(each["recipients"], each["subject"]) for each in listed] == [
        (["aase@example.org"], "Prøve"),
        (["aase@example.org"], "elder"),
    ]
    assert mailbox.mails()[0].text.strip() == "second"


def test_the_last_two_hundred_are_kept(mailbox: Mailbox, ports: tuple[int, int]) -> None:
    """A demo that runs for weeks does not grow."""
    with smtplib.SMTP("127.0.0.1", ports[0], timeout=60) as server:
        for number in range(201):
            server.sendmail("library@example.org", ["aase@example.org"], f"Subject: {number}\n\n.".encode())
    kept = [mail.subject for mail in mailbox.mails()]
    assert (len(kept), kept[0], kept[-1]) == (200, "200", "1")
