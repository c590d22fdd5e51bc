"""How Koha's connector asks whether a PIN is right."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest
import responses

from broker.adapters.library_systems.koha import Koha
from broker.core.borrowers.pins import PinAnswer
from broker.core.errors import LibraryUnavailable
from broker.demo.koha.administration import FOUR_DIGIT_PINS
from broker.demo.koha.loans import Circulation
from broker.demo.koha.simulated_koha import Simulation
from broker.demo.koha.sip2_server import TERMINALS, serve_sip2
from tests.plugins.sip2_port import answering, right, serving

pytestmark = pytest.mark.server

CPR = "0101800000"
VALIDATION = "/api/v1/auth/password/validation"

Soon = Callable[..., datetime]


def _desk(koha: Simulation, pin: str, **more: object) -> str:
    made = koha.patrons.create({"surname": "Desk", "library_id": "AUL", "category_id": "PRIVATE"} | more)
    koha.patrons.set_password(made["patron_id"], pin, pin)
    return str(made["patron_id"])


@pytest.mark.parametrize(
    "names", [{"userid": CPR, "cardnumber": "C1"}, {"userid": "desk.user", "cardnumber": CPR}, {"cardnumber": "C1"}]
)
def test_a_borrower_of_any_name_is_checked(koha: Simulation, library: Koha, soon: Soon, names: dict[str, str]) -> None:
    """User name, card number or both: the borrower is the one that the number says."""
    number = _desk(koha, "4071", **names)
    assert library.check_pin(number, "4071", soon()) is PinAnswer.RIGHT
    assert library.check_pin(number, "4072", soon()) is PinAnswer.WRONG


def test_anothers_pin_proves_nothing(koha: Simulation, library: Koha, soon: Soon) -> None:
    """Where one's card number is another's user name, Koha may try the other: that is not this borrower's PIN."""
    _desk(koha, "4071", userid="desk.user", cardnumber=CPR)
    number = _desk(koha, "5182", userid=CPR)
    assert library.check_pin(number, "4071", soon()) is PinAnswer.WRONG


def test_nobodys_number_costs_the_same_calls(koha: Simulation, library: Koha, soon: Soon) -> None:
    """Read, tried, and read again where it is refused, whoever it is; no number of a person stands in an address."""
    number = _desk(koha, "4071", userid=CPR)
    library.read(number, soon())
    for asked in (number, "999999", "0", CPR, "nobody"):
        koha.access._lines.clear()
        library.check_pin(asked, "4072", soon())
        methods = [line.split()[0] for line in koha.access.lines()]
        assert methods == ["GET", "POST", "GET"], asked
        assert CPR not in "".join(koha.access.lines())


def test_a_card_number_that_was_just_read_spares_a_look(koha: Simulation, library: Koha, soon: Soon) -> None:
    """A right PIN takes one call; it is right for the number that was asked about only."""
    number = _desk(koha, "4071", userid="desk.user", cardnumber="C1")
    anothers = _desk(koha, "5182", userid="C1", cardnumber="C2")
    library.read(number, soon())
    koha.access._lines.clear()
    assert library.check_pin(number, "4071", soon(), "C1") is PinAnswer.RIGHT
    assert len(koha.access.lines()) == 1
    assert library.check_pin(number, "5182", soon(), "C1") is PinAnswer.WRONG
    assert library.check_pin(anothers, "4071", soon(), "C1") is PinAnswer.WRONG
    koha.patrons.edit(int(anothers), login_attempts=-1)
    assert library.check_pin(anothers, "5182", soon(), "C2") is PinAnswer.LOCKED


@contextmanager
def _answering(url: str, *answers: tuple[int, object]) -> Iterator[responses.RequestsMock]:
    """Let the password validation answer so, one after the other; everything else is the simulated Koha's."""
    with responses.RequestsMock() as mocked:
        mocked.add_passthru(f"{url}/api/v1/oauth")
        mocked.add_passthru(f"{url}/api/v1/patrons")
        for status, body in answers:
            mocked.add(responses.POST, url + VALIDATION, json=body, status=status)
        yield mocked


