"""PINs asked for: the letter with a code, the new PIN behind it, and one chosen or made after a login."""

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Semaphore
from typing import Any

import pytest

from broker.adapters.mail.letter_texts import LetterTexts
from broker.adapters.mail.smtp import Conversation, Smtp
from broker.adapters.stores.open_store import open_store
from broker.core.borrowers.borrower import Borrower
from broker.core.entities import Text
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
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Letter
from broker.use_cases.borrowers.pin_setting import PinSetting
from broker.use_cases.proofs.pin_check import PinCheck, PinProblem
from broker.use_cases.proofs.pin_letters import PinLetters
from broker.use_cases.proofs.pin_renewal import (
    CHANGES,
    MAILINGS,
    NEW_PINS,
    PER_IDENTIFIER,
    PER_NETWORK,
    Asking,
    PinRenewal,
)
from tests.plugins.pin_bench import CARD, CARD_OF_ANOTHER, CPR, DESK, NUMBER, PIN, Bench
from tests.plugins.ports import free_port

HERE = "192.0.2.0/24"


def asked(bench: Bench, typed: str = CPR, network: str = HERE, language: str = "en") -> PinRenewal:
    """Ask for a letter, and write what is due."""
    letters = bench.letters()
    letters.ask(typed, network, lambda: Asking(language, "26 November 2026", "the library"))
    while letters.step():
        pass
    return letters


def mailed(bench: Bench) -> str:
    """Give the PIN in the newest mail."""
    found = re.search(r"is: (\d{4})$", bench.mailbox.mails()[0].text, re.MULTILINE)
    assert found
    return found[1]


@pytest.mark.parametrize("typed", [CPR, CARD, CARD.lower()])
def test_a_code_is_mailed_to_the_address_on_file(pin_bench: Bench, typed: str) -> None:
    """Whatever was typed, the letter goes to the borrower's own address, and nothing has changed yet."""
    asked(pin_bench, typed)
    [mail] = pin_bench.mailbox.mails()
    assert mail.recipients == ("aase@post.example",)
    code = pin_bench.code()
    assert f"https://login.library.example/pin?code={code.replace('-', '')}&lang=en" in mail.text
    assert "When: 26 November 2026\nFrom where: the library\n" in mail.text
    assert CPR not in mail.octets.decode()
    assert pin_bench.works(PIN)
    assert pin_bench.opened(typed=typed).number == NUMBER


def test_nothing_is_looked_up_before_the_answer(pin_bench: Bench) -> None:
    """Asking only queues: known and unknown numbers take the same time, and read the same."""
    for typed in (CPR, "0303820000"):
        pin_bench.letters().ask(typed, HERE, lambda: Asking("da"))
    assert pin_bench.shape() == []
    assert pin_bench.mailbox.mails() == ()


@pytest.mark.parametrize("typed", ["0303820000", "77", "bo", CARD_OF_ANOTHER, NUMBER])
def test_who_is_unknown_or_has_no_mail_gets_nothing(pin_bench: Bench, typed: str) -> None:
    """Nobody's number, a borrower without an address, and an internal number all end in silence."""
    letters = asked(pin_bench, typed)
    assert pin_bench.mailbox.mails() == ()
    assert not letters.step()


def test_a_number_of_several_borrowers_names_neither(pin_bench: Bench) -> None:
    """Whose account it would be is not known: nobody is written to."""
    pin_bench.koha.patrons.create({**DESK, "surname": "Two", "cardnumber": CPR, "email": "two@post.example"})
    asked(pin_bench)
    assert pin_bench.mailbox.mails() == ()


def test_whoever_opens_the_letter_gets_a_pin_by_mail(pin_bench: Bench) -> None:
    """The new PIN works, the old one no longer, and nobody is told the address."""
    letters = asked(pin_bench)
    letter = pin_bench.opened()
    assert pin_bench.works(PIN)
    assert letters.renew(letter, "en") == "a•••@p•••"
    assert pin_bench.works(mailed(pin_bench))
    assert not pin_bench.works(PIN)
    assert CPR not in pin_bench.mailbox.mails()[0].octets.decode()


