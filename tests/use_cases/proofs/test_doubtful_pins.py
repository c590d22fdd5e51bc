"""A PIN whose first call had no answer and whose repeat is refused: it works and is mailed, or the person is told."""

from datetime import timedelta
from typing import Any, Final

import pytest

from broker.core.borrowers.library_capabilities import ALL_CAPABILITIES, LibraryCapability
from broker.core.borrowers.pins import PinAnswer
from broker.core.errors import (
    BrokerError,
    CallNotMade,
    LibraryRefused,
    LibraryUnavailable,
    PinDoubtful,
    PinRefused,
    PinUnderWay,
    PinUnsettled,
    TooMany,
)
from broker.use_cases.proofs.pin_letters import PinLetter
from broker.use_cases.proofs.pin_renewal import NEW_PINS, PinRenewal
from tests.plugins.pin_bench import NUMBER, PIN, Bench

LATE: Final = timedelta(minutes=11)  # no call comes so long after it was sent
OWN: Final = "5838"  # a PIN that the person chooses


class Doubtful:
    """A library system whose calls that set a PIN go wrong as planned; ``sees`` says whether it tells a right PIN."""

    def __init__(self, library: Any, patrons: Any, *, sees: bool) -> None:
        """Let them go right."""
        self.capabilities = ALL_CAPABILITIES - (set() if sees else {LibraryCapability.PIN_CHECKED})
        self.refuses = False
        self.says: PinAnswer | None = None
        self.late: list[tuple[Any, ...]] = []
        self._library, self._patrons = library, patrons
        self._loses = self._holds_back = False

    def lose(self) -> None:
        """Give no answer to the next call; it comes later, or never."""
        self._loses = True

    def hold_back(self) -> None:
        """Send the next call nowhere."""
        self._holds_back = True

    def come_late(self) -> None:
        """Carry out the call that had no answer."""
        number, pin, _ = self.late.pop()
        self._patrons.set_password(int(number), pin, pin)

    def set_pin(self, *given: Any) -> None:
        """Set a PIN, or not."""
        if self._holds_back:
            self._holds_back = False
            raise CallNotMade("no call is left in this second")
        if self._loses:
            self._loses = False
            self.late.append(given)
            raise LibraryUnavailable("no answer")
        if self.refuses:
            raise LibraryRefused("not today")
        self._library.set_pin(*given)

    def check_pin(self, *given: Any) -> PinAnswer:
        """Say what is planned of any PIN, else what the library system says."""
        answer: PinAnswer = self.says or self._library.check_pin(*given)
        return answer

    def __getattr__(self, name: str) -> Any:
        """Do all else as the library system does."""
        return getattr(self._library, name)


@pytest.fixture(params=[True, False], ids=["sees", "blind"])
def sees(request: pytest.FixtureRequest) -> bool:
    """Say whether the library system tells a right PIN from a wrong one."""
    return bool(request.param)


@pytest.fixture
def library(pin_bench: Bench, *, sees: bool) -> Doubtful:
    """Put a doubtful library system into the bench."""
    doubtful = Doubtful(pin_bench.library, pin_bench.koha.patrons, sees=sees)
    pin_bench.library = doubtful
    return doubtful


def texts(bench: Bench) -> list[str]:
    """Give the mails, oldest first."""
    return [mail.text for mail in reversed(bench.mailbox.mails())]


def step_all(letters: PinRenewal) -> None:
    """Write what is due."""
    while letters.step():
        pass


def failed(work: Any) -> BrokerError | None:
    """Give the error of a piece of work."""
    try:
        work()
    except BrokerError as error:
        return error
    return None


@pytest.mark.parametrize("comes", [True, False])
def test_a_pin_to_be_mailed_is_mailed_or_the_person_told(pin_bench: Bench, library: Doubtful, *, comes: bool) -> None:
    """Refused while its lost call may come it is owed still; then a system that can say decides, else a letter."""
    letters = pin_bench.letters()
    library.lose()
    assert isinstance(failed(lambda: letters.make(NUMBER, "en")), LibraryUnavailable)
    library.refuses = True
    waiting = failed(lambda: letters.make(NUMBER, "en"))
    assert type(waiting) is LibraryUnavailable
    if comes:
        library.come_late()
    pin_bench.ahead += LATE
    step_all(letters)
    sees = LibraryCapability.PIN_CHECKED in library.capabilities
    if sees and comes:
        (text,) = texts(pin_bench)
        assert "new PIN for your library account" in text
    elif sees:
        assert (texts(pin_bench), pin_bench.works(PIN)) == ([], True)
    else:
        (text,) = texts(pin_bench)
        assert "whether your\nold PIN is still in force" in text
        assert "make a new one at https://login.library.example/pin" in text
    library.refuses = False
    assert failed(lambda: letters.choose(NUMBER, OWN, "en")) is None
    assert pin_bench.works(OWN)


