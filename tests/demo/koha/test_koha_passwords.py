"""Passwords in the simulated Koha: rules, notice, validation and lock-out.

Source: docs/reference/koha.md#pin, #pin-lies, #lock-out, #numbers.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from werkzeug.test import TestResponse

from broker.demo.koha.database.administration import FOUR_DIGIT_PINS, Administration, Category
from broker.demo.koha.simulated_koha import Simulation

CPR = "0101800000"
WEAK = "[Password is too weak]"
BLANKS = "[Password contains leading/trailing whitespace character(s)]"

Ask = Callable[..., TestResponse]
Add = Callable[..., dict[str, Any]]


def _set(ask: Ask, password: str, again: str | None = None, number: int = 1) -> TestResponse:
    body = {"password": password, "password_2": password if again is None else again}
    return ask("POST", f"/patrons/{number}/password", body)


def _validate(ask: Ask, password: str, identifier: str = CPR) -> tuple[int, Any]:
    answer = ask("POST", "/auth/password/validation", {"identifier": identifier, "password": password})
    return answer.status_code, answer.get_json()


def _prefer(koha: Simulation, **changed: object) -> None:
    koha.patrons.administration = koha.patrons.administration.change_preferences(**changed)


@pytest.mark.parametrize(
    ("rules", "password", "error"),
    [
        ((None, None), "4071", "Password length (4) is shorter than required (8)"),
        ((None, None), "40714071", WEAK),
        ((None, None), "Secret40714071", None),
        ((4, None), "4071", WEAK),
        ((None, False), "4071", "Password length (4) is shorter than required (8)"),
        ((4, False), "4071", None),
        ((4, False), " 407", BLANKS),
        ((4, False), "407 ", BLANKS),
        ((4, False), "12", "Password length (2) is shorter than required (4)"),
        ((1, False), "12", "Password length (2) is shorter than required (3)"),
    ],
)
def test_a_password_follows_the_rules_of_preference_and_category(
    *, ask: Ask, add: Add, koha: Simulation, rules: tuple[int | None, bool | None], password: str, error: str | None
) -> None:
    """With Koha's defaults every PIN of four digits is refused; both of the category's own rules must be set."""
    category = {"STUDENT": Category(12, *rules)}
    koha.patrons.administration = replace(Administration(), categories=category)
    add(cardnumber=CPR)
    answer = _set(ask, password)
    assert (answer.status_code, answer.get_json()) == ((400, {"error": error}) if error else (200, ""))


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


@pytest.mark.usefixtures("anna")
def test_wrong_tries_are_counted_and_lock_only_where_the_library_says_so(ask: Ask, koha: Simulation) -> None:
    """The right PIN is then refused like a wrong one; Koha's default does not lock. A new PIN unlocks."""
    _set(ask, "4071")
    for _ in range(5):
        _validate(ask, "4072")
    assert ask("GET", "/patrons/1").get_json()["login_attempts"] == 5
    assert _validate(ask, "4071")[0] == 201
    assert ask("GET", "/patrons/1").get_json()["login_attempts"] == 0
    _prefer(koha, failed_login_attempts=3)
    for _ in range(5):
        _validate(ask, "4072")
    assert ask("GET", "/patrons/1").get_json()["login_attempts"] == 3
    assert _validate(ask, "4071") == (400, {"error": "Validation failed"})
    _set(ask, "4071")
    assert _validate(ask, "4071")[0] == 201
