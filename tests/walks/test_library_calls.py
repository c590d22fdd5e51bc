"""How often a login asks the library system."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from tests.plugins.house import House, mark


def asked(house: House) -> list[str]:
    """Give the calls of the library system's borrowers so far: method and path."""
    return [line for line in house.koha.access.lines() if "/api/v1/patrons" in line or "/auth/password/" in line]


def pin_proved(house: House) -> None:
    """Wait for the last call of a first login: its PIN is set and proved beside it."""
    for _ in range(400):
        if "/auth/password/" in asked(house)[-1]:
            return
        house.parts.enrolments.pause(0.05)


def test_a_first_login_asks_at_most_five_times_until_the_account_stands(house: House) -> None:
    """Look, create, count; the PIN takes three more: read, set, prove."""
    person = house.person()
    before = len(asked(house))
    number = house.landing(person.agree(person.log_in("asta"))).attributes["uid"][0]
    pin_proved(house)
    calls = asked(house)[before:]
    pin = [line for line in calls if f"/patrons/{number}" in line or "/auth/password/" in line]
    account = [line for line in calls if line not in pin]
    assert len(account) <= 5
    assert sum(line.startswith("POST ") for line in account) == 1
    assert account[-1].startswith("GET ")  # after the create the matches are counted
    assert all(calls.index(line) > calls.index(account[-1]) for line in pin)
    assert [line.split()[0] for line in pin] == ["GET", "POST", "POST"]


def test_a_known_borrower_is_asked_about_once_an_hour(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within it no login asks anything, whichever service it is for; after it one does, once."""
    # The services' requests come at the time it is for the broker.
    monkeypatch.setattr("broker.demo.library.services.datetime", SimpleNamespace(now=lambda _zone: house.clock.now()))
    person = house.person()
    house.landing(person.agree(person.log_in("asta"), remember=True))
    pin_proved(house)
    for _ in range(2):
        before = len(asked(house))
        for service in ("my-loans", "myprint"):
            page = house.person().log_in("asta", service=service)
            assert mark(page)[0] in {"ask", "issue"}
        assert [line for line in asked(house)[before:] if not line.startswith("GET /api/v1/patrons/")] == []
        house.clock.ahead += timedelta(minutes=61)
        before = len(asked(house))
        house.person().log_in("asta")
        assert len(asked(house)[before:]) in {1, 2}  # one question, by its fields and by the attribute
