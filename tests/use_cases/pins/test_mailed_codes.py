"""Mailed codes and PIN links over a real store: what they prove, to whom, and how often they may be tried."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.adapters.stores import sqlite
from broker.adapters.stores.sqlite import SqliteStore
from broker.core.errors import CodeRefused, LinkGone, TooMany
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.mail.mailed_codes import CODE_LASTS, CodeOwner
from broker.use_cases.pins.mailed_codes import LINK_LASTS, MailedCodes

SECOND = timedelta(seconds=1)


@dataclass(slots=True)
class Bench:
    """Codes over one SQLite file and a clock that is set."""

    path: Path
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def codes(self) -> MailedCodes:
        """Return the codes as one more worker has them."""
        return MailedCodes(SqliteStore(self.path), LookupHmacs("k1", b"k" * 32), lambda: self.now)

    def attempt(self, typed: str, browser: str = "b1", person_id: str = "") -> str:
        """Return the subject of a typed login code, or the cause of its refusal."""
        try:
            return self.codes.try_code(CodeOwner("library_account", browser, person_id), typed)
        except CodeRefused as error:
            return error.cause

    def make(self, subject: str = "17", browser: str = "b1", person_id: str = "") -> str:
        """Make a login code."""
        return self.codes.make_code(CodeOwner("library_account", browser, person_id), subject)

    def is_valid(self, token: str) -> bool:
        """Return whether a PIN link is valid."""
        try:
            return self.codes.find_link(token) == "17"
        except LinkGone:
            return False


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Give an empty store."""
    sqlite.prepare(tmp_path / "codes.db")
    return Bench(tmp_path / "codes.db")


def wrong(*codes: str) -> str:
    """Return eight digits that are none of the codes."""
    return next(text for text in ("00000000", "11111111", "22222222") if text not in codes)


def test_a_code_works_once(bench: Bench) -> None:
    """The first right try uses the code up."""
    code = bench.make()
    assert [bench.attempt(code), bench.attempt(code)] == ["17", "code_none"]


def test_any_live_code_of_the_browser_works(bench: Bench) -> None:
    """A person who asked twice may type the older code."""
    first, second = bench.make("17"), bench.make("18")
    assert [bench.attempt(first), bench.attempt(second)] == ["17", "18"]


def test_a_code_is_wrong_in_another_browser_for_another_person_and_purpose(bench: Bench) -> None:
    """A stranger who asked for the code, or reads it, needs the browser of the person too."""
    code = bench.make(person_id="ann")
    bench.make(browser="b2", person_id="ann")
    bench.make(person_id="bo")
    assert bench.attempt(code, "b2", "ann") == bench.attempt(code, "b1", "bo") == "code_wrong"
    bench.codes.make_code(CodeOwner("claim", "b1", "ann"), "17")
    with pytest.raises(CodeRefused, match="code_wrong"):
        bench.codes.try_code(CodeOwner("claim", "b1", "ann"), code)
    assert bench.attempt(code, "b1", "ann") == "17"


def test_five_wrong_tries_end_every_code_of_the_browser(bench: Bench) -> None:
    """A wrong try costs each live code a try; a newer code has its own five."""
    first = bench.make()
    assert bench.attempt(wrong(first)) == "code_wrong"
    second = bench.make()
    for _ in range(4):
        assert bench.attempt(wrong(first, second)) == "code_wrong"
    assert bench.attempt(first) == "code_wrong"
    assert bench.attempt(second) == "code_used_up"
    assert bench.attempt(bench.make()) == "17"


def test_parallel_guesses_are_five_in_all(bench: Bench) -> None:
    """Forty guesses at once through separate stores count as five."""
    code = bench.make()
    with ThreadPoolExecutor(8) as threads:
        ends = sorted(threads.map(lambda _: bench.attempt(wrong(code)), range(40)))
    assert ends.count("code_wrong") == 5
    assert bench.attempt(code) == "code_used_up"


def test_the_right_code_typed_many_times_at_once_works_once(bench: Bench) -> None:
    """One compare-and-set uses the code up."""
    code = bench.make()
    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(lambda _: bench.attempt(code), range(8))).count("17") == 1