NULL = (500, {"errors": [{"message": "Expected string - got null.", "path": "/body/cardnumber"}], "status": 500})
BROKEN = (500, {"error": "Something went wrong, check Koha logs for details.", "error_code": "internal_server_error"})
NO = (400, {"error": "Validation failed"})


@pytest.mark.parametrize(
    ("card", "answers", "expected"),
    [
        (None, [NULL], PinAnswer.NO_CARD_NUMBER),
        (None, [(201, {"patron_id": 77, "cardnumber": None, "userid": "x"})], PinAnswer.NO_CARD_NUMBER),
        ("C1", [(201, {"patron_id": 77, "cardnumber": None, "userid": "x"})], PinAnswer.WRONG),
        ("C1", [NULL], PinAnswer.EXPIRED),  # its search for a patron without a card found another one
        ("C1", [BROKEN, NO], PinAnswer.EXPIRED),
        (None, [BROKEN, NO], PinAnswer.EXPIRED),
        ("C1", [(400, {"error": "Password expired"})], PinAnswer.EXPIRED),
        ("C1", [NO], PinAnswer.WRONG),
    ],
)
def test_right_pins_that_koha_does_not_take_are_told_apart(
    *,
    koha: Simulation,
    library: Koha,
    soon: Soon,
    card: str | None,
    answers: list[tuple[int, object]],
    expected: PinAnswer,
) -> None:
    """No card number, and an expired password, each in the answers that Koha gives to a right PIN only.

    Source: docs/reference/koha.md#right-pins.
    """
    number = _desk(koha, "4071", userid=CPR, cardnumber=card)
    with _answering(library._settings.url, *answers):
        assert library.check_pin(number, "4071", soon()) is expected


@pytest.mark.parametrize("second", [BROKEN, (201, {"patron_id": 1}), NULL])
def test_a_koha_that_is_not_well_is_no_expired_pin(
    *, koha: Simulation, library: Koha, soon: Soon, second: tuple[int, object]
) -> None:
    """A PIN that cannot be right is refused in order by a sound Koha, and by it alone."""
    number = _desk(koha, "4071", userid=CPR, cardnumber="C1")
    with _answering(library._settings.url, BROKEN, second), pytest.raises(LibraryUnavailable):
        library.check_pin(number, "4071", soon())


def test_a_borrower_without_a_card_number_is_told(koha: Simulation, library: Koha, soon: Soon) -> None:
    """With the right PIN only: whoever guesses hears the same as of every wrong PIN."""
    number = _desk(koha, "4071", userid=CPR)
    assert library.check_pin(number, "4071", soon()) is PinAnswer.NO_CARD_NUMBER
    assert library.check_pin(number, "4072", soon()) is PinAnswer.WRONG


@pytest.mark.parametrize("another", [{}, {"userid": "another", "cardnumber": None}])
def test_an_expired_pin_is_told(koha: Simulation, library: Koha, soon: Soon, another: dict[str, object]) -> None:
    """With the right PIN only, and whether or not there is a borrower without a card number to be found instead."""
    number = _desk(koha, "4071", userid=CPR, cardnumber=CPR)
    if another:
        _desk(koha, "5182", **another)
    koha.patrons.end_password(int(number))
    assert library.check_pin(number, "4071", soon()) is PinAnswer.EXPIRED
    assert library.check_pin(number, "4072", soon()) is PinAnswer.WRONG


def test_a_borrower_locked_by_wrong_tries_is_told(koha: Simulation, library: Koha, soon: Soon) -> None:
    """Koha refuses the right PIN like a wrong one and does not count it: it was not looked at. A new PIN unlocks."""
    koha.patrons.administration = FOUR_DIGIT_PINS.with_preferences(failed_login_attempts=2)
    number = _desk(koha, "4071", userid=CPR, cardnumber=CPR)
    answers = [library.check_pin(number, pin, soon()) for pin in ("4072", "4073", "4071", "4074")]
    assert answers == [PinAnswer.WRONG, PinAnswer.WRONG, PinAnswer.LOCKED, PinAnswer.LOCKED]
    library.set_pin(number, "5182", soon())
    assert library.check_pin(number, "5182", soon()) is PinAnswer.RIGHT


