"""Changes of one patron in Koha: its fields, a CPR that it gets later, a card number it lacks."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from broker.adapters.library_systems import koha_refusals, koha_requests, koha_responses
from broker.adapters.library_systems.cpr_spellings import spellings
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
            self._identify(patron, change.cpr, change.former_cpr, deadline)
        body = koha_requests.changes(patron, change)
        if change.mark:
            body[self._settings.mark_field] = change.mark
        body |= self._missing_card(patron, change)
        after = self._put(patron, body, deadline)
        if self._settings.card_number == "system" and self._is_ours(patron, change):
            demand_card(after, "change")
        return after

    def _missing_card(self, patron: Patron, change: Change) -> dict[str, str]:
        settings = self._settings
        if settings.card_number == "system" or has_card(patron):
            return {}
        carried = koha_responses.number_of(patron, settings.cpr_fields, settings.cpr_attribute)
        number = change.cpr or carried
        if number is None:
            return {}
        return {"cardnumber": spellings(number)[0]}

    def _is_ours(self, patron: Patron, change: Change) -> bool:
        return bool(change.mark) or koha_responses.is_marked(patron, self._settings.mark_field)

    def _identify(self, patron: Patron, cpr: str, former: str | None, deadline: datetime) -> None:
        """Write the CPR of a patron that has none, or has ``former``; done twice, it is done once.

        The database's unique field goes first, so that of two patrons only one can get the number.
        LibraryUnavailable where another has it (look again, and find that one), LibraryRefused
        where the patron carries another number.
        """
        number = spellings(cpr)[0]
        kind = self._settings.cpr_attribute
        attributes = koha_responses.attributes(patron, kind)
        if self._carries_another(patron, attributes, cpr, former):
            raise LibraryRefused("change: the patron carries another number")
        fields = dict.fromkeys(koha_requests.number_fields(self._settings))
        fields |= dict.fromkeys(self._holding(patron, former))
        lacking = [name for name in fields if patron.get(name) != number]
        if lacking:
            body = koha_requests.demanded(patron) | dict.fromkeys(lacking, number)
            self._put(patron, body, deadline, identifying=True)
        if kind and former:
            attributes = self._without(patron, former, deadline)
        if kind and not attributes:
            self._add_attribute(patron, {"type": kind, "value": number}, deadline)

    def _holding(self, patron: Patron, former: str | None) -> list[str]:
        """Return the fields for a CPR number that hold ``former``."""
        spelled = spellings(former) if former else ()
        return [name for name in self._settings.cpr_fields if patron.get(name) in spelled]

    def _without(self, patron: Patron, former: str, deadline: datetime) -> list[str]:
        """Drop the attribute that holds ``former``, and return those that stay."""
        kind = self._settings.cpr_attribute
        spelled = spellings(former)
        kept = []
        for attribute in patron.get("extended_attributes") or ():
            if attribute.get("type") != kind:
                continue
            if str(attribute.get("value")).strip() not in spelled:
                kept.append(str(attribute.get("value")))
                continue
            path = koha_requests.patron_path(str(patron.get("patron_id")))
            path = f"{path}/extended_attributes/{attribute.get('extended_attribute_id')}"
            answer = self._calls.call("change", "DELETE", path, deadline)
            if answer.status not in {204, 404}:
                raise koha_refusals.refused(answer, "change", {})
        return kept

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

    def _add_attribute(self, patron: Patron, body: dict[str, Any], deadline: datetime) -> None:
        path = koha_requests.patron_path(str(patron.get("patron_id")))
        path = f"{path}/extended_attributes"
        answer = self._calls.call("change", "POST", path, deadline, body=body)
        if answer.status == 409:
            raise LibraryUnavailable("change: the attribute is another patron's by now")
        if answer.status != 201:
            raise koha_refusals.refused(answer, "change", body)

    def _carries_another(
        self, patron: Patron, attributes: Sequence[str], cpr: str, former: str | None
    ) -> bool:
        known = (cpr, former) if former else (cpr,)
        spelled = {text for number in known for text in spellings(number)}
        settings = self._settings
        carried = koha_responses.number_of(patron, settings.cpr_fields, settings.cpr_attribute)
        if carried is not None and carried not in spelled:
            return True
        return any(value.strip() not in spelled for value in attributes)


def has_card(patron: Patron) -> bool:
    """Return whether a patron has a card number."""
    return koha_responses.text_of(patron, "cardnumber") is not None


def demand_card(patron: Any, operation: str) -> None:
    """Raise LibraryRefused where Koha's answer shows a patron without a card number."""
    if isinstance(patron, Mapping) and not has_card(patron):
        sentence = f"{operation}: Koha gave the borrower no card number: autoMemberNum is off"
        raise LibraryRefused(sentence, _AUTOMATIC)