@pytest.mark.parametrize("typed", ["", "1234567", "123456789", "1234567a", "١٢٣٤٥٦٧٨", "+1234567"])
def test_a_text_that_is_not_eight_digits_costs_no_try(bench: Bench, typed: str) -> None:
    """It can never be right."""
    code = bench.make()
    for _ in range(6):
        assert bench.attempt(typed) == "code_malformed"
    assert bench.attempt(f" {code[:4]}-{code[4:]}\u200b") == "17"


def test_a_code_expires_after_thirty_minutes(bench: Bench) -> None:
    """At that moment there is no code any more."""
    codes = [bench.make(), bench.make()]
    bench.now += CODE_LASTS - SECOND
    assert bench.attempt(codes[0]) == "17"
    bench.now += SECOND
    assert bench.attempt(codes[1]) == "code_none"


def test_a_new_pin_ends_login_codes_and_links_of_its_borrower_alone(bench: Bench) -> None:
    """A stranger who asked for a code before the change gets in no more."""
    mine, others = bench.make("17"), bench.make("18")
    token = bench.codes.make_link("17")
    assert token is not None
    bench.codes.end_codes("17")
    assert bench.attempt(mine) == "code_wrong"
    assert bench.attempt(others) == "18"
    assert not bench.is_valid(token)
    bench.now += SECOND
    assert bench.attempt(bench.make("17")) == "17"


def test_three_codes_a_day_are_mailed_to_a_person_a_borrower_and_a_mailbox(bench: Bench) -> None:
    """A refused mail is counted in no counter."""
    for _ in range(3):
        bench.codes.count_mail(borrower_number="17", address="ann@post.example")
    with pytest.raises(TooMany):
        bench.codes.count_mail(borrower_number="17", address="new@post.example")
    with pytest.raises(TooMany):
        bench.codes.count_mail(person_id="bo", borrower_number="18", address="Ann+x@POST.example")
    for _ in range(3):
        bench.codes.count_mail(person_id="bo", borrower_number="18", address="new@post.example")
    bench.now += timedelta(days=1)
    bench.codes.count_mail(borrower_number="17", address="ann@post.example")


def test_a_link_works_until_it_expires_and_is_not_used_up(bench: Bench) -> None:
    """Mail scanners open links; another token leads nowhere."""
    token = bench.codes.make_link("17")
    assert token is not None
    assert len(token) == 48
    assert [bench.is_valid(token) for _ in range(9)] == [True] * 9
    assert not bench.is_valid(token[:-1] + ("0" if token[-1] != "0" else "1"))
    bench.now += LINK_LASTS
    assert not bench.is_valid(token)


def test_a_borrower_has_at_most_three_valid_links(bench: Bench) -> None:
    """A further request makes none and ends none; staff's request makes one."""
    tokens = [bench.codes.make_link("17") for _ in range(4)]
    assert tokens[3] is None
    assert all(token and bench.is_valid(token) for token in tokens[:3])
    staff = bench.codes.make_link("17", always=True)
    assert staff
    assert bench.is_valid(staff)
    assert all(token and bench.is_valid(token) for token in tokens[:3])
    bench.now += LINK_LASTS
    assert bench.codes.make_link("17") is not None


def test_a_drafted_link_works_once_it_is_written(bench: Bench) -> None:
    """A welcome mail's link is written together with the end of the enrolment."""
    token, link = bench.codes.draft_link("17")
    assert not bench.is_valid(token)
    assert SqliteStore(bench.path).put_many(link, (), bench.now)
    bench.now += timedelta(days=7) - SECOND
    assert bench.is_valid(token)


def test_what_is_kept_names_nobody(bench: Bench) -> None:
    """No key holds a borrower number, an address, a code or a token."""
    code, token = bench.make("borrower-17"), bench.codes.make_link("borrower-17")
    keys = [repr(key) for key, _ in SqliteStore(bench.path).list("code", None, bench.now)]
    values = [kept.value.decode() for _, kept in SqliteStore(bench.path).list("code", None, bench.now)]
    assert token
    assert len(keys) == 2
    assert not any(secret in key for key in keys for secret in (code, token, "borrower-17"))
    assert not any(secret in value for value in values for secret in (code, token))