def test_a_letter_makes_three_pins(pin_bench: Bench) -> None:
    """A mail that was lost is no shut-out; a mailbox is no toy."""
    letters = asked(pin_bench)
    letter = pin_bench.opened()
    for _ in range(NEW_PINS.most):
        letters.renew(letter, "en")
        assert pin_bench.works(mailed(pin_bench))
    with pytest.raises(TooMany):
        letters.renew(letter, "en")


def test_a_new_pin_has_tries_of_its_own(pin_bench: Bench) -> None:
    """Who has tried ten PINs gets another, and may show it: the tries before say nothing of it."""
    letters = asked(pin_bench)
    letter, check = pin_bench.opened(), pin_bench.check()
    outcomes = [check.behind_letter(letter, "0000") for _ in range(11)]
    assert outcomes == [PinProblem.NOT_RIGHT] * 10 + [PinProblem.LETTER_USED_UP]
    letters.renew(letter, "en")
    assert isinstance(check.behind_letter(letter, mailed(pin_bench)), Borrower)


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest) -> str:
    """Give each store's URL."""
    return str(request.getfixturevalue("redis_url")) if request.param == "redis" else "sqlite:letters.db"


def test_presses_at_once_leave_the_pin_that_was_mailed_last(pin_bench: Bench, tmp_path: Path, url: str) -> None:
    """Twelve presses in two workers: three make and mail a PIN at most, and the last mail's works."""
    stores = [open_store(url, tmp_path, accept_loss=True) for _ in range(2)]
    workers = [pin_bench.letters(store) for store in stores]
    workers[0].ask(CPR, HERE, lambda: Asking("en"))
    assert workers[1].step()
    pin_bench.codes(stores[0]).typed("browser", CPR, "t")
    letter = pin_bench.codes(stores[1]).opened(pin_bench.code(), "browser")

    def press(number: int) -> str:
        try:
            return workers[number % 2].renew(letter, "en")
        except (TooMany, LibraryUnavailable):
            return "later"

    with ThreadPoolExecutor(12) as threads:
        pressed = list(threads.map(press, range(12)))
    made = pressed.count("a•••@p•••")
    assert 0 < made <= NEW_PINS.most
    assert len(pin_bench.mailbox.mails()) == 1 + made
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
    """Until the mail server has accepted the recipient nothing changes, and the letter is as good as before."""
    asked(pin_bench)
    letter, smtp = pin_bench.opened(), pin_bench.smtp
    pin_bench.smtp = Smtp(f"smtp://127.0.0.1:{free_port()}", "library@library.example")
    for _ in range(4):
        with pytest.raises(MailUnavailable):
            pin_bench.letters().renew(letter, "en")
    assert pin_bench.works(PIN)
    pin_bench.smtp = smtp
    pin_bench.letters().renew(letter, "en")
    assert pin_bench.works(mailed(pin_bench))


def test_without_a_library_the_letter_is_as_good_as_before(pin_bench: Bench) -> None:
    """A library system that is down costs nobody a new PIN."""
    letters = asked(pin_bench)
    letter = pin_bench.opened()
    pin_bench.koha.faults.down = True
    for _ in range(4):
        with pytest.raises(LibraryUnavailable):
            letters.renew(letter, "en")
    pin_bench.koha.faults.down = False
    letters.renew(letter, "en")
    assert pin_bench.works(mailed(pin_bench))


def test_a_borrower_that_is_gone_gets_no_pin(pin_bench: Bench) -> None:
    """Between the mail and the button the desk may have deleted the borrower."""
    letters = asked(pin_bench)
    pin_bench.koha.patrons.drop(int(NUMBER))
    with pytest.raises(LibraryRefused):
        letters.renew(pin_bench.opened(), "en")


def test_what_was_asked_survives_a_library_that_is_down(pin_bench: Bench) -> None:
    """The mail comes when the library answers again; a question a day old is dropped."""
    letters = pin_bench.letters()
    letters.ask(CPR, HERE, lambda: Asking("en"))
    pin_bench.koha.faults.down = True
    assert letters.step()
    assert not letters.step()
    pin_bench.koha.faults.down = False
    pin_bench.ahead += timedelta(minutes=1)
    assert letters.step()
    assert pin_bench.code()


