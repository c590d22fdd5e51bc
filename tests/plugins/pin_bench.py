"""Checks of PINs, and letters about them, over a real store, a simulated Koha over HTTP, and a real mail server."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.adapters.library_systems.koha import KohaSettings
from broker.adapters.mail.letter_texts import LetterTexts
from broker.adapters.mail.smtp import Smtp
from broker.adapters.stores.open_store import open_store
from broker.core.entities import Text
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import LibrarySystem, Store
from broker.demo.koha.administration import FOUR_DIGIT_PINS
from broker.demo.koha.simulated_koha import Simulation, create_app
from broker.demo.run.loopback_server import serve_on_loopback
from broker.demo.run.mail_server import Mailbox
from broker.use_cases.proofs.pin_check import PinCheck
from broker.use_cases.proofs.pin_letters import PinLetter, PinLetters
from broker.use_cases.proofs.pin_renewal import PinRenewal
from tests.plugins.ports import free_port

CPR, CARD, NUMBER, PIN = "0101800000", "T-2001", "1", "4071"  # of Åse, with mail
CARD_OF_ANOTHER = "0202810000"  # a number on Bo's card, who was born on another day
PSEUDONYMS = LookupHmacs("k1", b"k" * 32)
DESK = {"library_id": "AUL", "category_id": "PRIVATE"}
_NAMES = {"surname": "Prøvesen", "cardnumber": CARD, "userid": CPR}
_SEEDS = (
    {**DESK, **_NAMES, "email": "aase@post.example", "date_of_birth": "1980-01-01"},
    {**DESK, "surname": "Bo", "userid": "bo", "cardnumber": CARD_OF_ANOTHER, "date_of_birth": "1999-05-05"},
)


@dataclass
class Bench:
    """The world around PINs; ``ahead`` is how far its clock is before the real one."""

    store: Store
    koha: Simulation
    library: LibrarySystem
    smtp: Smtp
    mailbox: Mailbox
    ahead: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        """Give the time it is."""
        return datetime.now(UTC) + self.ahead

    def check(self, store: Store | None = None) -> PinCheck:
        """Give the check of one worker."""
        return PinCheck(store or self.store, PSEUDONYMS, self.library, self.now)

    def codes(self, store: Store | None = None) -> PinLetters:
        """Give the codes of one worker's letters."""
        return PinLetters(store or self.store, PSEUDONYMS, self.now)

    def letters(self, store: Store | None = None) -> PinRenewal:
        """Give the letters of one worker."""
        written = LetterTexts(Text("the library", "the library"), "https://login.library.example/pin", "the desk")
        return PinRenewal(store or self.store, PSEUDONYMS, self.library, self.smtp, written, self.now)

    def checks(self) -> int:
        """Count the tries that reached the library system."""
        return sum("/auth/password/validation" in line for line in self.koha.access.lines())

    def shape(self) -> list[str]:
        """Give the calls so far without whom they were about, and forget them."""
        lines = [re.sub(r"/patrons/\d+", "/patrons/N", line).rsplit(" ", 1)[0] for line in self.koha.access.lines()]
        self.koha.access._lines.clear()
        return [line for line in lines if "/oauth/" not in line]

    def works(self, pin: str) -> bool:
        """Say whether this is Åse's PIN."""
        return self.koha.patrons.proven(CPR, pin) is not None

    def code(self, mail: int = 0) -> str:
        """Give the code in a mail, newest first."""
        found = re.search(r"(?:Your code is|Din kode er): ([a-z]{5}-[a-z]{5})\n", self.mailbox.mails()[mail].text)
        assert found
        return found[1]

    def opened(self, browser: str = "browser", typed: str = CPR) -> PinLetter:
        """Open the letter that was mailed last in a browser where a number is typed."""
        self.codes().typed(browser, typed, "transaction")
        return self.codes().opened(self.code(), browser)


@pytest.fixture
def pin_bench(tmp_path: Path) -> Iterator[Bench]:
    """Give Åse with a PIN and a mail address, Bo with neither, and nobody else."""
    app = create_app(_SEEDS, administration=FOUR_DIGIT_PINS)
    koha: Simulation = app.extensions["koha"]
    koha.patrons.set_password(int(NUMBER), PIN, PIN)
    smtp = free_port()
    mailbox = Mailbox(smtp, free_port())
    mailbox.start()
    settings = {"client_id": "broker", "client_secret": "demo", "library_id": "AUL", "card_number": "cpr"}
    with serve_on_loopback(app) as url:
        library = KohaSettings.read({**settings, "url": url}).open()
        sender = Smtp(f"smtp://127.0.0.1:{smtp}", "library@library.example")
        yield Bench(open_store("sqlite:broker.db", tmp_path), koha, library, sender, mailbox)
    mailbox.stop()
