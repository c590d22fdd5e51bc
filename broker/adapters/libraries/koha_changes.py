"""What a change to a Koha patron sends: only what it must, and a CPR that arrives later before everything else."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from broker.adapters.libraries import koha_answers as answers
from broker.adapters.libraries import koha_queries as queries
from broker.adapters.libraries.koha_calls import Calls
from broker.core.borrower import Change
from broker.core.errors import LibraryRefused, LibraryUnavailable


class Settings(Protocol):
    """Where this library keeps a CPR."""

    @property
    def unique_field(self) -> str:
        """Give the database-unique field of those we make."""

    @property
    def cpr_fields(self) -> Sequence[str]:
        """Give the fields in which ten digits are a CPR."""

    @property
    def card_number(self) -> str:
        """Say whether the CPR is the card number too."""

    @property
    def cpr_attribute(self) -> str:
        """Give the extended attribute with the CPR, "" for none."""


def changes(patron: Mapping[str, Any], change: Change) -> dict[str, Any]:
    """Give the body of a PUT.

    Koha merges, but demands three fields each time; they go back as they are. Nothing else of the
    object does: read-only fields are refused, attributes are a 500, an old ``updated_on`` would be
    stored.
    """
    body = _demanded(patron)
    body |= {answers.koha_name(name): value for name, value in change.fields}
    if change.category is not None:
        body["category_id"] = change.category
    if change.expires is not None:  # a new category does not move the expiry by itself
        body["expiry_date"] = change.expires.isoformat()
    return body


def identify(
    calls: Calls, settings: Settings, patron: Mapping[str, Any], cpr: str, deadline: datetime
) -> None:
    """Give a patron its CPR; done twice, it is done once.

    The database's unique field goes first, so that of two patrons only one can get the number.
    LibraryUnavailable where another has it (look again, and find that one), LibraryRefused where
    the patron carries another number.
    """
    number, path = queries.spellings(cpr)[0], queries.patron_path(str(patron.get("patron_id")))
    held = answers.attributes(patron, settings.cpr_attribute)
    other = answers.number_of(patron, settings.cpr_fields, settings.cpr_attribute) not in {
        None,
        number,
    }
    if other or any(each.strip() not in queries.spellings(cpr) for each in held):
        raise LibraryRefused("change: the patron carries another number")
    fields = {settings.unique_field} | ({"cardnumber"} if settings.card_number else set())
    missing = {name: number for name in sorted(fields) if patron.get(name) != number}
    if missing:
        answer = calls.call("change", "PUT", path, deadline, body=_demanded(patron) | missing)
        if answers.taken(answer):
            raise LibraryUnavailable("change: the number is another patron's by now")
        if answer.status != 200:
            raise answers.refusal(answer, "change")
    if settings.cpr_attribute and not held:
        body = {"type": settings.cpr_attribute, "value": number}
        answer = calls.call("change", "POST", f"{path}/extended_attributes", deadline, body=body)
        if answer.status == 409:
            raise LibraryUnavailable("change: the attribute is another patron's by now")
        if answer.status != 201:
            raise answers.refusal(answer, "change")


def _demanded(patron: Mapping[str, Any]) -> dict[str, Any]:
    return {name: patron.get(name) for name in ("surname", "library_id", "category_id")}
