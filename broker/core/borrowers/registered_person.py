"""A person as the register of persons knows them: status, name, address and its protection."""

from dataclasses import dataclass
from enum import StrEnum

from broker.core.errors import BrokerError


class RegisterError(BrokerError):
    """A look-up in the register of persons that came to nothing.

    ``str(error)`` has the register's own words, without a value that a person has. ``setting``
    names what must be mended; None where it is a register that is down.
    """

    def __init__(self, cause: str, setting: str | None = None) -> None:
        """Store the sentence for log and staff, and the setting at fault, if it is one."""
        super().__init__(cause)
        self.setting = setting


class RegisterUnavailable(RegisterError):
    """The register did not answer in time, or cannot now; worth trying again."""

    reason = "register_unavailable"


class RegisterRefused(RegisterError):
    """The register refused, and will refuse again until something is mended."""

    reason = "register_refused"


class Residence(StrEnum):
    """Where a person is, as the CPR register has it (docs/reference/cpr-register.md#residence)."""

    IN_DENMARK = "in_denmark"
    WITHOUT_USABLE_ADDRESS = "without_usable_address"  # in Denmark, of a road code above 9900
    IN_GREENLAND = "in_greenland"
    NEVER_RESIDENT = "never_resident"  # a number for tax alone
    ANNULLED = "annulled"
    NUMBER_CHANGED = "number_changed"
    DISAPPEARED = "disappeared"
    ABROAD = "abroad"
    DEAD = "dead"
    NOT_UNDERSTOOD = "not_understood"  # a status that we do not know: staff must look


@dataclass(frozen=True, slots=True, repr=False)
class RegisteredAddress:
    """An address in Denmark as it is written on a letter, each line "" where there is none.

    ``street`` has road, house, floor and door; ``place`` the name of a village or an estate.
    """

    care_of: str
    street: str
    place: str
    postal_code: str
    city: str


@dataclass(frozen=True, slots=True, repr=False)
class RegisteredPerson:
    """What the register says of one number.

    ``protected`` is whether the address is protected (CPR law section 28): then ``address``
    must reach nobody.
    """

    residence: Residence
    address: RegisteredAddress | None
    protected: bool

    def __repr__(self) -> str:
        """Show where the person is only."""
        return f"RegisteredPerson({self.residence.value!r})"


def street_line(road: str, house: str, floor: str, door: str) -> str:
    """Return "Prøvevej 12, 2. th" from the parts that a register keeps, noughts before them gone.

    House "012B" is 12B, floor "02" is "2.", "st" and "kl" get their point; door "th" and "0004" are
    "th" and "4". A part that is empty is left out; without a road there is no line.
    """
    if not road:
        return ""
    line = f"{road} {_without_noughts(house)}".strip()
    rest = " ".join(filter(None, (_floor(floor), _without_noughts(door))))
    if rest:
        return f"{line}, {rest}"
    return line


def _without_noughts(part: str) -> str:
    return part.strip().lstrip("0")


def _floor(part: str) -> str:
    floor = _without_noughts(part)
    if not floor or floor.endswith("."):
        return floor
    return f"{floor}."
