"""Faults that a test or a person switches on in the simulated register."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass
class RegisterFaults:
    """Switches, set from Python, by ``POST /__faults``, or on the register's page in the demo.

    ``down`` is 503 to every look-up, ``slow`` the seconds before each answer, ``quota_gone`` 429.
    ``wrong_certificate`` shows the broker a certificate of another authority. ``unknown`` knows
    nobody; ``half_a_record`` leaves out of everybody's record what may not be missing. ``answer``
    stands in place of the body of every look-up; it is set from Python only.
    """

    down: bool = False
    slow: float = 0.0
    quota_gone: bool = False
    wrong_certificate: bool = False
    unknown: bool = False
    half_a_record: bool = False
    answer: bytes | None = None

    def set(self, wanted: Mapping[str, object]) -> None:
        """Set the switches named; ``ValueError`` where one is unknown or of another type."""
        for name, value in wanted.items():
            if type(value) not in _TYPES.get(name, ()):
                raise ValueError(name)
        for name, value in wanted.items():
            setattr(self, name, value)


_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "down": (bool,),
    "slow": (int, float),
    "quota_gone": (bool,),
    "wrong_certificate": (bool,),
    "unknown": (bool,),
    "half_a_record": (bool,),
}
