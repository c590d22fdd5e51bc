"""How a change swaps all of a user in the simulated Alma, and what it leaves (docs/alma.md#change)."""

from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from broker.demo.alma.simulated_alma import Simulation
from tests.demo.alma.conftest import identifier, user

Ask = Callable[..., TestResponse]
Code = Callable[..., str]
Add = Callable[..., dict[str, Any]]

INTERNAL = {"account_type": {"value": "INTERNAL"}, "external_id": ""}


def group_of(answer: TestResponse) -> str:
    """Give the user group of an answered user."""
    return str(answer.get_json()["user_group"]["value"])


def test_what_the_body_leaves_out_is_gone(add: Add, ask: Ask) -> None:
    """A change swaps all: names, days and lists that the body has not are cleared, whoever owned them."""
    note = {"note_type": {"value": "GENERAL"}, "note_text": "Owes a book", "segment_type": "Internal"}
    add(middle_name="Ib", expiry_date="2027-08-31Z", user_identifier=[identifier("CPR", "x")], user_note=[note])
    changed = ask("PUT", "/users/B-1", user()).get_json()
    assert changed["middle_name"] == ""
    assert "expiry_date" not in changed
    assert (changed["user_identifier"], changed["user_note"]) == ([], [])


def test_a_whole_user_sent_back_changes_nothing(add: Add, ask: Ask, alma: Simulation) -> None:
    """What a GET answers may be sent back as it is: derived fields are left out, PIN and roles stay."""
    add(pin_number="4711", user_identifier=[identifier("BARCODE", "C1", "Internal")])
    before = alma.users.rows()
    assert ask("PUT", "/users/B-1", ask("GET", "/users/B-1").get_json()).status_code == 200
    assert alma.users.rows() == before


@pytest.mark.parametrize(
    ("query", "edited", "expected"),
    [
        ("", {}, "EMPLOYEE"),
        ("", {"user_group": "STUDENT"}, "STUDENT"),
        ("", {"first_name": "Åsa"}, "EMPLOYEE"),
        ("?override=user_group", {"user_group": "STUDENT"}, "EMPLOYEE"),
        ("?override=pin_number", {"user_group": "STUDENT"}, "STUDENT"),
        ("?override=pin_number,user_group", {"user_group": "STUDENT"}, "EMPLOYEE"),
    ],
)
def test_a_group_that_staff_edited_stays_unless_it_is_named(
    query: str, edited: dict[str, str], expected: str, ask: Ask, alma: Simulation
) -> None:
    """Of an external user a field edited by hand is replaced only by ``override`` with its name."""
    alma.users.create(user())
    alma.users.edit("B-1", **edited)
    sent = user(user_group={"value": "EMPLOYEE"})
    assert group_of(ask("PUT", f"/users/B-1{query}", sent)) == expected


def test_a_field_stays_edited_by_hand_after_it_was_overridden(ask: Ask, alma: Simulation) -> None:
    """The override of one change says nothing of the next: what staff once edited is theirs again."""
    alma.users.create(user())
    alma.users.edit("B-1", user_group="STUDENT")
    ask("PUT", "/users/B-1?override=user_group", user(user_group={"value": "EMPLOYEE"}))
    assert group_of(ask("PUT", "/users/B-1", user(user_group={"value": "PRIVATE"}))) == "EMPLOYEE"


def test_a_protected_field_that_is_empty_stays(add: Add, ask: Ask, alma: Simulation) -> None:
    """An external user's PIN and group survive a body without them; named in ``override`` they are cleared."""
    add(pin_number="4711")
    ask("PUT", "/users/B-1", user(user_group=None))
    (row,) = alma.users.rows()
    assert (row["pin_number"], row["user_group"]) == ("4711", "STUDENT")
    ask("PUT", "/users/B-1?override=pin_number", user())
    assert not alma.users.has_pin(alma.users.read("B-1"), "4711")