def test_a_question_is_given_up_after_a_day(pin_bench: Bench) -> None:
    """A library that is down for a day does not send letters that nobody waits for."""
    letters = pin_bench.letters()
    letters.ask(CPR, HERE, lambda: Asking("en"))
    pin_bench.koha.faults.down = True
    pin_bench.ahead += timedelta(hours=25)
    assert letters.step()
    pin_bench.ahead += timedelta(hours=3)
    assert not letters.step()


def test_five_hundred_askings_leave_one_code_and_three_mails(pin_bench: Bench) -> None:
    """By every number of one borrower and from as many networks; the owner's own asking opens what came before it."""
    for number in range(500):
        typed = (CPR, CARD)[number % 2]
        pin_bench.letters().ask(typed, f"network {number}", lambda: Asking("en"))
        pin_bench.letters().step()
    assert len(pin_bench.mailbox.mails()) == MAILINGS.most
    assert len({pin_bench.code(mail) for mail in range(MAILINGS.most)}) == 1
    for typed in (CPR, CARD):
        assert pin_bench.opened(browser=typed, typed=typed).number == NUMBER
    assert isinstance(pin_bench.check().behind_letter(pin_bench.opened(), PIN), Borrower)


@pytest.mark.slow
def test_ten_thousand_guesses_shut_nobody_out_and_open_nothing(world: Any) -> None:
    """Each from a network and browser of its own, at numbers with an account and without.

    None is looked up before its answer, no PIN is checked, no code opens anything; each owner has
    one code and three mails at most, and logs in by it from the network that guessed last.
    """
    hmacs = LookupHmacs("k1", b"k" * 32)
    owners = {f"{number:010}": Borrower(str(number), "STUD", email=f"{number}@x.example") for number in range(1, 11)}
    for typed, owner in owners.items():
        world.library.add(typed, owner)
        world.library.pins[owner.number] = PIN
    texts = LetterTexts(Text("the library", "the library"), "https://login.library.example/pin", "the desk")
    codes = PinLetters(world.store, hmacs, lambda: world.now)
    check = PinCheck(world.store, hmacs, world.library, lambda: world.now)
    letters = PinRenewal(world.store, hmacs, world.library, world.post, texts, lambda: world.now)
    for guess in range(10_000):
        typed = f"{guess % 20:010}"
        browser = f"browser {guess}"
        asked = len(world.hooks.calls)
        codes.typed(browser, typed, "t")
        letters.ask(typed, f"network {guess}", lambda: Asking("en"))
        with pytest.raises(LinkGone):
            codes.opened("bcdfg-hjkmn", browser)
        assert set(world.hooks.calls[asked:]) <= {"put"}
        if guess % 500 == 0:
            while letters.step():
                pass
        world.now += timedelta(seconds=8)
    while letters.step():
        pass
    assert "check_pin" not in world.hooks.calls
    assert world.hooks.calls.count("typed") <= 20 * 3 * 24
    for typed, owner in owners.items():
        mails = [sent for sent in world.post.sent if sent.to == owner.email]
        found = [re.search(r"Your code is: (\S+)", sent.text) for sent in mails]
        written = [code[1] for code in found if code]
        assert all(written.count(code) <= 3 for code in written)
        codes.typed("home", typed, "t")
        letters.ask(typed, "network 9999", lambda: Asking("en"))
        assert isinstance(check.behind_letter(codes.opened(written[-1], "home"), PIN), Borrower)


def test_nobody_uses_up_the_letters_of_another_day(pin_bench: Bench) -> None:
    """A stranger who asks all day long leaves the owner with a code that works, at every hour of it."""
    for _ in range(50):
        for number in range(6):
            pin_bench.letters().ask(CPR, f"network {number}", lambda: Asking("en"))
        while pin_bench.letters().step():
            pass
        assert pin_bench.opened(browser=str(pin_bench.ahead)).number == NUMBER
        pin_bench.ahead += timedelta(minutes=61)
    assert len(pin_bench.mailbox.mails()) <= 3 * MAILINGS.most


