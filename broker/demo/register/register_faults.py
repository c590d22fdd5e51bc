"""Faults that a test or a person switches on in the simulated register."""

from dataclasses import dataclass


@dataclass
class RegisterFaults:
    """Switches, set from Python, or on the register's page in the demo.

    ``down`` answers every look-up with 503, ``quota_gone`` with 429. ``slow`` are the seconds
    before each answer. ``wrong_certificate`` presents a certificate of another authority.
    ``unknown`` finds no person. ``half_a_record`` omits a mandatory part of every record.
    ``answer`` replaces the body of every look-up.
    """

    down: bool = False
    slow: float = 0.0
    quota_gone: bool = False
    wrong_certificate: bool = False
    unknown: bool = False
    half_a_record: bool = False
    answer: bytes | None = None
