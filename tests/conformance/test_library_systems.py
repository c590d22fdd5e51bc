"""What every library system must do, tried over real HTTP against the simulated one of each connector."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest

from broker.adapters.libraries.koha import KohaSettings
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.library_setup import ExpectedSetup
from broker.core.borrowers.pins import PinAnswer
from broker.core.borrowers.wanted_borrower import Wish, WishedField
from broker.core.errors import LibraryRefused, LibraryUnavailable
from broker.core.ports import LibrarySystem
from broker.demo.koha.administration import FOUR_DIGIT_PINS
from broker.demo.koha.injected_faults import InjectedFaults
from broker.demo.koha.simulated_koha import create_app
from broker.demo.run.loopback_server import serve_on_loopback

CPR = "0101800000"
MARK, OTHER_MARK = "a" * 32, "b" * 32
UNTIL = date(2028, 8, 31)


@dataclass(frozen=True, slots=True)
class Stage:
    """A library system, and its desk: ``register`` makes a borrower, ``proves`` tries a PIN, ``count`` counts.

    ``register`` takes a card number, a category and a user name.
    """

    library: LibrarySystem
    register: Callable[..., str]
    proves: Callable[[str, str], bool]
    count: Callable[[], int]


@contextmanager
def _koha(unique_field: str, cpr_attribute: str) -> Iterator[Stage]:
    app = create_app(administration=FOUR_DIGIT_PINS, faults=InjectedFaults(race_window=0.005))
    patrons = app.extensions["koha"].patrons
    settings: dict[str, object] = {"client_id": "broker", "client_secret": "demo", "library_id": "AUL"}
    settings |= {"unique_field": unique_field, "cpr_attribute": cpr_attribute, "card_number": "cpr"}

    def register(spelled: str, category: str, user_name: str = "") -> str:
        body = {"surname": "Desk", "library_id": "AUL", "category_id": category, "cardnumber": spelled}
        if user_name:
            body["userid"] = user_name
        return str(patrons.create(body)["patron_id"])

    with serve_on_loopback(app) as url:
        yield Stage(
            KohaSettings.read({**settings, "url": url}).open(),
            register,
            lambda name, pin: patrons.proven(name, pin) is not None,
            lambda: len(patrons.rows()),
        )


STAGES: dict[str, Callable[[], AbstractContextManager[Stage]]] = {
    "koha, unique user name": lambda: _koha("userid", ""),
    "koha, unique user name and attribute": lambda: _koha("userid", "CPR"),
    "koha, unique card number": lambda: _koha("cardnumber", ""),
}


@pytest.fixture(params=STAGES, name="stage")
def _stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with STAGES[request.param]() as stage:
        yield stage


def soon() -> datetime:
    """Give a deadline that no test comes near."""
    return datetime.now(UTC) + timedelta(seconds=20)


def wish(cpr: str | None = CPR, category: str = "STUDENT") -> Wish:
    """Give the wish for one invented person."""
    fields = (
        WishedField("surname", "Prøvesen", "always"),
        WishedField("firstname", "Åse", "always"),
        WishedField("email", "aase@post.example", "create"),
    )
    return Wish(cpr, "student", category, (), UNTIL, fields, pin_to=None)


def made(stage: Stage, cpr: str | None = CPR) -> Borrower:
    """Make the borrower and give it."""
    borrower = stage.library.create(wish(cpr), MARK, soon())
    assert borrower is not None
    return borrower


def test_a_created_borrower_is_found_by_cpr_mark_and_number(stage: Stage) -> None:
    """The three ways to a borrower give the same account, as the wish had it."""
    borrower = made(stage)
    assert borrower.category == "STUDENT"
    assert borrower.expires == UNTIL
    assert borrower.mark == MARK
    assert borrower.email == "aase@post.example"
    assert borrower.fields == {"surname": "Prøvesen", "firstname": "Åse", "email": "aase@post.example"}
    assert stage.library.find(CPR, soon()) == (borrower,)
    assert stage.library.marked(MARK, soon()) == (borrower,)
    assert stage.library.read(borrower.number, soon()) == borrower


def test_the_number_is_the_systems_own(stage: Stage) -> None:
    """The borrower number, which services see, holds no part of the CPR."""
    assert CPR not in made(stage).number


def test_what_is_not_there_is_not_found(stage: Stage) -> None:
    """Nothing found is an answer, not an error."""
    made(stage)
    assert stage.library.find("0202810000", soon()) == ()
    assert stage.library.marked(OTHER_MARK, soon()) == ()
    assert stage.library.read("999999", soon()) is None


@pytest.mark.parametrize("spelled", ["0101800000", "010180-0000", "010180 0000"])
def test_every_spelling_of_the_desk_is_found(stage: Stage, spelled: str) -> None:
    """However the desk wrote the number, the person is found, and without a mark: not ours."""
    number = stage.register(spelled, "PRIVATE")
    (borrower,) = stage.library.find(CPR, soon())
    assert (borrower.number, borrower.category, borrower.mark) == (number, "PRIVATE", None)


def test_two_borrowers_of_one_person_are_both_given(stage: Stage) -> None:
    """Staff must merge them: neither is chosen here."""
    numbers = {stage.register("010180-0000", "PRIVATE"), stage.register("010180 0000", "STUDENT")}
    assert {each.number for each in stage.library.find(CPR, soon())} == numbers


def test_a_second_create_of_one_person_is_told_to_look_again(stage: Stage) -> None:
    """The system itself keeps one borrower to a person, whatever the enrolment."""
    made(stage)
    assert stage.library.create(wish(), OTHER_MARK, soon()) is None
    assert stage.count() == 1


def test_a_create_without_a_cpr_is_refused(stage: Stage) -> None:
    """Nothing of the person would be unique, nor be a card number."""
    with pytest.raises(LibraryRefused):
        stage.library.create(wish(cpr=None), MARK, soon())
    assert stage.count() == 0


def test_no_borrower_is_made_without_a_card_number(stage: Stage) -> None:
    """By it the person borrows, and its PIN can be checked (docs/reference/design.md#4d)."""
    assert made(stage).card


def test_sixty_creates_of_one_person_leave_one_borrower(stage: Stage) -> None:
    """However many enrolments of one person meet, one creates; the others are told to look, or to try again."""

    def attempt(number: int) -> str:
        try:
            return "made" if stage.library.create(wish(), f"{number:032}", soon()) else "look again"
        except LibraryUnavailable:
            return "try again"

    with ThreadPoolExecutor(12) as threads:
        outcomes = list(threads.map(attempt, range(60)))
    assert stage.count() == 1
    assert outcomes.count("made") == 1
    assert "look again" in outcomes


def test_a_change_sets_what_it_names_and_keeps_the_rest(stage: Stage) -> None:
    """An upgrade moves category, expiry and the named fields; mark, CPR and other fields stay."""
    before = made(stage)
    change = Change(before.number, (("email", "new@post.example"),), "EMPLOYEE", date(2029, 1, 31))
    after = stage.library.change(change, soon())
    assert after == stage.library.read(before.number, soon())
    assert (after.category, after.expires, after.email) == ("EMPLOYEE", date(2029, 1, 31), "new@post.example")
    assert (after.mark, after.fields["surname"]) == (MARK, "Prøvesen")
    assert stage.library.find(CPR, soon()) == (after,)


def test_a_change_of_fields_moves_neither_category_nor_expiry(stage: Stage) -> None:
    """Only what the change names is written."""
    before = made(stage)
    after = stage.library.change(Change(before.number, (("firstname", "Aase"),)), soon())
    assert (after.category, after.expires) == (before.category, before.expires)
    assert after.fields["firstname"] == "Aase"


def test_a_cpr_that_arrives_later_finds_the_borrower(stage: Stage) -> None:
    """A temporary borrower keeps its number; a change that is repeated after a lost answer changes nothing more."""
    number = stage.register("T-4711", "TEMP")
    before = stage.library.read(number, soon())
    assert before is not None
    assert before.cpr is None
    for _ in range(2):
        after = stage.library.change(Change(number, (), "STUDENT", UNTIL, CPR), soon())
        assert (after.number, after.category, after.expires, after.cpr) == (number, "STUDENT", UNTIL, CPR)
        assert stage.library.find(CPR, soon()) == (after,)
        assert stage.library.read(number, soon()) == after
    assert stage.count() == 1


def test_the_last_pin_works(stage: Stage) -> None:
    """A PIN that is set is good at once, and the one before it no longer."""
    borrower = made(stage)
    stage.library.set_pin(borrower.number, "4071", soon())
    stage.library.set_pin(borrower.number, "5182", soon())
    assert stage.proves(CPR, "5182")
    assert not stage.proves(CPR, "4071")


def test_a_pin_is_checked(stage: Stage) -> None:
    """The borrower's PIN is right, another is wrong, one without a PIN and nobody's number have none."""
    borrower = made(stage)
    stage.library.set_pin(borrower.number, "4071", soon())
    other = stage.register("0202810000", "PRIVATE")
    assert stage.library.check_pin(borrower.number, "4071", soon()) is PinAnswer.RIGHT
    assert stage.library.check_pin(borrower.number, "4072", soon()) is PinAnswer.WRONG
    assert stage.library.check_pin(other, "4071", soon()) is PinAnswer.WRONG
    for nobodys in ("999999", "0", "nobody", CPR):
        assert stage.library.check_pin(nobodys, "4071", soon()) is PinAnswer.WRONG


def test_after_the_deadline_nothing_is_done(stage: Stage) -> None:
    """A create whose time is up is not sent: the lease may be another's by now."""
    with pytest.raises(LibraryUnavailable):
        stage.library.create(wish(), MARK, datetime.now(UTC) - timedelta(seconds=1))
    assert stage.count() == 0


def test_a_sound_system_has_no_faults(stage: Stage) -> None:
    """A set-up that keeps our promises is not complained about, and probing it leaves nothing behind."""
    expected = ExpectedSetup({"STUDENT": "student.yaml:1", "TEMP": "student.yaml:1"}, {"surname": "student.yaml:2"})
    made(stage)
    assert stage.library.prove(expected, soon()) == ()
    assert stage.count() == 1


def test_what_the_policies_name_and_the_system_has_not_is_a_fault(stage: Stage) -> None:
    """A category and a field, each with the line that names it; probing leaves nothing behind."""
    expected = ExpectedSetup({"STUDNT": "student.yaml:7", "TEMP": "x.yaml:1"}, {"surnam": "student.yaml:9"})
    faults = stage.library.prove(expected, soon())
    assert len(faults) == 2
    for fault, (name, place) in zip(faults, (("surnam", "student.yaml:9"), ("STUDNT", "student.yaml:7")), strict=True):
        assert name in fault.setting
        assert name in fault.sentence
        assert place in fault.sentence
    assert stage.count() == 0


def numbers(stage: Stage, text: str) -> set[str]:
    """Give the numbers of the borrowers that a typed text may mean."""
    return {each.number for each in stage.library.typed(text, soon())}


@pytest.mark.parametrize("text", ["0101800000", "010180-0000", "010180 0000", " 010180 - 0000 ", "010180\u20130000"])
def test_a_cpr_is_typed_in_any_spelling(stage: Stage, text: str) -> None:
    """With a hyphen of a word processor too."""
    borrower = made(stage)
    assert numbers(stage, text) == {borrower.number}


@pytest.mark.parametrize("text", ["Card-0042", "cARD-0042", " card-0042\u200b"])
def test_a_card_is_typed_in_any_case(stage: Stage, text: str) -> None:
    """Without what is not seen at its ends."""
    card = stage.register("Card-0042", "PRIVATE")
    assert numbers(stage, text) == {card}


def test_the_internal_number_is_nobodys(stage: Stage) -> None:
    """No card has it and no machine knows it: with automatic card numbers it is somebody else's."""
    card = stage.register("Card-0042", "PRIVATE")
    assert numbers(stage, made(stage).number) == set()
    assert numbers(stage, card) == set()


def test_a_card_that_is_anothers_internal_number_is_the_card(stage: Stage) -> None:
    """Whoever holds the card is meant, never the account that the system counts by that number."""
    borrower = made(stage)
    assert numbers(stage, borrower.number) == set()
    holder = stage.register(borrower.number, "PRIVATE")
    assert numbers(stage, borrower.number) == {holder}


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\u200b",
        "0",
        "42",
        "042",
        "00042",
        "0042 ",
        "00 42",
        "x" * 200,
        "0" * 200,
        "%",
        "00%",
        "_042",
        "*",
        "004*",
        "\uff10\uff10\uff14\uff12",
        "\u0660\u0660\u0664\u0662",
        "\uff10\uff11\uff10\uff11\uff18\uff10\uff10\uff10\uff10\uff10",
        "\u0660\u0661\u0660\u0661\u0668\u0660\u0660\u0660\u0660\u0660",
        "01018000000",
        "101800000",
        "010180--0000",
        '{"!=": null}',
        "0042|",
        "\x00",
    ],
)
def test_what_only_resembles_a_number_is_nobodys(stage: Stage, text: str) -> None:
    """Noughts count, other scripts' digits are none, and no sign stands for another."""
    made(stage)
    card = stage.register("0042", "PRIVATE")
    found = numbers(stage, text)
    assert found == ({card} if text.strip() == "0042" else set())


