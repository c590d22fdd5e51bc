"""The check of the demo tells whether a machine takes the PIN that a persona got."""

from dataclasses import replace

import pytest

from broker.demo.check import machine_check
from broker.demo.check.machine_check import CHOSEN_PIN, at_machine
from broker.demo.people.personas import persona
from tests.plugins.house import House, mark

pytestmark = pytest.mark.server


def verdict(house: House, name: str, *, made: bool = False, before: int = 0) -> str:
    """Give what the machine says to a persona."""

    def choose(link: str) -> bool:
        browser = house.person()
        return mark(browser.press(browser.get(link), pin=CHOSEN_PIN, again=CHOSEN_PIN)) == ("pin", "set")

    return at_machine(house.machine, house.mailbox, persona(name), made=made, mails_before=before, choose=choose)


def test_a_chosen_pin_opens_the_machine(house: House) -> None:
    """Asta's first login makes a borrower, and the PIN chosen behind the mailed link fits her CPR number."""
    person = house.person()
    house.landing(person.agree(person.log_in("asta")))
    assert verdict(house, "asta", made=True) == "valid"


@pytest.mark.parametrize(("name", "expected"), [("vera", "valid"), ("ivan", "valid"), ("asta", "")])
def test_who_was_registered_types_the_number_on_the_card(house: House, name: str, expected: str) -> None:
    """Vera her health card's, Ivan, who has no CPR number, that of his own card; who has no PIN types none."""
    assert verdict(house, name) == expected


def test_a_pin_that_was_not_set_is_found_out(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library system whose notice is missing sets no PIN and says 200."""
    patrons = house.koha.patrons
    patrons.administration = patrons.administration.with_preferences(notices=frozenset())
    person = house.person()
    house.landing(person.agree(person.log_in("asta")))
    monkeypatch.setattr(machine_check, "_MAIL_WITHIN", 1.0)
    assert verdict(house, "asta", made=True) != "valid"


def test_a_mail_that_does_not_come_is_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is an older mail taken for it."""
    person = house.person()
    house.landing(person.agree(person.log_in("asta")))
    assert verdict(house, "asta", made=True) == "valid"
    monkeypatch.setattr(machine_check, "_MAIL_WITHIN", 0.2)
    assert verdict(house, "asta", made=True, before=len(house.mailbox.mails())) == "no mail"


def test_a_machine_without_an_answer_is_no_verdict(house: House) -> None:
    """It is told apart from a PIN that is refused."""
    away = replace(house.machine, password="wrong")
    assert at_machine(away, house.mailbox, persona("vera"), made=False, mails_before=0) == "silent"
    changed = replace(persona("vera"), pin="0000")
    assert at_machine(house.machine, house.mailbox, changed, made=False, mails_before=0) == "refused"
