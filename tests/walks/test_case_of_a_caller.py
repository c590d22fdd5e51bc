"""Whoever calls with the reference of their page is helped: it leads staff to the enrolment or case that held it up."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from werkzeug.test import TestResponse

from broker.app import diagnostics
from broker.cli import broker
from broker.demo.people.personas import persona
from tests.plugins.house import House, found, mark

ASTA = persona("asta").attributes["schacPersonalUniqueID"][0][-10:]
SPELLED = f"{ASTA[:6]}-{ASTA[6:]}"  # on a second card: the database takes it for another number
DESK = {"surname": "Ravn", "firstname": "Asta", "library_id": "AUL", "category_id": "STUDENT"}


Staff = Callable[..., Result]


def reference(page: TestResponse) -> str:
    """Give the reference on a page as somebody reads it aloud."""
    written = found(page, "//div[@class='reference']//strong/text()")
    return f"{written[:4]} {written[4:]}".lower()


@pytest.fixture
def pair(house: House) -> tuple[str, str]:
    """Give the numbers of two borrowers that Asta's CPR number finds."""
    made = [house.koha.patrons.create({**DESK, "cardnumber": card, "userid": card}) for card in (ASTA, SPELLED)]
    return str(made[0]["patron_id"]), str(made[1]["patron_id"])


@pytest.mark.parametrize("service", ["my-loans", "myprint"])
def test_the_reference_of_a_refused_page_names_the_case(house: House, pair: tuple[str, str], service: str) -> None:
    """Whether the login wished for a borrower or only needs the one there is; the two numbers stand in it."""
    person = house.person()
    page = person.log_in("asta", service=service)
    page = person.agree(page) if mark(page)[0] == "ask" else page
    assert mark(page) == ("refuse", "several_borrowers")
    trace = diagnostics.trace(house.parts, reference(page))
    assert trace is not None
    [case] = [row for row in house.parts.cases.rows() if row["state"] == "case"]
    assert (trace["enrolment"], trace["reason"]) == (case["id"], "several_borrowers")
    assert case["borrowers"] == pair


@pytest.fixture
def staff(house: House, monkeypatch: pytest.MonkeyPatch) -> Staff:
    """Give the command line of this very broker."""
    monkeypatch.setattr(diagnostics, "opened", lambda: house.parts)

    def ran(*words: str) -> Result:
        result = CliRunner().invoke(broker, ("enrolments", *words), prog_name="broker")
        assert isinstance(result.exception, SystemExit | None), result.exception
        return result

    return ran


def refused(house: House, service: str = "my-loans") -> str:
    """Let Asta log in and be refused; give her reference."""
    person = house.person()
    page = person.log_in("asta", service=service)
    page = person.agree(page) if mark(page)[0] == "ask" else page
    assert mark(page)[0] == "refuse"
    return reference(page)


def carried_out(staff: Staff, enrolment: str) -> dict[str, Any]:
    """Show an enrolment once the loop beside the requests, which may hold its lease, has carried it out."""
    ends = time.monotonic() + 120
    while True:
        row: dict[str, Any] = json.loads(staff("show", enrolment, "--json").stdout)
        if row["state"] != "wanted" or time.monotonic() > ends:
            return row
        time.sleep(0.05)


def test_staff_get_from_the_reference_to_the_borrowers_and_end_the_case(
    house: House, staff: Staff, pair: tuple[str, str]
) -> None:
    """Cause, both numbers, what to do; after the merge the look finds one, and the retry makes the account."""
    spoken = refused(house)
    shown = json.loads(staff("show", *spoken.split(), "--json").stdout)
    assert (shown["state"], shown["reason"], tuple(shown["borrowers"])) == ("case", "several_borrowers", pair)
    assert shown["references"] == [spoken.replace(" ", "").upper()]
    assert shown["todo"].startswith("Merge the borrowers")
    assert ASTA not in f"{shown}"
    looked = staff("look", spoken, "--json")
    assert [row["number"] for row in json.loads(looked.stdout)] == list(pair)
    house.koha.patrons.merge(int(pair[0]), int(pair[1]))
    looked = staff("look", spoken)
    assert (looked.exit_code, f"{pair[1]}: deleted or merged" in looked.stderr) == (1, True)
    assert staff("retry", spoken).stdout == "it is due now\n"
    done = carried_out(staff, shown["id"])
    assert (done["state"], done["number"], done["borrowers"]) == ("done", pair[0], None)
    assert staff("end", spoken).exit_code == 1


