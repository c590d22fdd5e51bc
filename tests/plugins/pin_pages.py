"""What people do on the pages about PINs: number, letter, code, PIN."""

import re

from werkzeug.test import TestResponse

from tests.plugins.house import House, Person, form, found

CPR, PIN = "1111024568", "4071"  # of Karla, whom the desk has registered with a hyphen
USER_NAME = "karla.dam"


def karla(house: House) -> str:
    """Give Karla's internal number, and let her have a mail address."""
    row = next(each for each in house.koha.patrons.rows() if each["userid"] == USER_NAME)
    needed = {name: row[name] for name in ("surname", "library_id", "category_id")}
    house.koha.patrons.change(row["patron_id"], {**needed, "email": "karla@post.example"})
    return str(row["patron_id"])


def pin_page(person: Person, service: str = "my-loans") -> TestResponse:
    """Come from a service and choose the library account."""
    action, fields = form(person.ask(service))
    onward = person.post(action, {**fields, "upstream": "library"})
    return person.get(found(onward, "//main//a/@href"))


def send(person: Person, page: TestResponse, do: str = "", **fields: str) -> TestResponse:
    """Send the form of a page, by its first button or that of ``do``."""
    action, hidden = form(page)
    return person.post(action, {**hidden, "do": do or found(page, "//main//form//button/@value"), **fields})


def letter(house: House, number: int) -> str:
    """Give the text of the newest mail once so many have come."""
    return house.mailed(number).text


def code_in(text: str) -> str:
    """Give the code in a letter."""
    code = re.search(r"(?:Your code is|Din kode er): ([a-z]{5}-[a-z]{5})\n", text)
    assert code
    return code[1]


def link_in(text: str) -> str:
    """Give the link in a letter."""
    link = re.search(r"http\S+/pin\?code=\S+", text)
    assert link
    return link[0]


def behind_letter(person: Person, page: TestResponse, mails: int = 1, typed: str = CPR) -> TestResponse:
    """Type the number on a page, wait until so many mails have come, and type the code of the newest."""
    asked = send(person, page, "letter", identifier=typed)
    return send(person, asked, code=code_in(letter(person.house, mails)))
