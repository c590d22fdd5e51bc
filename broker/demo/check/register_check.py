"""Waits for the look-ups in the simulated register, and says what came of each."""

import json
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from broker.core.borrowers.registered_person import street_line
from broker.demo.circulation.library_desk import Account
from broker.demo.people.register_people import NOT_WRITTEN
from broker.demo.register.register_rows import RegisterRow
from broker.demo.register.simulated_registers import SimulatedRegister
from broker.demo.run.running_demo import Running

_WITHIN: Final = 30.0  # seconds
_HOUSE: Final = ("husnummer", "etage", "sidedoer")


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What came of a look-up: what stands in the library system, and the reason of staff's case.

    ``address`` is "written", "none", or "another" than the register's.
    """

    address: str
    case: str

    def is_right_for(self, name: str) -> bool:
        """Return whether this is how the look-up of the persona ``name`` should end."""
        case = NOT_WRITTEN.get(name)
        if case is None:
            return self == LookedUp("written", "")
        return self == LookedUp("none", case)


def carried_out(running: Running, register: SimulatedRegister, numbers: Collection[str]) -> bool:
    """Wait until people with these numbers have been looked up; return whether all have."""
    until = time.monotonic() + _WITHIN
    while time.monotonic() < until:
        if set(numbers) <= set(register.looked_up) and _told(running) >= len(register.looked_up):
            return True
        time.sleep(0.05)
    return False


def looked_up(row: RegisterRow, borrower: Account, cases: Mapping[str, str]) -> LookedUp:
    """Return what came of the look-up of a borrower, who is ``row`` in the register."""
    case = cases.get(borrower.number, "")
    if not any(borrower.address):
        return LookedUp("none", case)
    house = (row.address.get(part, "") for part in _HOUSE)
    street = street_line(row.address.get("vejadresseringsnavn", ""), *house)
    theirs = (street, row.address.get("postnummer"), row.address.get("postdistrikt"))
    return LookedUp("written" if borrower.address == theirs else "another", case)


def cases_by_borrower(running: Running) -> Mapping[str, str]:
    """Return the reason of each case that staff have, by the number of its borrower."""
    command = [sys.executable, "-m", "broker.cli", "--config", str(running.setting.config)]
    listed = subprocess.run(
        [*command, "enrolments", "list", "--json"], check=True, capture_output=True, text=True
    )
    return {
        str(number): str(row["reason"])
        for row in json.loads(listed.stdout)
        for number in row["borrowers"] or ()
    }


def _told(running: Running) -> int:
    log = (running.setting.folder / "broker.log").read_text(encoding="utf-8")
    return log.count('"event": "register_looked_up"')
