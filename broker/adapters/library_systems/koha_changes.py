"""Changes of one patron in Koha: its fields, a CPR that it gets later, a card number it lacks."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from broker.adapters.library_systems import koha_refusals, koha_requests, koha_responses
from broker.adapters.library_systems.cpr_spellings import first_real, shaped_as_cpr, spellings
from broker.adapters.library_systems.koha_requests import Calls
from broker.adapters.library_systems.koha_responses import Patron
from broker.adapters.library_systems.koha_settings import KohaKeys
from broker.core.borrowers.change_plan import Change
from broker.core.errors import LibraryRefused, LibraryUnavailable

_AUTOMATIC: Final = "autoMemberNum"


class PatronChanges:
    """Changes in one Koha, each demanded back in its answer."""

    def __init__(self, calls: Calls, settings: KohaKeys) -> None:
        self._calls = calls
        self._settings = settings

    def change(self, patron: Patron, change: Change, deadline: datetime) -> Any:
        """Write the CPR of ``change`` first, then the rest; return Koha's answer to that.

        A borrower without a card number gets one by the same PUT: the CPR number, or the number
        that Koha gives to every patron that is written without one while autoMemberNum is on.
        """
        if change.cpr:
            self._identify(patron, change.cpr, deadline)
        body = koha_requests.changes(patron, change)
        body |= self._missing_card(patron, change)
        return self._put(patron, body, deadline)

    def _missing_card(self, patron: Patron, change: Change) -> dict[str, str]:
        settings = self._settings
        if settings.card_number == "system" or has_card(patron):
            return {}
        carried = koha_responses.number_of(patron, settings.cpr_fields, settings.cpr_attribute)
        number = change.cpr or carried
        if number is None:
            return {}
        return {"cardnumber": spellings(number)[0]}

    def _identify(self, patron: Patron, cpr: str, deadline: datetime) -> None:
        """Write the CPR of a patron that has no real number.

        The database's unique field goes first, so that of two patrons only one can get the number.
        A card number of another kind stays. LibraryUnavailable where another patron has the number
        (look again, and find that one), LibraryRefused where this one carries another real number.
        """
        settings = self._settings
        written = spellings(cpr)
        values = koha_responses.number_values(patron, settings.cpr_fields, settings.cpr_attribute)
        if any(first_real([value]) and value.strip() not in written for value in values):
            raise LibraryRefused("change: the patron carries another number")
        names = {
            settings.unique_field,
            *filter(partial(_holds_number, patron), settings.cpr_fields),
        }
        lacking = [name for name in sorted(names) if patron.get(name) != written[0]]
        if lacking:
            body = koha_requests.demanded(patron) | dict.fromkeys(lacking, written[0])
            self._put(patron, body, deadline, identifying=True)
        if settings.cpr_attribute:
            self._set_attribute(patron, settings.cpr_attribute, written, deadline)

    def _set_attribute(
        self, patron: Patron, kind: str, written: Sequence[str], deadline: datetime
    ) -> None:
        """Give the patron one attribute with the number, in the place of any other value."""
        path = koha_requests.patron_path(str(patron.get("patron_id"))) + "/extended_attributes"
        has_number = False
        for attribute in patron.get("extended_attributes") or ():
            if attribute.get("type") != kind:
                continue
            if str(attribute.get("value")).strip() in written:
                has_number = True
                continue
            one = f"{path}/{attribute.get('extended_attribute_id')}"
            answer = self._calls.call("change", "DELETE", one, deadline)
            if answer.status not in {204, 404}:
                raise koha_refusals.refused(answer, "change", {})
        if has_number:
            return
        body = {"type": kind, "value": written[0]}
        answer = self._calls.call("change", "POST", path, deadline, body=body)
        if answer.status == 409:
            raise LibraryUnavailable("change: the attribute is another patron's by now")
        if answer.status != 201:
            raise koha_refusals.refused(answer, "change", body)

    def _put(
        self, patron: Patron, body: dict[str, Any], deadline: datetime, *, identifying: bool = False
    ) -> Any:
        path = koha_requests.patron_path(str(patron.get("patron_id")))
        answer = self._calls.call("change", "PUT", path, deadline, body=body)
        if identifying and koha_responses.taken(answer):
            raise LibraryUnavailable("change: the number is another patron's by now")
        if answer.status != 200:
            raise koha_refusals.refused(answer, "change", body)
        koha_refusals.demand_kept(answer.fields(), body, "change")
        return answer.json()


def _holds_number(patron: Patron, field: str) -> bool:
    """Return whether a field holds a number that is written as a CPR number is."""
    return shaped_as_cpr(koha_responses.text_of(patron, field) or "")


def has_card(patron: Patron) -> bool:
    """Return whether a patron has a card number."""
    return koha_responses.text_of(patron, "cardnumber") is not None


def demand_card(patron: Any, operation: str) -> None:
    """Raise LibraryRefused where Koha's answer shows a patron without a card number."""
    if isinstance(patron, Mapping) and not has_card(patron):
        sentence = f"{operation}: Koha gave the borrower no card number: autoMemberNum is off"
        raise LibraryRefused(sentence, _AUTOMATIC)
