"""Alma's answers to a self-service machine over SIP2 (docs/alma.md#machines)."""

from collections.abc import Mapping
from typing import Final

from broker.demo.circulation.machine_session import Answers, MachineSession
from broker.demo.circulation.sip2_messages import Message, timestamp
from tests.conformance.simulated_alma.refusals import Refused
from tests.conformance.simulated_alma.user_object import UserRow, full_name
from tests.conformance.simulated_alma.users import Users

# The identifiers that a self-check profile takes, the card before all others.
_TYPED: Final = ("BARCODE", "CPR", "INST_ID")
_INSTITUTION: Final = ("AO", "45AUL_INST")


class Sip2Session(MachineSession):
    """One connection of a machine to Alma."""

    def __init__(self, users: Users, terminals: Mapping[str, str]) -> None:
        super().__init__(terminals)
        self._users = users

    def answers(self) -> Answers:
        """Return what answers the messages of each code."""
        return {"63": self._patron_information}

    def _patron_information(self, message: Message) -> Message:
        typed = message.field("AA") or ""
        row = self._find_user(typed)
        name, known, is_right = "", "N", "N"
        if row is not None:
            name, known = full_name(row), "Y"
            is_right = "Y" if self._users.has_pin(row, message.field("AD") or "") else "N"
        fixed = " " * 14 + message.fixed[:3] + timestamp() + "0000" * 6
        fields = (_INSTITUTION, ("AA", typed), ("AE", name), ("BL", known), ("CQ", is_right))
        return Message("64", fixed, fields)

    def _find_user(self, typed: str) -> UserRow | None:
        """Return the user of an identifier that a person typed; never of a primary id."""
        for kind in _TYPED:
            try:
                return self._users.read(typed, kind)
            except Refused:
                continue
        return None