@pytest.mark.parametrize("comes", [True, False])
def test_a_chosen_pin_is_noticed_or_the_person_told(pin_bench: Bench, library: Doubtful, *, comes: bool) -> None:
    """The notice says that it works where the system can say so; else the letter says that nobody knows."""
    letters = pin_bench.letters()
    library.lose()
    assert isinstance(failed(lambda: letters.choose(NUMBER, OWN, "en")), PinUnsettled)
    library.refuses = True
    assert isinstance(failed(lambda: letters.choose(NUMBER, OWN, "en")), PinUnsettled)
    if comes:
        library.come_late()
    pin_bench.ahead += LATE
    step_all(letters)
    sees = LibraryCapability.PIN_CHECKED in library.capabilities
    told = {True: ["has just been changed"], False: []}[comes] if sees else ["old PIN is still in force"]
    assert [words in text for words, text in zip(told, texts(pin_bench), strict=True)] == [True] * len(told)
    library.refuses = False
    assert failed(lambda: letters.make(NUMBER, "en")) is None


@pytest.mark.parametrize("sees", [True], ids=["sees"])
@pytest.mark.parametrize("how", ["mailed", "chosen"])
def test_an_account_that_is_locked_mails_ten_doubts_an_hour_at_most(
    pin_bench: Bench, library: Doubtful, how: str
) -> None:
    """Whoever tries on has a letter of each try; an error that leaves no doubt is not counted."""
    letters = pin_bench.letters()
    library.hold_back()
    library.says = PinAnswer.LOCKED
    wishes = {"mailed": lambda: letters.make(NUMBER, "en"), "chosen": lambda: letters.choose(NUMBER, OWN, "en")}
    failed(wishes[how])
    pin_bench.ahead += LATE
    step_all(letters)
    before = len(texts(pin_bench))
    for _ in range(12):
        failed(wishes[how])
        step_all(letters)
    assert isinstance(failed(wishes[how]), TooMany)
    assert len(texts(pin_bench)) - before == 10


@pytest.mark.parametrize("sees", [True], ids=["sees"])
def test_behind_one_letter_a_locked_account_mails_three_doubts_at_most(pin_bench: Bench, library: Doubtful) -> None:
    """Whoever opened it asks on for a day: each doubt takes a place, and an error that leaves none gives it back."""
    letters = pin_bench.letters()
    letter = PinLetter(NUMBER, "abcdeabcde")
    library.hold_back()
    library.says = PinAnswer.LOCKED
    failed(lambda: letters.renew(letter, "en"))
    pin_bench.ahead += LATE
    step_all(letters)
    before = len(texts(pin_bench))
    for _ in range(6):
        failed(lambda: letters.renew(letter, "en"))
        step_all(letters)
    assert isinstance(failed(lambda: letters.renew(letter, "en")), TooMany)
    assert len(texts(pin_bench)) - before == NEW_PINS.most


def test_a_doubt_is_told_on_the_page_too(pin_bench: Bench, library: Doubtful, *, sees: bool) -> None:
    """Who asks again after the wait hears that it was refused, or that nobody knows; the letter follows."""
    letters = pin_bench.letters()
    library.lose()
    failed(lambda: letters.make(NUMBER, "en"))
    library.refuses = True
    pin_bench.ahead += LATE
    error = failed(lambda: letters.make(NUMBER, "en"))
    assert type(error) is (PinRefused if sees else PinDoubtful)
    step_all(letters)
    assert len(texts(pin_bench)) == (0 if sees else 1)


