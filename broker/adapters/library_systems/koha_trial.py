"""Trial borrowers in Koha: made in each category, given a PIN, checked and deleted."""

import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from broker.adapters.http_exchange import HttpAnswer
from broker.adapters.library_systems import koha_refusals, koha_requests, koha_responses
from broker.adapters.library_systems.koha_pins import PatronPins
from broker.adapters.library_systems.koha_requests import PATRONS, Calls
from broker.adapters.library_systems.koha_searches import PatronSearches
from broker.adapters.library_systems.koha_settings import KohaKeys
from broker.adapters.library_systems.setup_steps import Step, proved
from broker.core.borrowers.library_setup import ExpectedSetup, SetupFault, SetupTrial
from broker.core.borrowers.pins import PIN_LENGTH, PinAnswer

# In the field of the enrolment id; no drawn enrolment id is this one.
TRIAL_MARK: Final = "0" * 24 + "deadbeef"
_OPERATION: Final = "trial"
_SURNAME: Final = "Trial of the broker"
_EMAIL: Final = "trial@broker.invalid"  # so that Koha sends its notice, to nobody
_NOT_PROVEN: Final = (
    "mails: that Koha sends nothing about the borrowers that the broker makes",
    "whether a borrower may borrow: circulation rules are not read",
    "login forms of OPAC and staff client: closed, because a PIN is a weak password",
    "FailedLoginAttempts: empty, unless library_account.mail_code is never",
    "PatronSelfRegistration: off",
    "OPACPatronDetails: mail address and CPR attribute are not changed with a PIN alone",
    "category: librarians' working accounts have one that no policy names",
)
_NO_MACHINE: Final = "self-service machines: there is no [library.sip2]"


class TrialBorrowers:
    """One trial of what the policies expect of one Koha; every call ends by ``deadline``."""

    def __init__(
        self,
        calls: Calls,
        searches: PatronSearches,
        pins: PatronPins,
        settings: KohaKeys,
        deadline: datetime,
    ) -> None:
        self._calls = calls
        self._searches = searches
        self._pins = pins
        self._settings = settings
        self._deadline = deadline

    def trial(self, expected: ExpectedSetup) -> SetupTrial:
        """Delete what an earlier trial left, then try each category."""
        tried = [partial(self._try, *item) for item in expected.categories.items()]
        steps: list[Step] = [self._delete_leftovers, *tried]
        faults = proved("Koha", steps, goes_on=("",))
        not_proven = _NOT_PROVEN if self._settings.sip2 else (*_NOT_PROVEN, _NO_MACHINE)
        return SetupTrial(faults, not_proven)

    def _delete_leftovers(self) -> Iterator[SetupFault]:
        for patron in self._searches.marked(TRIAL_MARK, self._deadline):
            if patron.get("surname") == _SURNAME:
                yield from self._delete(patron)

    def _try(self, category: str, place: str) -> Iterator[SetupFault]:
        body = self._body(category)
        answer = self._post(body)
        if answer.status != 201:
            refusal = koha_refusals.refused(answer, "create", body)
            setting = refusal.setting or f"category_id {category}"
            yield SetupFault(setting, f"{place}: Koha: no borrower can be made: {refusal}")
            return
        patron = answer.fields()
        try:
            yield from self._faults_of(patron, body, category, place)
        finally:
            yield from self._delete(patron)

    def _faults_of(
        self, patron: Mapping[str, Any], body: Mapping[str, Any], category: str, place: str
    ) -> Iterator[SetupFault]:
        card = koha_responses.text_of(patron, "cardnumber")
        if card is None:
            what = "a new borrower has no card number, so no PIN works (autoMemberNum)"
            yield SetupFault("autoMemberNum", f"Koha: {what}")
        if self._settings.cpr_attribute and self._takes_the_attribute_twice(body):
            kind = self._settings.cpr_attribute
            what = "two borrowers can have one CPR number (tick Unique identifier)"
            yield SetupFault(f"unique patron attribute type {kind}", f"Koha: {what}")
        number = str(patron.get("patron_id"))
        pin = "".join(secrets.choice("0123456789") for _ in range(PIN_LENGTH))
        self._pins.set_pin(number, pin, self._deadline)
        answer = self._pins.check_pin(number, pin, self._deadline)
        if card is not None and answer is not PinAnswer.RIGHT:
            what = f"a PIN that was set in {category} is {answer.value} at its first use"
            yield SetupFault(f"PIN {category}", f"{place}: Koha: {what}")

    def _takes_the_attribute_twice(self, body: Mapping[str, Any]) -> bool:
        """Try a second borrower with the same attribute, and delete it if Koha makes it."""
        names = {"userid": _drawn(), "cardnumber": _drawn()}
        second = {name: names.get(name, value) for name, value in body.items()}
        answer = self._post(second)
        if answer.status != 201:
            return False
        list(self._delete(answer.fields()))
        return True

    def _body(self, category: str) -> dict[str, Any]:
        settings = self._settings
        number = _drawn()
        body: dict[str, Any] = {
            "surname": _SURNAME,
            "email": _EMAIL,
            "library_id": settings.library_id,
            "category_id": category,
            "userid": number,
            settings.mark_field: TRIAL_MARK,
            "expiry_date": (datetime.now(UTC).date() + timedelta(days=1)).isoformat(),
        }
        body |= dict.fromkeys(koha_requests.number_fields(settings), number)
        if settings.cpr_attribute:
            body["extended_attributes"] = [{"type": settings.cpr_attribute, "value": number}]
        return body

    def _post(self, body: Mapping[str, Any]) -> HttpAnswer:
        headers = koha_requests.CREATE_HEADERS
        call = self._calls.call
        return call(_OPERATION, "POST", PATRONS, self._deadline, headers=headers, body=body)

    def _delete(self, patron: Mapping[str, Any]) -> Iterator[SetupFault]:
        number = str(patron.get("patron_id"))
        path = koha_requests.patron_path(number)
        answer = self._calls.call(_OPERATION, "DELETE", path, self._deadline)
        if answer.status != 204:
            what = f"the trial borrower {number} could not be deleted: {answer.status}"
            yield SetupFault(f"trial borrower {number}", f"Koha: {what}")


def _drawn() -> str:
    """Return a card number that nobody has and that is no CPR number."""
    return f"T{secrets.randbelow(10**9):09}"