def test_a_borrower_locked_by_staff_is_told(koha: Simulation, library: Koha, soon: Soon) -> None:
    """Without the setting too."""
    number = _desk(koha, "4071", userid=CPR, cardnumber=CPR)
    koha.patrons.edit(int(number), login_attempts=-1)
    assert library.check_pin(number, "4071", soon()) is PinAnswer.LOCKED


def test_wrong_tries_alone_lock_nobody(koha: Simulation, library: Koha, soon: Soon) -> None:
    """Without the setting they are counted, and the right PIN is right."""
    number = _desk(koha, "4071", userid=CPR, cardnumber=CPR)
    answers = [library.check_pin(number, pin, soon()) for pin in ("4072", "4073", "4074", "4071")]
    assert answers == [*[PinAnswer.WRONG] * 3, PinAnswer.RIGHT]


def test_a_pin_that_koha_did_not_set_is_wrong(koha: Simulation, library: Koha, soon: Soon) -> None:
    """It answered 200: its notice about the new password is missing."""
    number = _desk(koha, "4071", userid=CPR, cardnumber=CPR, email="aase@post.example")
    koha.patrons.administration = FOUR_DIGIT_PINS.with_preferences(notices=frozenset())
    library.set_pin(number, "5182", soon())
    assert library.check_pin(number, "5182", soon()) is PinAnswer.WRONG
    assert library.check_pin(number, "4071", soon()) is PinAnswer.RIGHT


def test_with_a_machine_both_must_say_yes(koha: Simulation, opened: Callable[..., Koha], soon: Soon) -> None:
    """The library system's own SIP2 port takes the card number and the PIN, as a machine gives them."""
    with serve_sip2(Circulation(koha.patrons)) as port:
        machine = {"host": "127.0.0.1", "port": port, "login": "machine", "password": TERMINALS["machine"]}
        library = opened(sip2=machine)
        number = _desk(koha, "4071", userid=CPR, cardnumber="C-1")
        assert library.check_pin(number, "4071", soon()) is PinAnswer.RIGHT
        assert library.check_pin(number, "4072", soon()) is PinAnswer.WRONG


def test_a_pin_that_a_machine_refuses_is_wrong(koha: Simulation, opened: Callable[..., Koha], soon: Soon) -> None:
    """Whatever Koha's REST says: the machine is asked with the card number, of a right PIN only."""
    with serving(answering(right("C-1").replace("CQY", "CQN"))) as (port, _, _observed):
        machine = {"host": "127.0.0.1", "port": port.server_address[1], "login": "machine", "password": "secret"}
        library = opened(sip2=machine)
        number = _desk(koha, "4071", userid=CPR, cardnumber="C-1")
        for pin in ("4071", "4072"):
            assert library.check_pin(number, pin, soon()) is PinAnswer.WRONG
    questions = [message for message in port.seen if message.startswith("63")]
    assert len(questions) == 1
    assert "|AAC-1|AC|AD4071|" in questions[0]


def test_a_machine_that_does_not_answer_is_no_verdict(
    koha: Simulation, opened: Callable[..., Koha], soon: Soon
) -> None:
    """A PIN is mailed once both have said yes."""
    library = opened(sip2={"host": "127.0.0.1", "port": 1, "login": "machine", "password": "secret"})
    number = _desk(koha, "4071", userid=CPR, cardnumber="C-1")
    with pytest.raises(LibraryUnavailable, match="sip2: no answer"):
        library.check_pin(number, "4071", soon())


@pytest.mark.parametrize(
    ("status", "body"), [(200, {"patron_id": 1}), (400, {"error": "Other"}), (404, {}), (429, {}), (503, {}), (201, [])]
)
def test_other_answers_are_no_verdict(koha: Simulation, library: Koha, soon: Soon, status: int, body: object) -> None:
    """Whatever is neither Koha's yes nor its no is worth another try, and quotes nothing."""
    number = _desk(koha, "4071", userid=CPR)
    with _answering(library._settings.url, (status, body)), pytest.raises(LibraryUnavailable) as raised:
        library.check_pin(number, "4071", soon())
    assert "4071" not in str(raised.value)
    assert CPR not in str(raised.value)