def test_an_internal_users_fields_are_not_protected(add: Add, ask: Ask, alma: Simulation) -> None:
    """The protection is of external users: an internal one's PIN is swapped like all else, its password stays."""
    add(**INTERNAL, pin_number="4711", password="long enough")
    ask("PUT", "/users/B-1", user(**INTERNAL))
    row = alma.users.read("B-1")
    assert row["pin_number"] == ""
    assert alma.users.has_password(row, "long enough")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {"external_id": "OTHER"}, "401858"),
        ({}, INTERNAL, "401858"),
        (INTERNAL, {}, ""),
        ({}, {"primary_id": "B-9"}, "401860"),
        ({}, {"primary_id": "b-1"}, ""),
        ({}, {"user_identifier": [identifier("CPR", "taken")]}, "401851"),
        ({}, {"user_group": {"value": "NOBODY"}}, "401852"),
        ({}, {"pin_number": "471"}, "401860"),
    ],
)
def test_a_change_that_breaks_a_rule_changes_nothing(
    before: dict[str, Any], after: dict[str, Any], expected: str, code: Code, alma: Simulation
) -> None:
    """An external id stays what it is, an external user external, an identifier one user's."""
    profiles = ("SIS", "OTHER")
    alma.users.administration = alma.users.administration.changed(external_systems=profiles)
    alma.users.create(user(primary_id="B-2", user_identifier=[identifier("CPR", "taken")]))
    alma.users.create(user(**before))
    kept = alma.users.read("B-1")
    assert code("PUT", "/users/B-1", user(**after)) == expected
    assert (alma.users.read("B-1") == kept) == bool(expected)


@pytest.mark.parametrize(
    ("account", "sent", "kept"),
    [
        ({}, "Internal", "Internal"),
        ({}, "External", "External"),
        ({}, "", "External"),
        ({}, "Odd", "External"),
        (INTERNAL, "External", "Internal"),
    ],
)
def test_a_segment_is_owned_as_its_user_has_it(account: dict[str, Any], sent: str, kept: str, add: Add) -> None:
    """An internal user's segments are internal; an external one's are external unless said to be internal."""
    made = add(**account, user_identifier=[identifier("BARCODE", "C1", sent)])
    assert [each["segment_type"] for each in made["user_identifier"]] == [kept]


def test_roles_stay_until_they_are_recalculated(add: Add, ask: Ask, alma: Simulation) -> None:
    """A change keeps the roles that it does not name, of a new group too, until ``recalculate_roles``."""
    rules = {"EMPLOYEE": ("200",)}
    alma.users.administration = alma.users.administration.changed(role_rules=rules)
    add()
    sent = user(user_group={"value": "EMPLOYEE"})
    assert ask("PUT", "/users/B-1", sent).get_json()["user_role"] == []
    roles = ask("PUT", "/users/B-1?recalculate_roles=true", sent).get_json()["user_role"]
    assert [role["role_type"]["value"] for role in roles] == ["200"]


def test_a_merged_user_is_found_by_its_identifiers_only(add: Add, code: Code, alma: Simulation) -> None:
    """Of a merged user the identifiers lead to the one that was kept; its primary id leads nowhere."""
    add()
    add(primary_id="B-2", user_identifier=[identifier("CPR", "x")])
    alma.users.merge("B-1", "B-2")
    assert code("GET", "/users/B-2") == "401861"
    assert alma.users.read("x", "CPR")["primary_id"] == "B-1"


def test_a_user_past_the_purge_date_is_purged(add: Add, code: Code, alma: Simulation) -> None:
    """The purge job deletes users whose purge date has passed, and nobody else."""
    add(purge_date="2027-08-31Z")
    add(primary_id="B-2")
    alma.users.purge("2027-08-31")
    assert code("GET", "/users/B-1") == ""
    alma.users.purge("2027-09-01")
    assert [row["primary_id"] for row in alma.users.rows()] == ["B-2"]
