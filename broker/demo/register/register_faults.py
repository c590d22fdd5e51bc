"""Faults that a test or a person switches on in the simulated register."""

from dataclasses import dataclass


@dataclass
class RegisterFaults:
    """Switches, set from Python, or on the register's page in the demo.

    ``down`` is 503 to every look-up, ``slow`` the seconds before each answer, ``quota_gone`` 429.
    ``wrong_certificate`` shows the broker a certificate of another authority. ``unknown`` knows
    nobody; ``half_a_record`` leaves out of everybody's record what may not be missing. ``answer``
    stands in place of the body of every look-up.
    """

    down: bool = False
    slow: float = 0.0
    quota_gone: bool = False
    wrong_certificate: bool = False
    unknown: bool = False
    half_a_record: bool = False
    answer: bytes | None = None
