"""Koha's answers to self-service machines over SIP2 (docs/reference/koha.md#sip2)."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from broker.demo.circulation.loan_table import BOOKS
from broker.demo.circulation.machine_session import Answers, MachineSession
from broker.demo.circulation.sip2_messages import Message, drop_absent_fields, timestamp
from broker.demo.koha.database.patron_schema import PatronRow
from broker.demo.koha.loans import Circulation
from broker.demo.koha.logins import Logins, PasswordCheck

# Koha removes everything after the last letter or digit, even from a PIN in the last field. The
# range A-z, which includes some punctuation, is Koha's own expression.
_TRAILING_CHARACTERS: Final = re.compile(rb"[^A-z0-9]+\Z")
_INSTITUTION: Final = "AUL"
_GREETING: Final = "Greetings from Koha. "
_NOBODY: Final = "YYYY" + " " * 10  # the patron status for an unknown card
_OTHER_FLAGS: Final = " " * 9
_LOANS_AT: Final = 2  # the position of the loans in the summary of a request
# The messages that Koha supports; the simulation answers only some of them.
_SUPPORTED: Final = "YYYYYYYYYYYNYYYY"


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
        return {
            "99": self._status,
            "23": self._patron_status,
            "63": self._patron_information,
            "35": self._end_session,
            "11": self._check_out,
        }

    def _status(self, _message: Message) -> Message:
        # The abilities of the server, the timeout (100 tenths of a second) and the retries (5).
        fixed = f"YYYYNN100005{timestamp()}2.00"
        return Message("98", fixed, (("AO", _INSTITUTION), ("BX", _SUPPORTED)))

    def _patron_status(self, message: Message) -> Message:
        language = message.fixed[:3]
        row = self._find_patron(message)
        if row is None:
            fixed = _NOBODY + language + timestamp()
            fields = (("AE", ""), *_unknown(message), ("AO", _institution(message)))
            return Message("24", fixed, fields)
        pin = message.field("AD")
        proven = bool(pin) and self._is_right(row, pin or "")
        values = [
            ("AE", _name(row)),
            ("AA", row["cardnumber"] or ""),
            ("BL", "Y"),
            ("CQ", "Y" if proven else "N"),
            ("AF", self._screen_message(row, wrong_pin=bool(pin) and not proven)),
            ("AO", _institution(message)),
        ]
        return Message("24", self._flags(row) + language + timestamp(), tuple(values))

    def _patron_information(self, message: Message) -> Message:
        language, summary = message.fixed[:3], message.fixed[21:31]
        row = self._find_patron(message)
        if row is None:
            fixed = _NOBODY + language + timestamp() + "0000" * 6
            typed, *rest = _unknown(message)
            return Message("64", fixed, (("AO", _INSTITUTION), typed, ("AE", ""), *rest))
        loans = self._circulation.loans(row["patron_id"])
        counts = f"00000000{len(loans):04}000000000000"
        pin = message.field("AD")
        proven = None if pin is None else self._is_right(row, pin)
        fields = drop_absent_fields(
            [
                ("AO", _INSTITUTION),
                ("AA", row["cardnumber"] or ""),
                ("AE", _name(row)),
                ("BL", "Y"),
                ("CQ", _yes_or_no(proven)),
                ("CC", "5"),
                *(("AU", book) for book in loans if summary[_LOANS_AT : _LOANS_AT + 1] == "Y"),
                ("BD", row["address"]),
                ("BE", row["email"]),
                ("BF", row["phone"]),
                ("PC", row["category_id"]),
                ("PI", "N" if self._flags(row).strip() else "Y"),
                ("AF", self._screen_message(row, wrong_pin=proven is False)),
            ]
        )
        return Message("64", self._flags(row) + language + timestamp() + counts, fields)

    def _end_session(self, message: Message) -> Message:
        fields = [("AO", _INSTITUTION), ("AA", message.field("AA") or ""), ("AF", "Thank you !")]
        return Message("36", f"Y{timestamp()}", tuple(fields))

    def _check_out(self, message: Message) -> Message:
        """Lend a book. This message has no PIN: a machine checks the PIN with a 63 before."""
        row = self._find_patron(message)
        book = message.field("AB") or ""
        reason = self._refusal_to_lend(row, book)
        if row is not None and not reason and not self._circulation.lend(row["patron_id"], book):
            reason = "Item is lent to this patron"
        fields = [
            ("AO", _INSTITUTION),
            ("AA", message.field("AA") or ""),
            ("AB", book),
            ("AJ", book),
            ("AH", ""),
            ("AF", reason or None),
        ]
        fixed = "0NUN" if reason else "1NUY"
        return Message("12", fixed + timestamp(), drop_absent_fields(fields))

    def _refusal_to_lend(self, row: PatronRow | None, book: str) -> str:
        if row is None:
            return "Invalid cardnumber"
        if book not in BOOKS:
            return "Invalid Item"
        if self._flags(row).startswith("Y"):
            return self._screen_message(row, wrong_pin=False)
        return ""

    def _find_patron(self, message: Message) -> PatronRow | None:
        """Return the patron with this card number, else user name; never the borrowernumber."""
        typed = message.field("AA") or ""
        found: PatronRow | None = self._patrons.find_patron(typed, ("cardnumber", "userid"))
        return found

    def _is_right(self, row: PatronRow, pin: str) -> bool:
        """Return whether the PIN is right. An expired PIN counts as right."""
        outcome, _ = self._logins.check(row["userid"], pin)
        return outcome is not PasswordCheck.WRONG

    def _flags(self, row: PatronRow) -> str:
        """Return the 14 flags: four denials, "card lost", and nine that are always blank here."""
        is_card_unusable = bool(row["patron_card_lost"] or row["incorrect_address"])
        is_blocked = _has_expired(row) or row["restricted"] or self._logins.is_locked(row)
        denials = ("Y" if is_card_unusable or is_blocked else " ") * 4
        return denials + ("Y" if is_card_unusable else " ") + _OTHER_FLAGS

    def _screen_message(self, row: PatronRow, *, wrong_pin: bool) -> str:
        notes = [row["opac_notes"] or ""]
        if _has_expired(row):
            notes.append("PATRON EXPIRED")
        elif self._logins.is_locked(row):
            notes.append("ACCOUNT LOCKED")
        reasons = {
            "Borrower has no valid address.": row["incorrect_address"],
            "Borrower's card reported lost.": row["patron_card_lost"],
            "Invalid password": wrong_pin,
        }
        greeting = _GREETING + " ".join(note for note in notes if note)
        return " -- ".join([greeting, *(text for text, holds in reasons.items() if holds)])


def _unknown(message: Message) -> tuple[tuple[str, str], ...]:
    typed = message.field("AA") or ""
    return (("AA", typed), ("BL", "N"), ("AF", "Invalid cardnumber"))


def _institution(message: Message) -> str:
    return message.field("AO") or ""


def _yes_or_no(value: bool | None) -> str | None:  # noqa: FBT001 - a field that may be absent
    if value is None:
        return None
    return "Y" if value else "N"


def _name(row: PatronRow) -> str:
    return f"{row['firstname'] or ''} {row['surname'] or ''}"


def _has_expired(row: PatronRow) -> bool:
    return bool(row["expiry_date"]) and row["expiry_date"] < datetime.now(UTC).date().isoformat()