def test_a_listed_case_is_ended_and_the_login_goes_on(house: House, staff: Staff, pair: tuple[str, str]) -> None:
    """Where the login wishes nothing the retry ends the case too, and says so."""
    spoken = refused(house, "myprint")
    house.koha.patrons.merge(int(pair[0]), int(pair[1]))
    assert "ended" in staff("end", spoken).stdout
    again = staff("show", spoken)
    assert (again.exit_code, "named a case which has been ended" in again.stderr) == (1, True)
    person = house.person()
    assert mark(person.log_in("asta", service="myprint"))[0] != "refuse"
    assert staff("list", "--json").stdout.count('"case"') == 0


def test_a_reference_without_an_enrolment_says_what_its_page_was(house: House, staff: Staff) -> None:
    """Step, reason and time, so that the caller is helped all the same."""
    person = house.person()
    page = person.agree(person.log_in("asta"), answer="no")
    shown = staff("show", reference(page))
    assert shown.exit_code == 1
    assert "led to no enrolment" in shown.stderr
    assert "step refuse, reason consent_refused" in shown.stderr


def test_a_look_is_believed_before_what_is_remembered(house: House, staff: Staff) -> None:
    """A borrower that staff deleted a minute ago is handed to nobody from then on, and the person gets a new one."""
    person = house.person()
    number = house.landing(person.agree(person.log_in("asta"))).attributes["uid"][0]
    there = staff("look", number, "--json")
    [row] = json.loads(there.stdout)
    assert (there.exit_code, row["found"], row["category"], row["card"]) == (0, "there", "STUDENT", "yes")
    house.koha.patrons.edit(int(number), restricted=True)
    barred = staff("look", number)
    assert (barred.exit_code, "it is restricted" in barred.stderr) == (1, True)
    house.koha.patrons.drop(int(number))
    gone = staff("look", number)
    assert (gone.exit_code, "deleted or merged" in gone.stderr) == (1, True)
    later = house.person()
    assert house.landing(later.agree(later.log_in("asta"))).attributes["uid"][0] != number
    assert staff("look", "999999").stderr.endswith("the library system has no borrower of this number\n")


def test_a_silent_library_is_said_and_nothing_is_believed(house: House, staff: Staff) -> None:
    """Exit 1 and the cause; the login after it asks."""
    person = house.person()
    number = house.landing(person.agree(person.log_in("asta"))).attributes["uid"][0]
    house.pin_proved()
    house.koha.faults.down = True
    silent = staff("look", number)
    assert (silent.exit_code, silent.stdout) == (1, "")
    assert "library_unavailable" in silent.stderr


def test_the_reference_of_a_page_that_waits_names_the_enrolment(house: House, staff: Staff) -> None:
    """With the library system's own cause, which stands in the list too; it goes on by itself."""
    person = house.person()
    question = person.log_in("asta")
    house.koha.faults.down = True
    page = person.agree(question)
    assert mark(page)[0] == "enrol"
    house.parts.enrolments.step()
    shown = json.loads(staff("show", reference(page), "--json").stdout)
    assert (shown["state"], shown["reason"]) == ("wanted", "library_unavailable")
    assert "503" in shown["cause"]
    [listed] = json.loads(staff("list", "--json").stdout)
    assert {**shown, **listed} == shown