@pytest.mark.parametrize("sees", [True], ids=["sees"])
@pytest.mark.parametrize("says", [each for each in PinAnswer if each not in {PinAnswer.RIGHT, PinAnswer.WRONG}])
@pytest.mark.parametrize("how", ["mailed", "chosen"])
def test_an_answer_that_tells_neither_right_nor_wrong_is_a_doubt(
    pin_bench: Bench, library: Doubtful, says: PinAnswer, how: str
) -> None:
    """Locked, expired, without a card: the lost call may have taken the old PIN away, and the person is told."""
    letters = pin_bench.letters()
    library.lose()
    wishes = {"mailed": lambda: letters.make(NUMBER, "en"), "chosen": lambda: letters.choose(NUMBER, OWN, "en")}
    assert isinstance(failed(wishes[how]), LibraryUnavailable)
    library.refuses = True
    library.come_late()
    library.says = says
    pin_bench.ahead += LATE
    step_all(letters)
    (text,) = texts(pin_bench)
    assert "old PIN is still in force" in text


@pytest.mark.parametrize("how", ["mailed", "chosen"])
def test_a_call_that_was_never_made_leaves_no_doubt(pin_bench: Bench, library: Doubtful, how: str) -> None:
    """Held back, or turned away on its way: a PIN that is refused next cannot have been set, and no letter goes out."""
    letters = pin_bench.letters()
    library.hold_back()
    wishes = {"mailed": lambda: letters.make(NUMBER, "en"), "chosen": lambda: letters.choose(NUMBER, OWN, "en")}
    assert isinstance(failed(wishes[how]), LibraryUnavailable)
    library.refuses = True
    assert type(failed(wishes[how])) is PinRefused
    pin_bench.ahead += LATE
    step_all(letters)
    assert (texts(pin_bench), pin_bench.works(PIN)) == ([], True)


def test_a_call_that_was_never_made_hides_none_that_was(pin_bench: Bench, library: Doubtful, *, sees: bool) -> None:
    """The one before it may have set the PIN: the doubt stays, and is told."""
    letters = pin_bench.letters()
    library.lose()
    failed(lambda: letters.make(NUMBER, "en"))
    library.hold_back()
    failed(lambda: letters.make(NUMBER, "en"))
    library.come_late()
    library.refuses = True
    pin_bench.ahead += LATE
    step_all(letters)
    (text,) = texts(pin_bench)
    assert ("new PIN for your library account" if sees else "old PIN is still in force") in text


def test_a_worker_that_dies_in_doubt_leaves_the_letter_owed(
    pin_bench: Bench, library: Doubtful, monkeypatch: pytest.MonkeyPatch, *, sees: bool
) -> None:
    """The record says that the PIN is given up only once the letter that tells so is queued."""
    letters = pin_bench.letters()
    library.lose()
    failed(lambda: letters.make(NUMBER, "en"))
    library.refuses = True
    pin_bench.ahead += LATE
    with monkeypatch.context() as dying:
        dying.setattr(PinRenewal, "_owe_doubt", _die)
        if not sees:
            with pytest.raises(KeyboardInterrupt):
                letters.step()
            assert isinstance(failed(lambda: letters.choose(NUMBER, OWN, "en")), PinUnderWay)
    pin_bench.ahead += LATE
    step_all(letters)
    assert len(texts(pin_bench)) == (0 if sees else 1)


@pytest.mark.parametrize("sees", [True], ids=["sees"])
@pytest.mark.parametrize("says", [PinAnswer.LOCKED, PinAnswer.EXPIRED])
@pytest.mark.parametrize("how", ["mailed", "chosen"])
def test_a_process_that_dies_before_it_tells_a_doubt_leaves_it_told(
    pin_bench: Bench, library: Doubtful, monkeypatch: pytest.MonkeyPatch, says: PinAnswer, how: str
) -> None:
    """The PIN was taken, and is locked or expired: whoever carries on finds it so, and writes the letter, once."""
    letters = pin_bench.letters()
    library.says = says
    wishes: dict[str, Any] = {
        "mailed": lambda: letters.make(NUMBER, "en"),
        "chosen": lambda: letters.choose(NUMBER, OWN, "en"),
    }
    with monkeypatch.context() as dying:
        dying.setattr(PinRenewal, "_owe_doubt", _die)
        with pytest.raises(KeyboardInterrupt):
            wishes[how]()
    pin_bench.ahead += LATE
    step_all(letters)
    (text,) = texts(pin_bench)
    assert "old PIN is still in force" in text
    pin_bench.ahead += timedelta(days=2)
    step_all(letters)
    assert len(texts(pin_bench)) == 1


def _die(*_: Any) -> None:
    raise KeyboardInterrupt
