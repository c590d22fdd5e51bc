"""PINs asked for: the link in a mail, its button, and a PIN chosen or made after a login."""

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Semaphore
from typing import Any

import pytest

from broker.adapters.mail.smtp import Conversation, Smtp
from broker.adapters.stores.open_store import open_store
from broker.core.errors import (
    BrokerError,
    LibraryRefused,
    LibraryUnavailable,
    LinkGone,
    MailUnavailable,
    PinNotSet,
    PinRefused,
    PinUnderWay,
    PinUnsettled,
    TooMany,
)
from broker.core.identity.mail_addresses import masked
from broker.core.ports import Letter
from broker.flows.proofs.pin_renewal import CHANGES, LINK_LASTS, PER_NETWORK, PinRenewal
from tests.plugins.pin_bench import CPR, NUMBER, PIN, Bench
from tests.plugins.ports import free_port

HERE = "192.0.2.0/24"


def asked(bench: Bench, digits: str = CPR, network: str = HERE, language: str = "en") -> PinRenewal:
    """Ask for a PIN, and write what is due."""
    letters = bench.letters()
    letters.ask(digits, network, language)
    while letters.step():
        pass
    return letters


def mailed(bench: Bench) -> str:
    """Give the PIN in the newest mail."""
    found = re.search(r"is: (\d{4})$", bench.mailbox.mails()[0].text, re.MULTILINE)
    assert found
    return found[1]


@pytest.mark.parametrize("digits", [CPR, NUMBER])
def test_a_link_is_mailed_to_the_address_on_file(pin_bench: Bench, digits: str) -> None:
    """Whichever number was given, the link goes to the borrower's own address, and nothing has changed yet."""
    asked(pin_bench, digits)
    [mail] = pin_bench.mailbox.mails()
    assert mail.recipients == ("aase@post.example",)
    assert f"https://login.library.example/pin?link={pin_bench.secret()}&lang=en" in mail.text
    assert CPR not in mail.octets.decode()
    assert pin_bench.works(PIN)


def test_nothing_is_looked_up_before_the_answer(pin_bench: Bench) -> None:
    """Asking only queues: known and unknown numbers take the same time, and read the same."""
    for digits in (CPR, "0303820000"):
        pin_bench.letters().ask(digits, HERE, "da")
    assert pin_bench.shape() == []
    assert pin_bench.mailbox.mails() == ()


@pytest.mark.parametrize("digits", ["0303820000", "77", "2", "0202810000"])
def test_who_is_unknown_or_has_no_mail_gets_nothing(pin_bench: Bench, digits: str) -> None:
    """Nobody's number, a borrower without an address, and a stranger's card number all end in silence."""
    letters = asked(pin_bench, digits)
    assert pin_bench.mailbox.mails() == ()
    assert not letters.step()


def test_the_button_makes_and_mails_a_pin_once(pin_bench: Bench) -> None:
    """The new PIN works, the old one no longer; the same link leads nowhere, and nobody is told the address."""
    letters = asked(pin_bench)
    secret = pin_bench.secret()
    assert letters.opened(secret) == letters.opened(secret)
    assert pin_bench.works(PIN)
    assert letters.press(secret) == "a•••@p•••"
    assert pin_bench.works(mailed(pin_bench))
    assert not pin_bench.works(PIN)
    assert CPR not in pin_bench.mailbox.mails()[0].octets.decode()
    for again in (letters.opened, letters.press):
        with pytest.raises(LinkGone):
            again(secret)


def test_a_link_runs_out(pin_bench: Bench) -> None:
    """After half an hour the link is worth nothing, and neither is one that was never mailed."""
    letters = asked(pin_bench)
    pin_bench.ahead += LINK_LASTS
    for secret in (pin_bench.secret(), "a" * 40, ""):
        with pytest.raises(LinkGone):
            letters.press(secret)
    assert pin_bench.works(PIN)


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest) -> str:
    """Give each store's URL."""
    return str(request.getfixturevalue("redis_url")) if request.param == "redis" else "sqlite:letters.db"


def test_presses_at_once_make_one_pin(pin_bench: Bench, tmp_path: Path, url: str) -> None:
    """Twelve presses in two workers: one makes and mails a PIN, which works; the others find the link used."""
    workers = [pin_bench.letters(open_store(url, tmp_path, accept_loss=True)) for _ in range(2)]
    workers[0].ask(CPR, HERE, "en")
    assert workers[1].step()
    secret = pin_bench.secret()

    def press(number: int) -> str:
        try:
            return workers[number % 2].press(secret)
        except LinkGone:
            return "gone"

    with ThreadPoolExecutor(12) as threads:
        assert sorted(threads.map(press, range(12))) == ["a•••@p•••"] + ["gone"] * 11
    assert len(pin_bench.mailbox.mails()) == 2
    assert pin_bench.works(mailed(pin_bench))


