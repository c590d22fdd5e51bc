"""PINs in Koha, where they are the patron's password: set one, and ask what it is good for."""

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from broker.adapters.http_exchange import HttpAnswer, moment
from broker.adapters.library_systems import koha_refusals, koha_requests, koha_responses
from broker.adapters.library_systems.koha_changes import has_card
from broker.adapters.library_systems.koha_requests import Calls
from broker.adapters.library_systems.koha_responses import Patron
from broker.adapters.library_systems.koha_searches import PatronSearches
from broker.adapters.library_systems.sip2 import Sip2Client
from broker.core.borrowers.pins import PinAnswer

_VALIDATION: Final = "/api/v1/auth/password/validation"
_NO_PATRON: Final = "4294967295"  # larger than any number that Koha gives
_NULL_CARD: Final = {"message": "Expected string - got null.", "path": "/body/cardnumber"}
_EXPIRED: Final = "expired"
_LOCKED_BY_STAFF: Final = -1


class PatronPins:
    """PINs of one Koha; with ``machine`` each right one is also tried as a machine tries it."""

    def __init__(
        self, calls: Calls, searches: PatronSearches, machine: Sip2Client | None, timeout: float
    ) -> None:
        self._calls = calls
        self._searches = searches
        self._machine = machine
        self._timeout = timeout

    def set_pin(self, number: str, pin: str, deadline: datetime) -> None:
        """Make ``pin`` the password; Koha's 200 does not prove it.

        Source: docs/reference/koha.md#pin-lies.
        """
        path = koha_requests.patron_path(number) + "/password"
        body = {"password": pin, "password_2": pin}
        answer = self._calls.call("set_pin", "POST", path, deadline, body=body)
        if answer.status != 200:
            raise koha_refusals.refused(answer, "set_pin", body)

    def check_pin(self, number: str, pin: str, deadline: datetime) -> PinAnswer:
        """Return what Koha says of ``pin``, and with a machine what both say.

        For nobody's number a name that nobody has is tried: known and unknown cost the same calls.
        """
        asked_for = number if koha_requests.possible(number) else _NO_PATRON
        patron = self._searches.patron(asked_for, deadline) or {}
        answer = self._validation(_name(patron), pin, deadline)
        if answer.status == 201:
            return self._right(patron, number, answer, pin, deadline)
        if answer.status == 500:
            return self._half_right(patron, answer, deadline)
        error = str(answer.fields().get("error"))
        if answer.status == 400 and _EXPIRED in error.casefold():
            return PinAnswer.EXPIRED
        if answer.status == 400 and error == "Validation failed":
            return self._wrong(patron, asked_for, deadline)
        raise koha_refusals.unavailable(answer, "check_pin", _secrets(patron, pin))

    def proves(self, card: str, number: str, pin: str, deadline: datetime) -> bool:
        """Return whether Koha answers to this card number that ``pin`` is the borrower's.

        False says nothing yet: the card may be another's user name, the PIN expired or locked.
        """
        answer = self._validation(card, pin, deadline)
        return answer.status == 201 and str(answer.fields().get("patron_id")) == number

    def at_machine(self, card: str, pin: str, deadline: datetime) -> PinAnswer:
        """Return what a machine says of a PIN that Koha finds right; RIGHT where there is none."""
        if self._machine is None:
            return PinAnswer.RIGHT
        until = moment(deadline, self._timeout)
        if self._machine.accepts(card, pin, until):
            return PinAnswer.RIGHT
        return PinAnswer.WRONG

    def _validation(self, name: str, pin: str, deadline: datetime) -> HttpAnswer:
        body = {"identifier": name, "password": pin}
        return self._calls.call("check_pin", "POST", _VALIDATION, deadline, body=body, also=500)

    def _right(
        self, patron: Patron, number: str, answer: HttpAnswer, pin: str, deadline: datetime
    ) -> PinAnswer:
        proved = answer.fields()
        if not proved:
            raise koha_refusals.unavailable(answer, "check_pin", _secrets(patron, pin))
        if str(proved.get("patron_id")) != number:
            return _others(patron, proved)
        card = koha_responses.text_of(patron, "cardnumber")
        if card is None:
            return PinAnswer.RIGHT
        return self.at_machine(card, pin, deadline)

    def _half_right(self, patron: Patron, answer: HttpAnswer, deadline: datetime) -> PinAnswer:
        """Return what the 500 means by which Koha answers some right PINs, and no wrong one.

        Where the card number is null it cannot write its answer; where the PIN has expired it finds
        no patron, or one whose card number is null. Any other 500 is told from these by a PIN that
        cannot be right: Koha refuses it in order, or is not well.

        Source: docs/reference/koha.md#right-pins.
        """
        if not patron:
            raise koha_refusals.unavailable(answer, "check_pin")
        if _is_null_card(answer):
            if has_card(patron):
                return PinAnswer.EXPIRED
            return PinAnswer.NO_CARD_NUMBER
        other = self._validation(_name(patron), secrets.token_urlsafe(16), deadline)
        if other.status == 400:
            return PinAnswer.EXPIRED
        raise koha_refusals.unavailable(answer, "check_pin")

    def _wrong(self, patron: Patron, asked_for: str, deadline: datetime) -> PinAnswer:
        """Return whether a refused PIN is wrong, or not looked at: Koha counts no try it ignores.

        FailedLoginAttempts cannot be read. Nobody's number is read again like everybody's.
        """
        after = self._searches.patron(asked_for, deadline) or {}
        tries = after.get("login_attempts")
        if tries == _LOCKED_BY_STAFF:
            return PinAnswer.LOCKED
        if tries and tries == patron.get("login_attempts"):
            return PinAnswer.LOCKED
        return PinAnswer.WRONG


def _name(patron: Patron) -> str:
    """Return the name that Koha is asked for: nobody's where there is no patron."""
    user_name = koha_responses.text_of(patron, "userid")
    card = koha_responses.text_of(patron, "cardnumber")
    return user_name or card or secrets.token_hex(16)


def _others(patron: Patron, proved: Mapping[str, Any]) -> PinAnswer:
    """Return what a PIN is that Koha finds right for another patron.

    Where Koha can write a card number that is null, it answers with the first of all such patrons.
    Else a user name was another patron's card number: that PIN is the other's.
    """
    lacks_card = bool(patron) and not has_card(patron)
    if lacks_card and proved.get("cardnumber") is None:
        return PinAnswer.NO_CARD_NUMBER
    return PinAnswer.WRONG


def _is_null_card(answer: HttpAnswer) -> bool:
    errors = answer.fields().get("errors")
    return isinstance(errors, list) and _NULL_CARD in errors


def _secrets(patron: Patron, pin: str) -> dict[str, object]:
    """Return what was sent, which may stand in no text."""
    return {"password": pin, "userid": patron.get("userid"), "cardnumber": patron.get("cardnumber")}
