"""What the simulated Koha answers to PUT, attributes and passwords.

Source: docs/reference/koha.md#change, #pin.
"""

from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

CPR = "0101800000"
ANNA = {"surname": "Prøvesen", "firstname": "Åse", "library_id": "AUL", "category_id": "STUDENT"}


Ask = Callable[..., TestResponse]
Add = Callable[..., dict[str, Any]]


def test_put_merges(ask: Ask, add: Add) -> None:
    """1.4: absent fields stay, null clears, and a new category leaves the expiry alone."""
    add(email="a@post.example", phone="1", expiry_date="2031-11-24")
    body = {**ANNA, "category_id": "PRIVATE", "phone": None}
    row = ask("PUT", "/patrons/1", body).get_json()
    assert (row["category_id"], row["expiry_date"]) == ("PRIVATE", "2031-11-24")
    assert (row["email"], row["phone"]) == ("a@post.example", None)


@pytest.mark.parametrize(
    ("number", "body", "status", "error"),
    [
        (2, ANNA | {"extended_attributes": []}, 500, "Something went wrong, check Koha logs for details."),
        (2, ANNA | {"cardnumber": CPR}, 409, "Duplicate ID"),
        (2, ANNA | {"userid": CPR}, 400, f"Problem with {CPR}"),
        (9, ANNA, 404, "Patron not found"),
    ],
)
def test_what_put_refuses(*, ask: Ask, add: Add, number: int, body: object, status: int, error: str) -> None:
    """1.4: attributes, what others have, and a patron who is not there."""
    add(cardnumber=CPR, userid=CPR)
    add()
    answer = ask("PUT", f"/patrons/{number}", body)
    assert (answer.status_code, answer.get_json()["error"]) == (status, error)


def test_put_demands_three_fields(ask: Ask, add: Add) -> None:
    """1.4: surname, library and category each time."""
    add()
    errors = ask("PUT", "/patrons/1", {}).get_json()["errors"]
    assert [each["path"] for each in errors] == ["/body/surname", "/body/library_id", "/body/category_id"]


def test_a_taken_attribute_is_409_at_its_own_endpoint(ask: Ask, add: Add) -> None:
    """1.4: though it was 400 at the patron's creation."""
    add(extended_attributes=[{"type": "CPR", "value": CPR}])
    add()
    path = "/patrons/2/extended_attributes"
    assert ask("POST", path, {"type": "CPR", "value": CPR}).status_code == 409
    made = ask("POST", path, {"type": "CPR", "value": "0202810000"})
    assert made.status_code == 201
    assert ask("DELETE", f"{path}/{made.get_json()['extended_attribute_id']}").status_code == 204
    assert ask("GET", path).get_json() == []


@pytest.mark.parametrize(
    ("password", "again", "error"),
    [
        ("123", "123", "Password length (3) is shorter than required (4)"),
        ("1234", "1235", "Passwords don't match"),
        (" 1234", " 1234", "[Password contains leading/trailing whitespace character(s)]"),
    ],
)
def test_password_rules(ask: Ask, add: Add, password: str, again: str, error: str) -> None:
    """1.5: the three refusals."""
    add()
    answer = ask("POST", "/patrons/1/password", {"password": password, "password_2": again})
    assert (answer.status_code, answer.get_json()) == (400, {"error": error})


def test_a_password_is_validated(ask: Ask, add: Add) -> None:
    """1.5: by user name or card number, 201 with who it is, else 400."""
    add(userid="anna", cardnumber=CPR)
    answer = ask("POST", "/patrons/1/password", {"password": "1234", "password_2": "1234"})
    assert (answer.status_code, answer.get_json()) == (200, "")
    for identifier in ("anna", CPR):
        proven = ask("POST", "/auth/password/validation", {"identifier": identifier, "password": "1234"})
        assert (proven.status_code, proven.get_json()["patron_id"]) == (201, 1)
    wrong = ask("POST", "/auth/password/validation", {"identifier": "anna", "password": "4321"})
    assert (wrong.status_code, wrong.get_json()) == (400, {"error": "Validation failed"})
