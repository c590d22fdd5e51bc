"""The pages where the library system cannot say whether a PIN is right: nobody is let in by one, none is praised."""

import re
from pathlib import Path

import pytest

from broker.adapters.library_systems.koha import Koha
from broker.core.audit_events import AuditEventKind
from broker.core.borrowers.library_capabilities import ALL_CAPABILITIES, LibraryCapability
from tests.plugins.house import House, form, found, mark
from tests.plugins.pin_pages import CPR, PIN, USER_NAME, karla, letter, link_in, send


@pytest.fixture(autouse=True)
def _untold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Koha be one that tells of no PIN, before the house begins."""
    monkeypatch.setattr(Koha, "capabilities", ALL_CAPABILITIES - {LibraryCapability.PIN_CHECKED})


@pytest.mark.parametrize("at", ["home", "terminal"])
def test_the_library_account_is_no_way_to_log_in(house: House, at: str) -> None:
    """It is not offered, not even at the library's own computers, and who insists is refused."""
    karla(house)
    person = house.terminal() if at == "terminal" else house.person()
    page = person.ask()
    assert 'value="wayf"' in page.get_data(as_text=True)
    assert 'value="library"' not in page.get_data(as_text=True)
    action, fields = form(page)
    onward = person.post(action, {**fields, "upstream": "library"})
    refused = person.get(found(onward, "//main//a/@href"))
    assert mark(refused) == ("error", "form_refused")


def test_nobody_is_sent_to_the_computers_of_the_library(house: House) -> None:
    """Who waits for a mail is told of ways without one that there are, and there they get in by no PIN."""
    karla(house)
    person = house.person()
    asked = send(person, person.get("/pin?lang=en"), identifier=CPR).get_data(as_text=True)
    assert "Without a mail" in asked
    assert "own computers" not in asked


def test_a_new_pin_is_set_and_not_proved(house: House) -> None:
    """The page does not say that it works, Koha is not asked for it, and the trail says that nobody tried it."""
    karla(house)
    person = house.person()
    send(person, person.get("/pin?lang=en"), identifier=CPR)
    done = send(person, person.get(link_in(letter(house, 1))))
    assert mark(done) == ("pin", "mailed")
    assert "Whether it works shows" in done.get_data(as_text=True)
    assert "It works at once" not in done.get_data(as_text=True)
    mailed = re.search(r": (\d{4})$", letter(house, 2), re.MULTILINE)
    assert mailed
    assert house.koha.patrons.proven(USER_NAME, mailed[1])
    assert not [line for line in house.koha.access.lines() if "validation" in line]
    assert AuditEventKind.PIN_UNTRIED in trailed(house)


def test_a_temporary_borrower_is_not_shown_by_its_pin(house: House) -> None:
    """Neither is the link there, nor the form behind it."""
    made = {"library_id": "AUL", "category_id": "TEMP", "surname": "Ravn", "cardnumber": "T-3001"}
    number = house.koha.patrons.create(made)["patron_id"]
    house.koha.patrons.set_password(number, PIN, PIN)
    person = house.person()
    asked = person.log_in("asta")
    assert mark(asked)[0] == "ask"
    assert "temporary=1" not in asked.get_data(as_text=True)
    path = asked.request.path.replace("/consent", "/pin")
    assert mark(person.get(f"{path}?temporary=1")) == mark(asked)


def trailed(house: House) -> list[str]:
    """Give the kinds of events on the trail."""
    files = Path(str(house.parts.config.audit.folder)).glob("audit-*.jsonl")
    written = "".join(path.read_text() for path in files)
    return re.findall(r'"event": ?"(\w+)"', written)
