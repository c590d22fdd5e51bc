"""Waits for the look-ups in the simulated register, and says which address each gave a borrower."""

import time
from collections.abc import Collection
from typing import Final

from broker.core.borrowers.registered_person import street_line
from broker.demo.circulation.library_desk import Account
from broker.demo.people.register_people import NOT_WRITTEN
from broker.demo.register.register_rows import RegisterRow
from broker.demo.register.simulated_datafordeler import SimulatedDatafordeler
from broker.demo.run.running_demo import Running

_WITHIN: Final = 30.0  # seconds
_HOUSE: Final = ("husnummer", "etage", "sidedoer")


def wait_for_look_ups(
    running: Running, register: SimulatedDatafordeler, numbers: Collection[str]
) -> bool:
    """Wait until people with these numbers have been looked up; return whether all have."""
    until = time.monotonic() + _WITHIN
    while time.monotonic() < until:
        done = _count_logged(running)
        if set(numbers) <= set(register.looked_up) and done >= len(register.looked_up):
            return True
        time.sleep(0.05)
    return False


def find_address(row: RegisterRow, borrower: Account) -> str:
    """Return "written" for a borrower with the address of ``row``, "none", or "another"."""
    if not any(borrower.address):
        return "none"
    house = (row.address.get(part, "") for part in _HOUSE)
    street = street_line(row.address.get("vejadresseringsnavn", ""), *house)
    theirs = (street, row.address.get("postnummer"), row.address.get("postdistrikt"))
    return "written" if borrower.address == theirs else "another"


def expected_address(persona: str) -> str:
    """Return what ``find_address`` should say of the borrower of a persona."""
    return "none" if persona in NOT_WRITTEN else "written"


def _count_logged(running: Running) -> int:
    log = (running.setting.folder / "broker.log").read_text(encoding="utf-8")
    return log.count('"event": "register_looked_up"')