def test_a_press_between_read_and_write_is_too_late(pin_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that have both read the unused link: the one that writes first makes the PIN, the other makes none."""
    letters = asked(pin_bench)
    secret, put = pin_bench.secret(), pin_bench.store.put

    def overtaken(*args: Any, **how: Any) -> bool:
        monkeypatch.undo()
        pin_bench.letters().press(secret)
        return put(*args, **how)

    monkeypatch.setattr(pin_bench.store, "put", overtaken)
    with pytest.raises(LinkGone):
        letters.press(secret)
    assert len(pin_bench.mailbox.mails()) == 2
    assert pin_bench.works(mailed(pin_bench))


@pytest.mark.parametrize("deed", ["mail", "choose"])
def test_two_pins_at_once_leave_the_one_that_was_mailed_last(
    pin_bench: Bench, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    """A form sent twice, in two workers: while one sets and mails a PIN, no other sets one between the two."""
    set_pin = pin_bench.library.set_pin

    def overtaken(*args: Any) -> None:
        monkeypatch.undo()
        set_pin(*args)
        with suppress(LibraryUnavailable):
            beside = pin_bench.letters()
            beside.make(NUMBER, "en") if deed == "mail" else beside.choose(NUMBER, "5837", "en")

    monkeypatch.setattr(pin_bench.library, "set_pin", overtaken)
    pin_bench.letters().make(NUMBER, "en")
    assert pin_bench.works(mailed(pin_bench))
    pin_bench.letters().make(NUMBER, "en")
    assert pin_bench.works(mailed(pin_bench))


def test_without_a_mail_server_the_old_pin_works(pin_bench: Bench) -> None:
    """Until the mail server has accepted the recipient nothing changes, and the link can be pressed again."""
    letters = asked(pin_bench)
    secret = pin_bench.secret()
    pin_bench.smtp = Smtp(f"smtp://127.0.0.1:{free_port()}", "library@library.example")
    letters = pin_bench.letters()
    with pytest.raises(MailUnavailable):
        letters.press(secret)
    assert pin_bench.works(PIN)
    assert letters.opened(secret).number == NUMBER


def test_without_a_library_the_link_can_be_pressed_again(pin_bench: Bench) -> None:
    """A library system that is down costs nobody the link."""
    letters = asked(pin_bench)
    pin_bench.koha.faults.down = True
    with pytest.raises(LibraryUnavailable):
        letters.press(pin_bench.secret())
    pin_bench.koha.faults.down = False
    letters.press(pin_bench.secret())
    assert pin_bench.works(mailed(pin_bench))


def test_a_borrower_that_is_gone_gets_no_pin(pin_bench: Bench) -> None:
    """Between the mail and the button the desk may have deleted the borrower."""
    letters = asked(pin_bench)
    pin_bench.koha.patrons.drop(int(NUMBER))
    with pytest.raises(LibraryRefused):
        letters.press(pin_bench.secret())


def test_what_was_asked_survives_a_library_that_is_down(pin_bench: Bench) -> None:
    """The mail comes when the library answers again; a question a day old is dropped."""
    letters = pin_bench.letters()
    letters.ask(CPR, HERE, "en")
    pin_bench.koha.faults.down = True
    assert letters.step()
    assert not letters.step()
    pin_bench.koha.faults.down = False
    pin_bench.ahead += timedelta(minutes=1)
    assert letters.step()
    assert pin_bench.secret()


def test_a_question_is_given_up_after_a_day(pin_bench: Bench) -> None:
    """A library that is down for a day does not send letters that nobody waits for."""
    letters = pin_bench.letters()
    letters.ask(CPR, HERE, "en")
    pin_bench.koha.faults.down = True
    pin_bench.ahead += timedelta(hours=25)
    assert letters.step()
    pin_bench.ahead += timedelta(hours=3)
    assert not letters.step()


def test_one_mail_an_hour_and_three_a_day(pin_bench: Bench) -> None:
    """A borrower's mailbox is not a toy of strangers, however the borrower is named."""
    for digits in (CPR, NUMBER, CPR):
        asked(pin_bench, digits)
    assert len(pin_bench.mailbox.mails()) == 1
    for hours in (61, 122, 183, 244):
        pin_bench.ahead = timedelta(minutes=hours)
        asked(pin_bench, network=str(hours))
    assert len(pin_bench.mailbox.mails()) == 3


def test_a_mail_that_did_not_leave_is_not_counted(pin_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mail server that was down for a moment costs nobody the hour."""
    letters = pin_bench.letters()
    letters.ask(CPR, HERE, "en")
    with monkeypatch.context() as broken:
        broken.setattr(type(pin_bench.smtp), "address", _down)
        assert letters.step()
    pin_bench.ahead += timedelta(minutes=1)
    assert letters.step()
    assert len(pin_bench.mailbox.mails()) == 1


def _no_answer(*_: Any) -> None:
    raise LibraryUnavailable("no answer")


def _refused(*_: Any) -> None:
    raise LibraryRefused("too short")


def _down(*_: Any) -> Letter:
    raise MailUnavailable("down")


def test_a_number_may_be_asked_for_three_times_an_hour(pin_bench: Bench) -> None:
    """The fourth question is queued no more, and nobody can tell."""
    nobody = "0303820000"
    for _ in range(3):
        asked(pin_bench, nobody)
    letters = pin_bench.letters()
    letters.ask(nobody, HERE, "da")
    assert not letters.step()


def test_a_network_may_ask_ten_times_an_hour(pin_bench: Bench) -> None:
    """Whoever goes through numbers is stopped; another network is not."""
    letters = pin_bench.letters()
    for number in range(PER_NETWORK.most):
        letters.ask(str(100 + number), HERE, "da")
    with pytest.raises(TooMany):
        letters.ask("99", HERE, "da")
    letters.ask("99", "198.51.100.0/24", "da")


@pytest.mark.parametrize(
    ("pin", "fault"),
    [("407", "pin_not_four"), ("1234", "pin_trivial"), ("0101", "pin_trivial"), ("0180", "pin_trivial")],
)
def test_a_poor_choice_is_refused(pin_bench: Bench, pin: str, fault: str) -> None:
    """Not four digits, a pattern, or a piece of the date of birth or the CPR number: the old PIN stays."""
    for _ in range(6):
        assert pin_bench.letters().choose(NUMBER, pin, "en") == fault
    assert pin_bench.works(PIN)


def test_a_chosen_pin_works_and_a_notice_follows(pin_bench: Bench) -> None:
    """The address on file is told that the PIN was changed, not what it is."""
    letters = pin_bench.letters()
    assert letters.choose(NUMBER, "5837", "da") is None
    assert pin_bench.works("5837")
    assert letters.step()
    [mail] = pin_bench.mailbox.mails()
    assert (mail.recipients, mail.subject) == (("aase@post.example",), "Din pinkode til the library er ændret")
    assert "5837" not in mail.text


def test_a_choice_whose_answer_was_lost_is_carried_out(pin_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The person is told that nobody knows; a minute later it is set, and the notice says that it works."""
    letters = pin_bench.letters()
    with monkeypatch.context() as lost:
        lost.setattr(pin_bench.library, "set_pin", _no_answer)
        with pytest.raises(PinUnsettled):
            letters.choose(NUMBER, "5837", "da")
    assert not letters.step()
    assert pin_bench.works(PIN)
    pin_bench.ahead += timedelta(minutes=1)
    assert letters.step()
    assert pin_bench.works("5837")
    assert [mail.subject for mail in pin_bench.mailbox.mails()] == ["Din pinkode til the library er ændret"]


def test_a_choice_that_comes_to_nothing_is_not_told_as_made(pin_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library system refuses it at once, or when it is asked again: nobody is told that it was changed."""
    letters = pin_bench.letters()
    monkeypatch.setattr(pin_bench.library, "set_pin", _refused)
    with pytest.raises(PinRefused):
        letters.choose(NUMBER, "5837", "da")
    monkeypatch.setattr(pin_bench.library, "set_pin", _no_answer)
    with pytest.raises(PinUnsettled):
        letters.choose(NUMBER, "5837", "da")
    monkeypatch.setattr(pin_bench.library, "set_pin", _refused)
    pin_bench.ahead += timedelta(minutes=1)
    assert letters.step()
    assert not letters.step()
    assert pin_bench.mailbox.mails() == ()


def test_a_pin_that_was_set_and_not_mailed_is_mailed_by_the_worker(
    pin_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old one works no longer: whoever died or failed between the two, the same PIN is mailed a minute later."""
    letters = pin_bench.letters()
    with monkeypatch.context() as broken:
        broken.setattr(Conversation, "send", _down)
        with pytest.raises(MailUnavailable):
            letters.make(NUMBER, "en")
    assert not pin_bench.works(PIN)
    with pytest.raises(PinUnderWay):
        letters.choose(NUMBER, "5837", "en")
    pin_bench.ahead += timedelta(minutes=1)
    assert letters.step()
    assert pin_bench.works(mailed(pin_bench))
    assert not letters.step()
    assert letters.choose(NUMBER, "5837", "en") is None


def test_a_pin_that_would_not_work_is_not_mailed(pin_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither now nor later; the old one works, and the link can be pressed again."""
    letters = asked(pin_bench)
    secret = pin_bench.secret()
    monkeypatch.setattr(pin_bench.library, "set_pin", lambda *_: None)
    with pytest.raises(PinNotSet):
        letters.press(secret)
    monkeypatch.undo()
    pin_bench.ahead += timedelta(minutes=1)
    assert not letters.step()
    assert pin_bench.works(PIN)
    letters.press(secret)
    assert pin_bench.works(mailed(pin_bench))


def test_a_pin_is_made_and_mailed_after_a_login(pin_bench: Bench) -> None:
    """The person need not think of one; who has no address is told so, and keeps the old PIN."""
    assert pin_bench.letters().make(NUMBER, "en") == "a•••@p•••"
    assert pin_bench.works(mailed(pin_bench))
    assert pin_bench.letters().make("2", "en") is None


def test_ten_changes_an_hour(pin_bench: Bench) -> None:
    """Whoever got into a login does not try PINs out by setting them; an hour later it goes on."""
    letters = pin_bench.letters()
    for pin in map(str, range(5830, 5840)):
        assert letters.choose(NUMBER, pin, "en") is None
    with pytest.raises(TooMany):
        letters.choose(NUMBER, "4074", "en")
    with pytest.raises(TooMany):
        letters.make(NUMBER, "en")
    assert pin_bench.works("5839")
    pin_bench.ahead += timedelta(hours=1)
    assert letters.choose(NUMBER, "4074", "en") is None


@pytest.mark.parametrize("deed", ["choose", "make", "press"])
def test_where_the_library_is_only_observed_no_pin_is_set(pin_bench: Bench, deed: str) -> None:
    """In observe and frozen mode nothing is written, and no letter promises that it will be."""
    asked(pin_bench)
    letters = replace(pin_bench.letters(), live=False)
    what = {"choose": (NUMBER, "5837", "en"), "make": (NUMBER, "en"), "press": (pin_bench.secret(),)}[deed]
    with pytest.raises(BrokerError):
        getattr(letters, deed)(*what)
    assert pin_bench.works(PIN)
    letters.ask(NUMBER, HERE, "en")
    assert not letters.step()


@pytest.mark.parametrize(("address", "shown"), [("kim@dam.example", "k•••@d•••"), ("å@x.dk", "å•••@x•••")])
def test_an_address_is_shown_to_its_owner_only(address: str, shown: str) -> None:
    """Two letters are enough to know one's own by."""
    assert masked(address) == shown


@pytest.mark.parametrize("deed", ["choose", "make", "press"])
def test_nothing_waits_for_the_library_without_a_seat(pin_bench: Bench, deed: str) -> None:
    """A slow library system holds as many threads as it may and no more; what could not be tried is not counted."""
    asked(pin_bench)
    full = replace(pin_bench.letters(), waiting_slots=Semaphore(0))
    what = {"choose": (NUMBER, "5837", "en"), "make": (NUMBER, "en"), "press": (pin_bench.secret(),)}[deed]
    pin_bench.shape()
    for _ in range(12):
        with pytest.raises(LibraryUnavailable):
            getattr(full, deed)(*what)
    assert pin_bench.shape() == []
    assert getattr(pin_bench.letters(), deed)(*what) in {None, "a•••@p•••"}


def test_choices_that_will_not_do_are_counted_too(pin_bench: Bench) -> None:
    """One login does not have the library system read the same record all day."""
    letters = pin_bench.letters()
    assert {letters.choose(NUMBER, "0180", "en") for _ in range(CHANGES.most)} == {"pin_trivial"}
    pin_bench.shape()
    with pytest.raises(TooMany):
        letters.choose(NUMBER, "0180", "en")
    assert pin_bench.shape() == []
