"""Checks that the addresses of the simulated register reach the borrowers."""

import time
from typing import Final

from broker.core.borrowers.registered_person import street_line
from broker.demo.koha.loans import Account
from broker.demo.register.register_rows import RegisterRow
from broker.demo.register.simulated_datafordeler import SimulatedDatafordeler
from broker.demo.run.running_demo import Running

_WITHIN: Final = 30.0  # seconds
_HOUSE: Final = ("husnummer", "etage", "sidedoer")


def wait_for_look_up(running: Running, register: SimulatedDatafordeler, number: str) -> None:
    """Wait until this CPR number has been looked up, and no look-up is unfinished."""
    until = time.monotonic() + _WITHIN
    while time.monotonic() < until:
        log = (running.setting.folder / "broker.log").read_text(encoding="utf-8")
        done = log.count('"event": "register_looked_up"')
        if number in register.looked_up and done >= len(register.looked_up):
            return
        time.sleep(0.05)


def find_address(row: RegisterRow, borrower: Account) -> str:
    """Return "written" if the borrower has the address of ``row``, else "none" or "another"."""
    if not any(borrower.address):
        return "none"
    house = (row.address.get(part, "") for part in _HOUSE)
    street = street_line(row.address.get("vejadresseringsnavn", ""), *house)
    theirs = (street, row.address.get("postnummer"), row.address.get("postdistrikt"))
    return "written" if borrower.address == theirs else "another"