def test_a_mail_that_did_not_leave_is_not_counted(pin_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mail server that was down for a moment costs nobody a letter."""
    letters = pin_bench.letters()
    letters.ask(CPR, HERE, lambda: Asking("en"))
    with monkeypatch.context() as broken:
        broken.setattr(type(pin_bench.smtp), "address", _down)
        for _ in range(4):
            assert letters.step()
            pin_bench.ahead += timedelta(minutes=30)
    assert letters.step()
    for _ in range(2):
        asked(pin_bench)
    assert len(pin_bench.mailbox.mails()) == MAILINGS.most


def _no_answer(*_: Any) -> None:
    raise LibraryUnavailable("no answer")


def _refused(*_: Any) -> None:
    raise LibraryRefused("too short")


def _down(*_: Any) -> Letter:
    raise MailUnavailable("down")


def test_a_letter_that_the_desk_asks_for_opens_where_the_owner_types_a_number(pin_bench: Bench) -> None:
    """It goes to the address on file, says from where it was asked, and is mailed as often as any letter."""
    letters = pin_bench.letters()
    letters.ask_at_desk(NUMBER, Asking("en", "26 November 2026", "the desk"))
    assert letters.step()
    [mail] = pin_bench.mailbox.mails()
    assert mail.recipients == ("aase@post.example",)
    assert "From where: the desk\n" in mail.text
    assert pin_bench.opened(typed=CARD).number == NUMBER
    with pytest.raises(LinkGone):
        pin_bench.opened("another browser", CARD_OF_ANOTHER)
    for _ in range(PER_IDENTIFIER.most - 1):
        letters.ask_at_desk(NUMBER, Asking("en"))
        assert letters.step()
    with pytest.raises(TooMany):
        letters.ask_at_desk(NUMBER, Asking("en"))
    assert len(pin_bench.mailbox.mails()) == MAILINGS.most


def test_a_fourth_asking_within_an_hour_is_carried_out_later(pin_bench: Bench) -> None:
    """The library system is spared, nobody can tell, and what was asked for is not lost."""
    nobody = "0303820000"
    for _ in range(PER_IDENTIFIER.most):
        asked(pin_bench, nobody)
    pin_bench.shape()
    letters = asked(pin_bench, nobody)
    assert pin_bench.shape() == []
    pin_bench.ahead += PER_IDENTIFIER.within
    assert letters.step()
    assert pin_bench.shape() != []


def test_a_network_may_ask_a_hundred_times_an_hour(pin_bench: Bench) -> None:
    """Whoever goes through numbers is stopped; another network is not."""
    letters = pin_bench.letters()
    assert PER_NETWORK.most == 100
    for number in range(PER_NETWORK.most):
        letters.ask(str(100 + number), HERE, lambda: Asking("da"))
    with pytest.raises(TooMany):
        letters.ask("99", HERE, lambda: Asking("da"))
    letters.ask("99", "198.51.100.0/24", lambda: Asking("da"))


class Untouched:
    """A store that nothing may ask."""

    def __getattr__(self, name: str) -> Any:
        """Refuse every call."""
        raise AssertionError(f"the store was asked to {name}")


def unworded() -> Asking:
    """Refuse to word a letter."""
    raise AssertionError("a letter was worded that is not written")


def test_a_network_that_goes_on_asking_costs_the_store_nothing(pin_bench: Bench) -> None:
    """It is refused from memory, and nothing is worded for it."""
    letters = pin_bench.letters()
    for number in range(PER_NETWORK.most):
        letters.ask(str(100 + number), HERE, lambda: Asking("da"))
    with pytest.raises(TooMany):
        letters.ask("99", HERE, lambda: Asking("da"))
    remembering = replace(letters, store=Untouched())
    for number in range(20):
        with pytest.raises(TooMany):
            remembering.ask(str(number), HERE, unworded)


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


def test_a_choice_that_took_too_long_is_told_by_its_notice(pin_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the notice is mailed another PIN may be mailed too; a page that says "it works" now might be wrong."""
    letters = pin_bench.letters()

    tell = PinRenewal._tell

    def slow(renewal: PinRenewal, notice: Any) -> None:
        pin_bench.ahead += timedelta(minutes=1)
        assert letters.step()
        tell(renewal, notice)

    monkeypatch.setattr(PinRenewal, "_tell", slow)
    with pytest.raises(PinUnsettled):
        letters.choose(NUMBER, "5837", "en")
    assert len(pin_bench.mailbox.mails()) == 1
    assert not letters.step()
    assert letters.make(NUMBER, "en")


def test_a_worker_that_looks_while_a_choice_is_told_does_not_tell_it_first(
    pin_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page says that the PIN works, and the notice follows, however quick the worker and slow the request."""
    letters, told = pin_bench.letters(), PinSetting.told
    seen: list[bool] = []

    def overtaken(setting: PinSetting, *given: Any) -> bool:
        monkeypatch.undo()
        seen.append(pin_bench.letters().step())
        return told(setting, *given)

    monkeypatch.setattr(PinSetting, "told", overtaken)
    assert letters.choose(NUMBER, "5837", "da") is None
    assert (seen, pin_bench.works("5837")) == ([False], True)
    assert letters.step()
    assert [mail.subject for mail in pin_bench.mailbox.mails()] == ["Din pinkode til the library er ændret"]


def test_a_choice_whose_notice_was_put_off_is_told_by_it(pin_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notice still asks for the choice on record: told before, it would not be mailed."""
    letters = pin_bench.letters()

    tell = PinRenewal._tell

    def slow(renewal: PinRenewal, notice: Any) -> None:
        pin_bench.ahead += timedelta(minutes=1)
        with monkeypatch.context() as broken:
            broken.setattr(Conversation, "send", _down)
            assert letters.step()
        tell(renewal, notice)

    monkeypatch.setattr(PinRenewal, "_tell", slow)
    with pytest.raises(PinUnsettled):
        letters.choose(NUMBER, "5837", "en")
    assert pin_bench.mailbox.mails() == ()
    pin_bench.ahead += timedelta(hours=1)
    assert letters.step()
    assert len(pin_bench.mailbox.mails()) == 1


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
    """Neither now nor later; the old one works, and the letter is as good as before."""
    letters = asked(pin_bench)
    letter = pin_bench.opened()
    monkeypatch.setattr(pin_bench.library, "set_pin", lambda *_: None)
    with pytest.raises(PinNotSet):
        letters.renew(letter, "en")
    monkeypatch.undo()
    pin_bench.ahead += timedelta(minutes=1)
    assert not letters.step()
    assert pin_bench.works(PIN)
    letters.renew(letter, "en")
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


@pytest.mark.parametrize("deed", ["choose", "make", "renew"])
def test_where_the_library_is_only_observed_no_pin_is_set(pin_bench: Bench, deed: str) -> None:
    """In observe and frozen mode nothing is written, and no letter promises that it will be."""
    asked(pin_bench)
    letters = replace(pin_bench.letters(), live=False)
    what = {"choose": (NUMBER, "5837", "en"), "make": (NUMBER, "en"), "renew": (pin_bench.opened(), "en")}[deed]
    with pytest.raises(BrokerError):
        getattr(letters, deed)(*what)
    assert pin_bench.works(PIN)
    letters.ask(CPR, HERE, lambda: Asking("en"))
    assert not letters.step()


@pytest.mark.parametrize(("address", "shown"), [("kim@dam.example", "k•••@d•••"), ("å@x.dk", "å•••@x•••")])
def test_an_address_is_shown_to_its_owner_only(address: str, shown: str) -> None:
    """Two letters are enough to know one's own by."""
    assert masked(address) == shown


@pytest.mark.parametrize("deed", ["choose", "make", "renew"])
def test_nothing_waits_for_the_library_without_a_seat(pin_bench: Bench, deed: str) -> None:
    """A slow library system holds as many threads as it may and no more; what could not be tried is not counted."""
    asked(pin_bench)
    full = replace(pin_bench.letters(), waiting_slots=Semaphore(0))
    what = {"choose": (NUMBER, "5837", "en"), "make": (NUMBER, "en"), "renew": (pin_bench.opened(), "en")}[deed]
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
