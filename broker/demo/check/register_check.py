"""Checks that the addresses of the simulated register reach the borrowers."""

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
    """Wait until these CPR numbers have been looked up. Return False on a timeout."""
    until = time.monotonic() + _WITHIN
    while time.monotonic() < until:
        done = _count_logged(running)
        if set(numbers) <= set(register.looked_up) and done >= len(register.looked_up):
            return True
        time.sleep(0.05)
    return False


def find_address(row: RegisterRow, borrower: Account) -> str:
    """Return "written" if the borrower has the address of ``row``, else "none" or "another"."""
    if not any(borrower.address):
        return "none"
    house = (row.address.get(part, "") for part in _HOUSE)
    street = street_line(row.address.get("vejadresseringsnavn", ""), *house)
    theirs = (street, row.address.get("postnummer"), row.address.get("postdistrikt"))
    return "written" if borrower.address == theirs else "another"


def find_expected_address(persona: str) -> str:
    """Return the correct result of ``find_address`` for a persona."""
    return "none" if persona in NOT_WRITTEN else "written"


def _count_logged(running: Running) -> int:
    log = (running.setting.folder / "broker.log").read_text(encoding="utf-8")
    return log.count('"event": "register_looked_up"')
