"""Faults that a test or a person switches on in the simulated Koha, and its access log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from broker.demo.faults.planned_faults import AccessLog, FaultKind, PlannedFaults

__all__ = ["OPERATIONS", "AccessLog", "FaultKind", "InjectedFaults"]

OPERATIONS: Final = (
    "token",
    "search",
    "read",
    "create",
    "change",
    "attribute",
    "set_pin",
    "validate",
)


@dataclass
class InjectedFaults(PlannedFaults):
    """The switches of every simulated system, and those that only Koha has.

    ``database_down`` answers as Koha does without its database. ``mail_hangs`` is how long Koha's
    mail server lets a change of password wait. ``race_window`` is the time in seconds between
    Koha's look at the unique attribute and its insert; every ``deadlock_every``-th of the creates
    that meet in it is a 500.
    """

    operations: ClassVar[Sequence[str]] = OPERATIONS
    switches: ClassVar[Mapping[str, Sequence[type]]] = {
        **PlannedFaults.switches,
        "database_down": (bool,),
        "mail_hangs": (int, float),
        "race_window": (int, float),
        "deadlock_every": (int,),
    }

    database_down: bool = False
    mail_hangs: float = 0.0
    race_window: float = 0.0
    deadlock_every: int = 4
