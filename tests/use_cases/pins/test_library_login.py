"""Logins with the library account: what a stranger learns, and how the owner still gets in."""

import re

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.errors import CodeRefused
from broker.use_cases.pins.library_login import LoginAttempt
from tests.plugins.pin_bench import NUMBER, PinBench

CPR = "0101990000"
PIN = "4071"


def attempt(desk: PinBench, typed: str = CPR, pin: str = PIN, browser: str = "b1") -> None:
    """Make the check that follows the page."""
    code = desk.logins.make_decoy(browser)
    desk.logins.check_and_mail(LoginAttempt(typed, pin, browser, code, "en", "now", "somewhere"))


def outcome(desk: PinBench, code: str, browser: str = "b1") -> str:
    """Return the borrower of a code, or the cause of its refusal."""
    try:
        return desk.logins.try_code(code, browser).number
    except CodeRefused as error:
        return error.cause


@pytest.mark.parametrize(("typed", "pin"), [(CPR, "0000"), ("nobody", PIN), (CPR, ""), (CPR, "\u0664071")])
def test_a_stranger_is_mailed_nothing_and_told_nothing(desk: PinBench, typed: str, pin: str) -> None:
    """A wrong PIN and an unknown number leave a decoy: codes count down as behind a right PIN."""
    attempt(desk, typed, pin, "stranger")
    assert desk.due_mails() == []
    attempt(desk, browser="owner")
    answers = {each: [outcome(desk, "00000000", each) for _ in range(7)] for each in ("stranger", "owner")}
    assert answers["stranger"] == answers["owner"] == ["code_wrong"] * 5 + ["code_used_up"] * 2


@pytest.mark.parametrize("pin", [PIN, "0000"])
@pytest.mark.parametrize("before", range(6))
def test_wrong_codes_before_and_after_the_check_tell_nothing(desk: PinBench, pin: str, before: int) -> None:
    """Whenever the check is made and whatever it finds: five wrong codes in all."""
    code = desk.logins.make_decoy("b1")
    answers = [outcome(desk, "00000000") for _ in range(before)]
    desk.logins.check_and_mail(LoginAttempt(CPR, pin, "b1", code, "en", "now", "somewhere"))
    answers += [outcome(desk, "00000000") for _ in range(7 - before)]
    assert answers == ["code_wrong"] * 5 + ["code_used_up"] * 2


def test_an_error_of_the_library_system_leaves_a_decoy_too(desk: PinBench) -> None:
    """The page has been answered: nobody learns of the error."""
    desk.library.next_call = "down"
    attempt(desk)
    assert outcome(desk, "00000000") == "code_wrong"


def test_with_always_no_browser_is_known_and_with_never_no_code_is_mailed(desk: PinBench) -> None:
    """``library_account.mail_code`` decides."""
    token = desk.browsers.remember(NUMBER)
    object.__setattr__(desk.logins, "mail_code", "always")
    assert desk.logins.find_known([token]) == {}
    assert desk.logins.log_in_at_once({}, CPR, PIN) is None
    object.__setattr__(desk.logins, "mail_code", "never")
    assert isinstance(desk.logins.log_in_at_once({}, CPR, PIN), Borrower)
    assert desk.logins.log_in_at_once({}, CPR, "0000") == desk.logins.log_in_at_once({}, "x", PIN) == "pin_wrong"


def test_a_welcome_mail_is_queued_with_its_link_in_one_write(desk: PinBench) -> None:
    """Mail and link appear with the write that ends the enrolment."""
    first, *others = desk.pins.draft_welcome_mail("20", "new@post.example", "en")
    assert desk.due_mails() == []
    assert desk.store.put_many(first, others, desk.clock())
    [text] = desk.due_mails()
    token = re.findall(r"link=([0-9a-f]{48})", text)[0]
    desk.pass_time(days=6)
    assert desk.codes.require_link(token) == "20"
