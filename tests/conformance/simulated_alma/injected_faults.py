"""Faults that a test or a person switches on in the simulated Alma."""

from dataclasses import dataclass
from typing import Final

from broker.demo.faults.planned_faults import PlannedFaults

OPERATIONS: Final = ("search", "read", "create", "change", "loans", "authenticate", "configuration")


@dataclass
class InjectedFaults(PlannedFaults):
    """The switches of every simulated system, and those that only Alma has.

    ``per_second_gone`` refuses so many calls with 429 and PER_SECOND_THRESHOLD, ``quota_gone``
    every call as if the day's were used up. With ``gateway_in_xml`` errors of keys and limits come
    as XML, whatever was asked for.
    """

    per_second_gone: int = 0
    quota_gone: bool = False
    gateway_in_xml: bool = False
