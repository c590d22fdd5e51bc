"""Koha's answers to self-service machines over SIP2 (docs/reference/koha.md#sip2)."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from broker.demo.circulation.machine_session import Answers, MachineSession
from broker.demo.circulation.sip2_messages import Message, timestamp
from broker.demo.koha.database.patron_schema import PatronRow
from broker.demo.koha.loans import BOOKS, Circulation
from broker.demo.koha.logins import Logins

# Koha removes everything after the last letter or digit, even from a PIN in the last field. The
# range A-z, which includes some punctuation, is Koha's own expression.
_TRAILING_CHARACTERS: Final = re.compile(rb"[^A-z0-9]+\Z")
_INSTITUTION: Final = "AUL"
_GREETING: Final = "Greetings from Koha. "
_NOBODY: Final = "YYYY" + " " * 10  # the patron status for an unknown card
_LOANS_AT: Final = 2  # the position of the loans in the summary of a request


class Sip2Session(MachineSession):
    """One connection of a machine to Koha."""

    def __init__(self, circulation: Circulation, terminals: Mapping[str, str]) -> None:
        super().__init__(terminals)
        self._circulation = circulation
        self._patrons = circulation.patrons
        self._logins = Logins(circulation.patrons)

    def cut_message(self, line: bytes) -> bytes:
        """Return the message in a line, truncated as Koha does."""
        return _TRAILING_CHARACTERS.sub(b"", line)

    def answers(self) -> Answers:
        """Return the handler of each message code."""
        return {"63": self._patron_information, "11": self._check_out}

    def _patron_information(self, message: Message) -> Message:
        language, summary = message.fixed[:3], message.fixed[21:31]
        row = self._find_patron(message)
        if row is None:
            fixed = _NOBODY + language + timestamp() + "0000" * 6
            typed = ("AA", message.field("AA") or "")
            unknown = (("AE", ""), ("BL", "N"), ("AF", "Invalid cardnumber"))
            return Message("64", fixed, (("AO", _INSTITUTION), typed, *unknown))
        loans = self._circulation.loans(row["patron_id"])
        counts = f"00000000{len(loans):04}000000000000"
        is_right = self._is_right(row, message.field("AD") or "")
        fields = (
            ("AO", _INSTITUTION),
            ("AA", row["cardnumber"] or ""),
            ("AE", f"{row['firstname'] or ''} {row['surname'] or ''}"),
            ("BL", "Y"),
            ("CQ", "Y" if is_right else "N"),
            *(("AU", book) for book in loans if summary[_LOANS_AT : _LOANS_AT + 1] == "Y"),
            ("AF", self._screen_message(row) if is_right else "Invalid password"),
        )
        return Message("64", self._flags(row) + language + timestamp() + counts, fields)

    def _check_out(self, message: Message) -> Message:
        """Lend a book. This message has no PIN: a machine checks the PIN with a 63 before."""
        row = self._find_patron(message)
        book = message.field("AB") or ""
        reason = self._refusal_to_lend(row, book)
        if row is not None and not reason:
            is_lent = self._circulation.lend(row["patron_id"], book)
            reason = "" if is_lent else "Item is lent to this patron"
        typed = message.field("AA") or ""
        fields = (("AO", _INSTITUTION), ("AA", typed), ("AB", book), ("AF", reason))
        return Message("12", ("0NUN" if reason else "1NUY") + timestamp(), fields)

    def _refusal_to_lend(self, row: PatronRow | None, book: str) -> str:
        if row is None:
            return "Invalid cardnumber"
        if book not in BOOKS:
            return "Invalid Item"
        if self._flags(row).startswith("Y"):
            return self._screen_message(row)
        return ""

    def _find_patron(self, message: Message) -> PatronRow | None:
        """Return the patron with this card number, else user name; never the borrowernumber."""
        typed = message.field("AA") or ""
        found: PatronRow | None = self._patrons.find_patron(typed, ("cardnumber", "userid"))
        return found

    def _is_right(self, row: PatronRow, pin: str) -> bool:
        """Return whether the PIN is right; an expired PIN is."""
        return self._logins.check(row["userid"], pin) is not None

    def _flags(self, row: PatronRow) -> str:
        """Return the 14 flags: four denials, and ten that are always blank here."""
        is_shut = _has_expired(row) or self._logins.is_locked(row)
        return ("Y" if is_shut else " ") * 4 + " " * 10

    def _screen_message(self, row: PatronRow) -> str:
        if _has_expired(row):
            return _GREETING + "PATRON EXPIRED"
        return _GREETING + ("ACCOUNT LOCKED" if self._logins.is_locked(row) else "")


def _has_expired(row: PatronRow) -> bool:
    return bool(row["expiry_date"]) and row["expiry_date"] < datetime.now(UTC).date().isoformat()
