"""A person in the register of persons: status, name, address and its protection."""

from dataclasses import dataclass
from typing import Final

from broker.core.errors import BrokerError


class RegisterError(BrokerError):
    """A look-up in the register of persons that failed.

    ``str(error)`` has the register's own words, without a value that a person has. ``setting``
    names what must be corrected; None if the register is down.
    """


class RegisterUnavailable(RegisterError):
    """The register did not answer in time, or cannot answer now: retry."""

    reason = "register_unavailable"


class RegisterRefused(RegisterError):
    """The register refused, and will refuse again until something is corrected."""

    reason = "register_refused"


# The notes for staff on a CPR number that is not active (docs/reference/cpr-register.md#residence).
DEAD: Final = "dead"
NUMBER_CHANGED: Final = "number_changed"
NOT_ACTIVE: Final = "not_active"


@dataclass(frozen=True, slots=True, repr=False)
class RegisteredAddress:
    """An address in Denmark as in a postal address; a line without text is "".

    ``street`` has road, house, floor and door; ``place`` the name of a village or an estate.
    """

    care_of: str
    street: str
    place: str
    postal_code: str
    city: str


@dataclass(frozen=True, slots=True, repr=False)
class RegisteredPerson:
    """The register's answer about one number.

    ``note`` tells staff why the number is not active; None if it is. If ``protected`` is True, the
    address is protected (CPR law section 28): nobody may get ``address``.
    """

    note: str | None
    address: RegisteredAddress | None
    protected: bool


def street_line(road: str, house: str, floor: str, door: str) -> str:
    """Return "Prøvevej 12, 2. th" from the parts that a register keeps, without leading zeros.

    House "012B" becomes 12B, floor "02" becomes "2.", "st" and "kl" get a full stop, door "th" and
    "0004" become "th" and "4". An empty part is left out. Without a road there is no line.
    """
    if not road:
        return ""
    line = f"{road} {_strip_zeros(house)}".strip()
    rest = " ".join(filter(None, (_floor(floor), _strip_zeros(door))))
    if rest:
        return f"{line}, {rest}"
    return line


def _strip_zeros(part: str) -> str:
    return part.strip().lstrip("0")


def _floor(part: str) -> str:
    floor = _strip_zeros(part)
    if not floor or floor.endswith("."):
        return floor
    return f"{floor}."
