"""How Koha's connector asks whether a PIN is right."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import responses

from broker.adapters.library_systems.koha.koha_library import Koha
from broker.core.borrowers.borrower import Borrower
from broker.core.errors import LibraryUnavailable
from broker.demo.koha.database.administration import FOUR_DIGIT_PINS
from broker.demo.koha.simulated_koha import Simulation
from tests.adapters.library_systems.sip2_port import answer_with, right, run_sip2_port
from tests.conformance.library_suite.values import soon

pytestmark = pytest.mark.server

CPR = "0101800000"
VALIDATION = "/api/v1/auth/password/validation"


def _desk(koha: Simulation, pin: str, **more: object) -> Borrower:
    made = koha.patrons.create({"surname": "Desk", "library_id": "AUL", "category_id": "PRIVATE"} | more)
    koha.patrons.set_password(made["patron_id"], pin, pin)
    return Borrower(str(made["patron_id"]), "PRIVATE", card=made["cardnumber"])


def test_a_pin_is_checked_by_one_call_with_the_card_number(koha: Simulation, library: Koha) -> None:
    """A right PIN takes one call. No number of a person stands in an address."""
    borrower = _desk(koha, "4071", userid=CPR, cardnumber="C1")
    library.read(borrower.number, soon())
    koha.access.clear()
    assert library.check_pin(borrower, "4071", soon())
    assert not library.check_pin(borrower, "4072", soon())
    assert len(koha.access) == 2
    assert CPR not in "".join(koha.access)


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
    ("card", "answers"),
    [
        (None, []),
        ("C1", [(201, {"patron_id": 77, "cardnumber": None, "userid": "x"})]),
        ("C1", [NULL]),  # its search for a patron without a card found another one
        ("C1", [BROKEN, NO]),
        ("C1", [(400, {"error": "Password expired"})]),
        ("C1", [NO]),
    ],
)
def test_a_pin_that_koha_does_not_take_is_wrong(
    *, koha: Simulation, library: Koha, card: str | None, answers: list[tuple[int, object]]
) -> None:
    """No card number, and an expired password, each in the answers that Koha gives to a right PIN only.

    Source: docs/reference/koha.md#right-pins.
    """
    borrower = _desk(koha, "4071", userid=CPR, cardnumber=card)
    with _answering(library.settings.url, *answers):
        assert not library.check_pin(borrower, "4071", soon())


@pytest.mark.parametrize("second", [BROKEN, (201, {"patron_id": 1}), NULL])
def test_a_koha_that_is_not_well_is_no_expired_pin(
    *, koha: Simulation, library: Koha, second: tuple[int, object]
) -> None:
    """A PIN that cannot be right is refused in order by a sound Koha, and by it alone."""
    borrower = _desk(koha, "4071", userid=CPR, cardnumber="C1")
    with _answering(library.settings.url, BROKEN, second), pytest.raises(LibraryUnavailable):
        library.check_pin(borrower, "4071", soon())


@pytest.mark.parametrize("another", [{}, {"userid": "another", "cardnumber": None}])
def test_an_expired_pin_is_wrong(koha: Simulation, library: Koha, another: dict[str, object]) -> None:
    """It is refused whether or not there is a borrower without a card number to be found instead."""
    borrower = _desk(koha, "4071", userid=CPR, cardnumber=CPR)
    if another:
        _desk(koha, "5182", **another)
    koha.patrons.passwords.expire(int(borrower.number))
    assert not library.check_pin(borrower, "4071", soon())
    assert not library.check_pin(borrower, "4072", soon())


def test_a_locked_borrower_has_no_right_pin(koha: Simulation, library: Koha) -> None:
    """Koha refuses the right PIN like a wrong one. A new PIN opens the account."""
    koha.patrons.administration = FOUR_DIGIT_PINS.change_preferences(failed_login_attempts=2)
    borrower = _desk(koha, "4071", userid=CPR, cardnumber=CPR)
    assert {library.check_pin(borrower, pin, soon()) for pin in ("4072", "4073", "4071")} == {False}
    library.set_pin(borrower.number, "5182", soon())
    assert library.check_pin(borrower, "5182", soon())


def test_a_pin_that_a_machine_refuses_is_wrong(koha: Simulation, opened: Callable[..., Koha]) -> None:
    """The machine is asked with the card number, but only about a PIN that Koha accepted."""
    with run_sip2_port(answer_with(right("C-1").replace("CQY", "CQN"))) as (port, _, _observed):
        machine = {"host": "127.0.0.1", "port": port.server_address[1], "login": "machine", "password": "secret"}
        library = opened(sip2=machine)
        borrower = _desk(koha, "4071", userid=CPR, cardnumber="C-1")
        for pin in ("4071", "4072"):
            assert not library.check_pin(borrower, pin, soon())
    questions = [message for message in port.seen if message.startswith("63")]
    assert len(questions) == 1
    assert "|AAC-1|AC|AD4071|" in questions[0]


@pytest.mark.parametrize(
    ("status", "body"), [(200, {"patron_id": 1}), (400, {"error": "Other"}), (404, {}), (429, {}), (503, {}), (201, [])]
)
def test_other_answers_are_no_verdict(koha: Simulation, library: Koha, status: int, body: object) -> None:
    """Every other answer is LibraryUnavailable, without a quotation."""
    borrower = _desk(koha, "4071", userid=CPR, cardnumber=CPR)
    with _answering(library.settings.url, (status, body)), pytest.raises(LibraryUnavailable) as raised:
        library.check_pin(borrower, "4071", soon())
    assert "4071" not in str(raised.value)
    assert CPR not in str(raised.value)
