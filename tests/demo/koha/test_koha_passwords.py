"""How the simulated Koha checks passwords.

Source: docs/reference/koha.md#pin, #pin-lies, #numbers.
"""

from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from broker.demo.koha.database.administration import FOUR_DIGIT_PINS
from broker.demo.koha.simulated_koha import Simulation

CPR = "0101800000"

Ask = Callable[..., TestResponse]
Add = Callable[..., dict[str, Any]]


def _set(ask: Ask, password: str, again: str | None = None, number: int = 1) -> TestResponse:
    body = {"password": password, "password_2": password if again is None else again}
    return ask("POST", f"/patrons/{number}/password", body)


def _validate(ask: Ask, password: str, identifier: str = CPR) -> tuple[int, Any]:
    answer = ask("POST", "/auth/password/validation", {"identifier": identifier, "password": password})
    return answer.status_code, answer.get_json()


@pytest.fixture(name="anna")
def _anna(add: Add, koha: Simulation) -> None:
    """Add a borrower with card number and mail address, where PINs have four digits."""
    koha.patrons.administration = FOUR_DIGIT_PINS
    add(userid="anna", cardnumber=CPR, email="anna@post.example")


def test_a_user_name_does_not_hide_the_card_number_of_another(ask: Ask, add: Add, koha: Simulation) -> None:
    """The user name is tried first, then the card number: the password decides which patron matches."""
    koha.patrons.administration = FOUR_DIGIT_PINS
    add(userid=CPR, cardnumber="C1")
    add(userid="other", cardnumber=CPR)
    _set(ask, "4071", number=1)
    _set(ask, "5182", number=2)
    assert [_validate(ask, pin)[1]["patron_id"] for pin in ("4071", "5182")] == [1, 2]


def test_without_a_card_number_the_right_pin_is_a_500(ask: Ask, add: Add, koha: Simulation) -> None:
    """Koha's answer breaks its own schema; a wrong PIN is 400, so that a guesser can tell."""
    koha.patrons.administration = FOUR_DIGIT_PINS
    add(userid="anna")
    _set(ask, "4071")
    error = {"message": "Expected string - got null.", "path": "/body/cardnumber"}
    assert _validate(ask, "4071", "anna") == (500, {"errors": [error], "status": 500})
    assert _validate(ask, "4072", "anna") == (400, {"error": "Validation failed"})
