"""Faults that a test switches on in the simulated Koha."""

from dataclasses import dataclass

from broker.demo.faults.planned_faults import PlannedFaults


@dataclass
class InjectedFaults(PlannedFaults):
    """The faults of every simulated system, and those that only Koha has.

    ``race_window`` is the time in seconds between Koha's look at the unique attribute and its
    insert; every ``deadlock_every``-th of the creates that meet in it is a 500.
    """

    race_window: float = 0.0
    deadlock_every: int = 4
