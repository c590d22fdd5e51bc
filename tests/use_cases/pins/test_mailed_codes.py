"""Mailed codes and PIN links over a real store: what they prove, to whom, and how often they may be tried."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.adapters.stores import sqlite
from broker.adapters.stores.sqlite import SqliteStore
from broker.core.errors import CodeRefused, LinkGone
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.mail.mailed_codes import CodeOwner
from broker.use_cases.pins.mailed_codes import MailedCodes

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
            return self.codes.require_link(token) == "17"
        except LinkGone:
            return False


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Give an empty store."""
    sqlite.prepare(tmp_path / "codes.db")
    return Bench(tmp_path / "codes.db")


def test_any_live_code_of_the_browser_works(bench: Bench) -> None:
    """A person who asked twice may type the older code."""
    first, second = bench.make("17"), bench.make("18")
    assert [bench.attempt(first), bench.attempt(second)] == ["17", "18"]


@pytest.mark.parametrize("typed", ["", "1234567", "123456789", "1234567a", "١٢٣٤٥٦٧٨", "+1234567"])
def test_a_text_that_is_not_eight_digits_costs_no_try(bench: Bench, typed: str) -> None:
    """It can never be right."""
    code = bench.make()
    for _ in range(6):
        assert bench.attempt(typed) == "code_malformed"
    assert bench.attempt(f" {code[:4]}-{code[4:]}\u200b") == "17"


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
