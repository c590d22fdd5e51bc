"""Alma's answers to a self-service machine over SIP2 (docs/alma.md#machines)."""

from collections.abc import Mapping
from typing import Final

from broker.demo.circulation.loan_table import BOOKS
from broker.demo.circulation.machine_session import Answers, MachineSession
from broker.demo.circulation.sip2_messages import Message, drop_empty_fields, timestamp
from tests.conformance.simulated_alma.alma_desk import AlmaDesk, barcode, contact, hindrance
from tests.conformance.simulated_alma.user_object import UserRow, full_name

_INSTITUTION: Final = "45AUL_INST"
_DENIED: Final = "YYYY"
_GRANTED: Final = "    "
_OTHER_FLAGS: Final = " " * 10
_CHARGED: Final = 2  # the place of the loans in the summary of a request
_UNKNOWN: Final = "Patron not found."
_SUPPORTED: Final = "NYYNYNNNNNNNNNNN"


class Sip2Session(MachineSession):
    """One connection of a machine to Alma."""

    def __init__(self, desk: AlmaDesk, terminals: Mapping[str, str]) -> None:
        super().__init__(terminals)
        self._desk = desk

    def answers(self) -> Answers:
        """Return what answers the messages of each code."""
        return {"99": self._status, "63": self._patron_information, "35": self._end_session, "11": self._check_out}

    def _status(self, _message: Message) -> Message:
        fixed = f"YNYNNN100005{timestamp()}2.00"
        return Message("98", fixed, (("AO", _INSTITUTION), ("BX", _SUPPORTED)))

    def _patron_information(self, message: Message) -> Message:
        typed = message.field("AA") or ""
        row = self._desk.user(typed)
        language = message.fixed[:3]
        if row is None:
            fixed = _DENIED + _OTHER_FLAGS + language + timestamp() + "0000" * 6
            told = (("AO", _INSTITUTION), ("AA", typed), ("AE", ""), ("BL", "N"), ("CQ", "N"))
            return Message("64", fixed, (*told, ("AF", _UNKNOWN)))
        loans = self._desk.table.loans(row["primary_id"])
        counts = f"00000000{len(loans):04}000000000000"
        listed: tuple[str, ...] = ()
        if message.fixed[21:31][_CHARGED : _CHARGED + 1] == "Y":
            listed = loans
        fixed = _flags(row) + language + timestamp() + counts
        return Message("64", fixed, self._list_fields(message, row, listed))

    def _list_fields(self, message: Message, row: UserRow, loans: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        is_right = self._desk.users.has_pin(row, message.field("AD") or "")
        return drop_empty_fields(
            [
                ("AO", _INSTITUTION),
                ("AA", message.field("AA") or barcode(row)),
                ("AE", full_name(row)),
                ("BL", "Y"),
                ("CQ", "Y" if is_right else "N"),
                *(("AU", book) for book in loans),
                ("BD", contact(row, "address") or None),
                ("BE", contact(row, "email") or None),
                ("AF", hindrance(row) or None),
            ]
        )

    def _end_session(self, message: Message) -> Message:
        fields = (("AO", _INSTITUTION), ("AA", message.field("AA") or ""))
        return Message("36", f"Y{timestamp()}", fields)

    def _check_out(self, message: Message) -> Message:
        """Lend a book; a book that the user has already is renewed, which is a success."""
        row = self._desk.user(message.field("AA") or "")
        book = message.field("AB") or ""
        reason = _refusal_to_lend(row, book)
        renewed = False
        if row is not None and not reason:
            renewed = not self._desk.table.lend(row["primary_id"], book)
        ok = "0" if reason else "1"
        fields = [
            ("AO", _INSTITUTION),
            ("AA", message.field("AA") or ""),
            ("AB", book),
            ("AJ", book),
            ("AH", ""),
            ("AF", reason or None),
        ]
        fixed = f"{ok}{'Y' if renewed else 'N'}UN{timestamp()}"
        return Message("12", fixed, drop_empty_fields(fields))


def _refusal_to_lend(row: UserRow | None, book: str) -> str:
    if row is None:
        return _UNKNOWN
    if book not in BOOKS:
        return "Item not found."
    return hindrance(row)


def _flags(row: UserRow) -> str:
    if hindrance(row):
        return _DENIED + _OTHER_FLAGS
    return _GRANTED + _OTHER_FLAGS
