"""Faults that a test or a person switches on in the simulated Alma."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from flask import Response, current_app

from broker.demo.faults.planned_faults import PlannedFaults
from broker.demo.faults.struck_calls import View
from tests.plugins.simulated_alma.refusals import Refused, broken, general_error
from tests.plugins.simulated_alma.users import Users

OPERATIONS: Final = ("search", "read", "create", "change", "loans", "authenticate", "configuration")


@dataclass
class InjectedFaults(PlannedFaults):
    """The switches of every simulated system, and those that only Alma has.

    ``per_second_gone`` refuses so many calls with 429 and PER_SECOND_THRESHOLD, ``quota_gone``
    every call as if the day's were used up. With ``gateway_in_xml`` errors of keys and limits come
    as XML, whatever was asked for.
    """

    operations: ClassVar[Sequence[str]] = OPERATIONS
    switches: ClassVar[Mapping[str, Sequence[type]]] = {
        **PlannedFaults.switches,
        "per_second_gone": (int,),
        "quota_gone": (bool,),
        "gateway_in_xml": (bool,),
    }

    per_second_gone: int = 0
    quota_gone: bool = False
    gateway_in_xml: bool = False


class AlmaStruck:
    """Words refusals as Alma, and undoes work on its users."""

    def __init__(self, users: Users) -> None:
        self._users = users

    def broken(self) -> Refused:
        """Return Alma's answer where it failed itself."""
        return broken()

    def refused(self, operation: str) -> Refused:
        """Return a refusal of an operation: a general error, which names no cause."""
        del operation
        return general_error()

    def without_effect(self, view: View, parts: dict[str, str]) -> Response:
        """Do the work, and undo it: the answer is a success's."""
        before = self._users.saved()
        answer = current_app.make_response(view(**parts))
        self._users.restore(before)
        return answer
