"""The users of the simulated Alma, as desk and self-service machines of the library see them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from broker.demo.circulation.library_desk import Account
from broker.demo.circulation.loan_table import LoanTable
from broker.demo.circulation.machine_session import Answers, MachineSession
from broker.demo.circulation.sip2_messages import Message, timestamp
from tests.conformance.simulated_alma.refusals import Refused
from tests.conformance.simulated_alma.user_object import UserRow, full_name
from tests.conformance.simulated_alma.users import Users

# The identifiers that a self-check profile takes, the card before all others.
_TYPED: Final = ("BARCODE", "CPR", "INST_ID")
_INSTITUTION: Final = ("AO", "45AUL_INST")
_SUPPORTED: Final = "NYYNYNNNNNNNNNNN"


@dataclass(frozen=True, slots=True)
class AlmaDesk:
    """The users of one simulated Alma, and their loans by primary id."""

    users: Users
    table: LoanTable = field(default_factory=LoanTable)

    def accounts(self) -> list[Account]:
        """Return all borrowers, oldest first."""
        return [_account(row) for row in self.users.rows()]

    def find_borrower(self, typed: str) -> Account | None:
        """Return the borrower of an identifier that a person typed; never of a primary id."""
        row = self.find_user(typed)
        return None if row is None else _account(row)

    def find_user(self, typed: str) -> UserRow | None:
        """Return the user of an identifier that a person typed, or None."""
        for kind in _TYPED:
            try:
                return self.users.read(typed, kind)
            except Refused:
                continue
        return None

    def edit(self, number: str, contacts: Mapping[str, str], pin: str) -> None:
        """Refuse: no persona of the tests edits a profile here."""
        raise NotImplementedError

    def register(self, borrowers: Sequence[Mapping[str, str]]) -> None:
        """Make the users ``S-1``, ``S-2`` ..., and edit by hand what staff edit.

        ``borrowers`` are named by the fields of a patron: a user name that is a CPR number becomes an
        identifier of that type, any other an institution id.
        """
        for place, borrower in enumerate(borrowers, 1):
            made = self.users.create(_make_user(f"S-{place}", borrower))
            by_hand = {"user_group": borrower["category_id"]}
            if "password" in borrower:
                by_hand["pin_number"] = borrower["password"]
            self.users.edit(made["primary_id"], **by_hand)


class Sip2Session(MachineSession):
    """One connection of a machine to Alma (docs/alma.md#machines)."""

    def __init__(self, desk: AlmaDesk, terminals: Mapping[str, str]) -> None:
        super().__init__(terminals)
        self._desk = desk

    def answers(self) -> Answers:
        """Return what answers the messages of each code."""
        return {"99": self._status, "63": self._patron_information, "35": self._end_session}

    def _status(self, _message: Message) -> Message:
        return Message("98", f"YNYNNN100005{timestamp()}2.00", (_INSTITUTION, ("BX", _SUPPORTED)))

    def _end_session(self, message: Message) -> Message:
        return Message("36", f"Y{timestamp()}", (_INSTITUTION, ("AA", message.field("AA") or "")))

    def _patron_information(self, message: Message) -> Message:
        typed = message.field("AA") or ""
        row = self._desk.find_user(typed)
        name, known, is_right = "", "N", "N"
        if row is not None:
            name, known = full_name(row), "Y"
            is_right = "Y" if self._desk.users.has_pin(row, message.field("AD") or "") else "N"
        fixed = " " * 14 + message.fixed[:3] + timestamp() + "0000" * 6
        fields = (_INSTITUTION, ("AA", typed), ("AE", name), ("BL", known), ("CQ", is_right))
        return Message("64", fixed, fields)


def _account(row: UserRow) -> Account:
    identifiers = {identifier["value"] for identifier in row["user_identifier"]}
    return Account(
        number=row["primary_id"],
        name=full_name(row),
        category=row["user_group"],
        expires=row["expiry_date"],
        numbers=frozenset({row["primary_id"], *identifiers}),
        contacts={"email": next((entry["email_address"] for entry in row["email"]), "")},
        address=next(((each["line1"], each["postal_code"], each["city"]) for each in row["address"]), ("", "", "")),
    )


def _make_user(primary_id: str, borrower: Mapping[str, str]) -> dict[str, Any]:
    name = borrower["userid"]
    identifiers = {"CPR" if name.isdecimal() else "INST_ID": name, "BARCODE": borrower["cardnumber"]}
    emails = (
        [{"email_address": borrower["email"], "email_type": [{"value": "personal"}]}] if "email" in borrower else []
    )
    return {
        "record_type": {"value": "PUBLIC"},
        "account_type": {"value": "EXTERNAL"},
        "external_id": "SIS",
        "primary_id": primary_id,
        "first_name": borrower.get("firstname", ""),
        "last_name": borrower["surname"],
        "user_group": {"value": borrower["category_id"]},
        "expiry_date": f"{borrower['expiry_date']}Z" if "expiry_date" in borrower else None,
        "user_identifier": [{"id_type": {"value": kind}, "value": value} for kind, value in identifiers.items()],
        "contact_info": {"email": emails},
    }
