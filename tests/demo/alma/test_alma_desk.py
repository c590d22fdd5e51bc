"""The simulated Alma at the library's desk and on its pages."""

import pytest

from broker.demo.alma import registered_users
from broker.demo.alma.alma_desk import AlmaDesk
from broker.demo.alma.simulated_alma import Simulation
from broker.demo.circulation.library_desk import account
from broker.demo.people.persona import registered_borrower
from tests.demo.alma.conftest import identifier, user

CPR = "0101990000"


@pytest.fixture(name="desk")
def _desk(alma: Simulation) -> AlmaDesk:
    return AlmaDesk(alma.users, alma.loans)


def test_a_registered_borrower_is_an_external_user_that_staff_have_edited(alma: Simulation, desk: AlmaDesk) -> None:
    """A user name that is a CPR number is of that type, another an institution id; group and PIN are by hand."""
    people = [
        registered_borrower("PRIVATE", CPR, "Prøvesen", firstname="Åse", email="a@own.example", password="4711"),
        registered_borrower("TEMP", "temp.bo", "Prøvesen", cardnumber="T-1", expiry_date="2028-01-31"),
    ]
    registered_users.register(alma.users, people)
    first, second = desk.accounts()
    assert (first.name, first.category, first.email) == ("Åse Prøvesen", "PRIVATE", "a@own.example")
    assert first.numbers == {"S-1", CPR}
    assert second.numbers == {"S-2", "temp.bo", "T-1"}
    assert second.expires == "2028-01-31Z"
    assert [row["by_hand"] for row in alma.users.rows()] == [{"user_group", "pin_number"}, {"user_group"}]
    assert alma.users.has_pin(alma.users.read(CPR, "CPR"), "4711")


def test_a_borrower_is_called_by_what_people_type_and_never_by_the_primary_id(alma: Simulation, desk: AlmaDesk) -> None:
    """A card number goes before a CPR number, and that before a user name; the primary id is the system's own."""
    alma.users.create(user(user_identifier=[identifier("BARCODE", "C1"), identifier("CPR", CPR)]))
    alma.users.create(user(primary_id="B-2", user_identifier=[identifier("INST_ID", "C1")]))
    for typed in ("C1", CPR):
        found = desk.called(typed)
        assert found is not None
        assert found.number == "B-1"
    assert desk.called("B-1") is None


def test_what_a_borrower_edits_is_written_and_the_rest_stays(alma: Simulation, desk: AlmaDesk) -> None:
    """Mail, telephone and address are the preferred ones; an empty one is taken out, an empty PIN leaves the PIN."""
    mail = [
        {"email_address": "old@own.example", "email_type": [{"value": "work"}]},
        {"preferred": True, "email_address": "a@own.example", "email_type": [{"value": "personal"}]},
    ]
    alma.users.create(user(pin_number="4711", contact_info={"email": mail}))
    desk.edit("B-1", {"email": "b@own.example", "phone": "12 34", "address": ""}, "")
    found = account(desk, "B-1")
    assert found is not None
    assert found.contacts == {"email": "b@own.example", "phone": "12 34", "address": ""}
    row = alma.users.read("B-1")
    assert [each["email_address"] for each in row["email"]] == ["b@own.example", "old@own.example"]
    assert alma.users.has_pin(row, "4711")
    desk.edit("B-1", {"email": ""}, "4712")
    assert alma.users.has_pin(alma.users.read("B-1"), "4712")
    assert desk.accounts()[0].email == "old@own.example"


def test_loans_move_when_users_are_merged(alma: Simulation, desk: AlmaDesk) -> None:
    """Merged by staff, a user's loans and identifiers are those of the user that was kept."""
    alma.users.create(user())
    alma.users.create(user(primary_id="B-2", user_identifier=[identifier("BARCODE", "C2")]))
    desk.table.lend("B-2", "Tides of the Limfjord")
    desk.merge("B-1", "B-2")
    assert desk.table.loans("B-1") == ("Tides of the Limfjord",)
    assert [found.numbers for found in desk.accounts()] == [{"B-1", "C2"}]
