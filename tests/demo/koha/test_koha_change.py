"""Changes of patrons in the simulated Koha: PUT, attributes, deletions and merges.

Source: docs/reference/koha.md#change.
"""

from collections.abc import Callable
from typing import Any

from werkzeug.test import TestResponse

from broker.demo.koha.simulated_koha import Simulation

CPR = "0101800000"
ANNA = {"surname": "Prøvesen", "firstname": "Åse", "library_id": "AUL", "category_id": "STUDENT"}


Ask = Callable[..., TestResponse]
Add = Callable[..., dict[str, Any]]


def test_a_duplicate_unique_attribute_is_409_at_its_own_endpoint(ask: Ask, add: Add) -> None:
    """1.4: the same duplicate is 400 when the patron is created."""
    add(extended_attributes=[{"type": "CPR", "value": CPR}])
    add()
    path = "/patrons/2/extended_attributes"
    assert ask("POST", path, {"type": "CPR", "value": CPR}).status_code == 409
    made = ask("POST", path, {"type": "CPR", "value": "0202810000"})
    assert made.status_code == 201
    assert ask("DELETE", f"{path}/{made.get_json()['extended_attribute_id']}").status_code == 204
    assert ask("GET", path).get_json() == []


def test_a_repeated_attribute_of_a_non_repeatable_type_is_refused(ask: Ask, add: Add) -> None:
    """400 in a create, 409 at its own endpoint, both with type and value in the text."""
    text = {"error": "Tried to add more than one non-repeatable attributes. type=CPR value=0202810000"}
    first, second = ({"type": "CPR", "value": value} for value in (CPR, "0202810000"))
    answer = ask("POST", "/patrons", ANNA | {"extended_attributes": [first, second]})
    assert (answer.status_code, answer.get_json()) == (400, text)
    number = add(extended_attributes=[first])["patron_id"]
    answer = ask("POST", f"/patrons/{number}/extended_attributes", second)
    assert (answer.status_code, answer.get_json()) == (409, text)


def test_a_merge_keeps_one_number_and_moves_attributes(ask: Ask, add: Add, koha: Simulation) -> None:
    """The kept number stays, the merged one is 404. Attributes move unless they would repeat."""
    add(cardnumber="A1")
    add(cardnumber=CPR, extended_attributes=[{"type": "CPR", "value": CPR}])
    add(cardnumber="A3", extended_attributes=[{"type": "CPR", "value": "0202810000"}])
    koha.patrons.merge(1, 2)
    koha.patrons.merge(1, 3)
    embed = {"x_koha_embed": "extended_attributes"}
    kept = ask("GET", "/patrons/1", **embed).get_json()
    assert (kept["cardnumber"], [one["value"] for one in kept["extended_attributes"]]) == ("A1", [CPR])
    assert {ask("GET", f"/patrons/{number}").status_code for number in (2, 3)} == {404}