@pytest.mark.parametrize("text", ["\u212aISS-1", "ki\u017f\u017f-1"])
def test_a_card_is_printed_in_ascii(stage: Stage, text: str) -> None:
    """A letter that folds to one of a card's is another letter."""
    stage.register("KISS-1", "PRIVATE")
    assert numbers(stage, text) == set()


def test_a_user_name_counts_only_where_it_is_nobodys_card(stage: Stage) -> None:
    """The card in the hand comes before a name that somebody chose to be equal to it."""
    named = stage.register("Card-0001", "PRIVATE", "ase.pr\u00f8ve1")
    assert numbers(stage, "Ase.Pr\u00d8ve1") == {named}
    rival = stage.register("Card-0002", "PRIVATE", "Card-0003")
    assert numbers(stage, "card-0003") == {rival}
    holder = stage.register("Card-0003", "PRIVATE", "honest")
    assert numbers(stage, "card-0003") == {holder}


def test_a_card_that_is_anothers_cpr_is_several(stage: Stage) -> None:
    """Neither is chosen: a page names no account."""
    borrower = made(stage)
    holder = stage.register("010180-0000", "PRIVATE")
    assert numbers(stage, CPR) == {borrower.number, holder}
    assert numbers(stage, "010180-0000") == {borrower.number, holder}


def test_two_borrowers_of_one_cpr_are_several(stage: Stage) -> None:
    """Staff must merge them."""
    both = {stage.register("010180-0000", "PRIVATE"), stage.register("010180 0000", "STUDENT")}
    assert numbers(stage, CPR) == both
