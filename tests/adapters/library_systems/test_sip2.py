"""A card and a PIN tried as a machine tries them, against a real server on a real socket."""

import socket
import threading
import time
from contextlib import suppress

import pytest

from broker.adapters.library_systems.sip2 import PinMachine
from broker.core.errors import LibraryUnavailable
from tests.adapters.library_systems.sip2_port import (
    STATUS,
    Answers,
    add_checksum,
    answer_with,
    make_account,
    plain,
    right,
    run_sip2_port,
)

pytestmark = pytest.mark.server

CARD, PIN = "0101800000", "4071"
RIGHT = right(CARD)


def until(seconds: float = 60) -> float:
    """Give a moment that no test comes near."""
    return time.monotonic() + seconds


def test_a_right_pin_is_accepted_after_a_login() -> None:
    """Login, then a question, each with a checksum that makes the sum 0."""
    with run_sip2_port(answer_with(RIGHT)) as (port, client, observed):
        assert client.ask(CARD, PIN, until())
    login, question = port.seen
    assert login.startswith("9300CNmachine|COsecret|CPAUL|AY0AZ")
    assert question.startswith("63009")
    assert f"AOAUL|AA{CARD}|AC|AD{PIN}|AY1AZ" in question
    assert len(question.partition("AO")[0]) == 2 + 3 + 18 + 10
    for message in port.seen:
        octets = message.rstrip("\r").encode()
        assert (sum(octets[:-4]) + int(octets[-4:], 16)) & 0xFFFF == 0
    assert observed == [("sip2", "done")]


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        (RIGHT.replace("CQY", "CQN"), False),
        (RIGHT.replace("BLY", "BLN"), False),
        (RIGHT.replace("CQY|", ""), False),
        (RIGHT.replace("|BLY", "").replace("|CQY", "|CQY|BLN"), False),
        (RIGHT.replace("AEÅse Prøvesen", "AEBLY|CQN"), False),
        (f"{STATUS}AOAUL|AANOPE|AE|BLN|AFInvalid cardnumber|", False),
        (RIGHT.replace("64     ", "64YYYYY"), True),  # expired or lost: the PIN is right all the same
        (f"{STATUS}CQY|BLY|AA{CARD}|AOAUL|", True),
    ],
)
def test_a_machine_demands_both_a_valid_borrower_and_a_right_pin(*, text: str, accepted: bool) -> None:
    """In whatever order the fields come; the first of a name counts."""
    with run_sip2_port(answer_with(text)) as (_, client, _observed):
        assert client.ask(CARD, PIN, until()) is accepted


@pytest.mark.parametrize(
    ("answers", "words", "setting"),
    [
        (answer_with(RIGHT, plain("940")), "the login of", "library.sip2"),
        (answer_with(RIGHT.replace(CARD, "0202810000")), "an answer about another card", None),
        (answer_with(RIGHT.replace(f"AA{CARD}|", "")), "an answer about another card", None),
        (answer_with(RIGHT[:40]), "no answer that can be read", None),
        (lambda _: add_checksum("941", 7), "no answer: ValueError", "library.sip2"),
        (lambda _: b"x" * 20_000, "no answer: ValueError", "library.sip2"),
        (lambda _: b"\x00\xff\r", "no answer that can be read", None),
    ],
)
def test_any_other_answer_raises_unavailable(answers: Answers, words: str, setting: str | None) -> None:
    """It is tried again and counted, and the error quotes no card, PIN or login secret."""
    with run_sip2_port(answers) as (_, client, observed), pytest.raises(LibraryUnavailable, match=words) as caught:
        client.ask(CARD, PIN, until())
    assert caught.value.setting == setting
    assert not any(secret in repr(caught.value) for secret in (CARD, PIN, "secret"))
    assert caught.value.__context__ is None
    assert observed == [("sip2", "unavailable")]


@pytest.mark.parametrize("card", ["0101800000|ADx", "0101\r80", "", "\x00"])
def test_a_card_number_with_a_separator_is_not_sent(card: str) -> None:
    """A bar or a line break in a card number would begin another field or message."""
    with run_sip2_port(answer_with(RIGHT)) as (port, client, _):
        assert not client.ask(card, PIN, until())
    assert port.seen == []


def test_a_server_that_trickles_or_is_silent_ends_by_the_deadline() -> None:
    """A timeout for each byte would last for ever."""
    over = threading.Event()
    for_ever = until(60)

    def trickle(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):  # the client may be gone before it is over
            while not over.wait(0.05) and time.monotonic() < for_ever:
                connection.sendall(b"9")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=trickle, args=(listener,), daemon=True)
        thread.start()
        account = make_account(listener.getsockname()[1])
        with pytest.raises(LibraryUnavailable, match="sip2: no answer: Timeout"):
            PinMachine(account, "", 10.0, lambda *_: None).ask(CARD, PIN, until(0.6))
        assert time.monotonic() < for_ever
        over.set()
        thread.join()
