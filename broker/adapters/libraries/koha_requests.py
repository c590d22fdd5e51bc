"""What is asked of Koha's REST API: a call with a token, the search for a CPR, a change."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from broker.adapters.libraries import koha_responses
from broker.adapters.libraries.http_exchange import Exchange, HttpAnswer, moment
from broker.adapters.libraries.koha_responses import Patron
from broker.adapters.libraries.oauth_tokens import AccessTokens
from broker.core.borrowers.change_plan import Change
from broker.core.errors import LibraryRefused, LibraryUnavailable

_TOKEN_PATH: Final = "/api/v1/oauth/token"  # noqa: S105 - an address
_NOT_NOW: Final = frozenset({401, 408, 429})
_TEN_DIGITS: Final = re.compile(r"[0-9]{6}[- ]?[0-9]{4}")
_PATRON_ID: Final = re.compile(r"[1-9][0-9]{0,9}")
_EMBED_ATTRIBUTES: Final = {"x-koha-embed": "extended_attributes"}

Query = Mapping[str, Any] | Sequence[Mapping[str, Any]]  # of Koha's REST API, to be sent as JSON


class RightMissing(LibraryUnavailable):
    """Koha's 403: a fault of the set-up, not of an enrolment, so worth another try once mended."""


class Calls:
    """Calls one Koha as one of its API clients; safe to share between threads."""

    def __init__(
        self,
        exchange: Exchange,
        client_id: str,
        client_secret: str,
        timeout: float,
    ) -> None:
        self._exchange = exchange
        self._tokens = AccessTokens(exchange, _TOKEN_PATH, client_id, client_secret)
        self._timeout = timeout

    def call(
        self,
        operation: str,
        method: str,
        path: str,
        deadline: datetime,
        *,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> HttpAnswer:
        """Return the answer, a success or a refusal of ``operation``; LibraryUnavailable otherwise.

        A 5xx does not reveal whether it was done: the enrolment looks again, by mark and by CPR.
        """
        until = moment(deadline, self._timeout)
        sent = dict(headers or {})
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        answer = self._send(method, path, until, sent, content)
        if answer.status == 403:
            right = koha_responses.unpermitted(answer)
            raise RightMissing(f"{operation}: 403, a right is missing: {right}")
        answered = 200 <= answer.status < 300 or 400 <= answer.status < 500
        if answer.status in _NOT_NOW or not answered:
            raise LibraryUnavailable(f"{operation}: {answer.status}")
        return answer

    def _send(
        self,
        method: str,
        path: str,
        until: float,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> HttpAnswer:
        """Send with a token, and with a new one where Koha refuses the first before any work."""
        token = self._tokens.current(until)
        bearing = _bearing(token, headers)
        answer = self._exchange.call(method, path, until, headers=bearing, body=body)
        if answer.status != 401:
            return answer
        token = self._tokens.current(until, refused=token)
        bearing = _bearing(token, headers)
        return self._exchange.call(method, path, until, headers=bearing, body=body)


def spellings(cpr: str) -> tuple[str, str, str]:
    """Return the three ways staff write a CPR, digits only first.

    LibraryRefused where it has not ten digits.
    """
    if not _TEN_DIGITS.fullmatch(cpr):
        raise LibraryRefused("find: the number to look for has not ten digits")
    day = cpr[:6]
    running = cpr[-4:]
    return (day + running, f"{day}-{running}", f"{day} {running}")


def shaped_as_cpr(text: str) -> bool:
    """Return whether a text is written as a CPR number is."""
    return bool(_TEN_DIGITS.fullmatch(text))


def possible(number: str) -> bool:
    """Return whether the number can be a ``patron_id``."""
    return bool(_PATRON_ID.fullmatch(number))


def patron_path(number: str) -> str:
    """Return the path of one patron; LibraryRefused where the number cannot be a ``patron_id``."""
    if not possible(number):  # a CPR taken for a number could otherwise stand in a URL
        raise LibraryRefused("no patron has such a number")
    return f"/api/v1/patrons/{number}"


def by_fields(fields: Sequence[str], spelled: Sequence[str]) -> Query:
    """Return the query for a CPR in any of ``fields``: a list is "or".

    Source: docs/reference/koha.md#search.
    """
    return [{field: list(spelled)} for field in fields]


def by_attribute(kind: str, spelled: Sequence[str]) -> Query:
    """Return the query for a CPR in the extended attribute ``kind``.

    It needs the embed header, or Koha answers 500.
    """
    return {"extended_attributes.code": kind, "extended_attributes.value": list(spelled)}


def embedding(kind: str) -> dict[str, str]:
    """Return the header by which an answer brings extended attributes; none without a ``kind``."""
    return dict(_EMBED_ATTRIBUTES) if kind else {}


def headers(query: Query, *, embed: bool = False) -> dict[str, str]:
    """Return the headers that carry a query."""
    carried = {"x-koha-query": json.dumps(query)}
    if embed:
        carried |= _EMBED_ATTRIBUTES
    return carried


def carries(
    patron: Patron,
    fields: Sequence[str],
    spelled: Sequence[str],
    kind: str,
) -> bool:
    """Return whether a patron carries the number, in one of ``fields`` or the attribute ``kind``.

    A proxy that strips ``x-koha-*`` headers turns the search into "everyone", and the first of
    everyone would be taken for the person.
    """
    values = [patron.get(field) for field in fields]
    values += koha_responses.attributes(patron, kind)
    return any(isinstance(value, str) and value.strip() in spelled for value in values)


def changes(patron: Patron, change: Change) -> dict[str, Any]:
    """Return the body of a PUT.

    Koha merges, but demands three fields each time; they go back as they are. Nothing else of the
    object does: read-only fields are refused, attributes are a 500, an old ``updated_on`` would be
    stored.
    """
    body = _demanded(patron)
    for name, value in change.fields:
        body[koha_responses.koha_name(name)] = value
    if change.category is not None:
        body["category_id"] = change.category
    if change.expires is not None:  # a new category does not move the expiry by itself
        body["expiry_date"] = change.expires.isoformat()
    return body


class CprSettings(Protocol):
    """Where this library keeps a CPR."""

    @property
    def unique_field(self) -> str:
        """The database-unique field of the patrons that we make."""

    @property
    def cpr_fields(self) -> Sequence[str]:
        """The fields in which ten digits are a CPR."""

    @property
    def card_number(self) -> str:
        """Whether the CPR is the card number too: "cpr", or "" if not."""

    @property
    def cpr_attribute(self) -> str:
        """The extended attribute with the CPR, "" for none."""


def identify(
    calls: Calls,
    settings: CprSettings,
    patron: Patron,
    cpr: str,
    deadline: datetime,
) -> None:
    """Write the CPR of a patron that has none; done twice, it is done once.

    The database's unique field goes first, so that of two patrons only one can get the number.
    LibraryUnavailable where another has it (look again, and find that one), LibraryRefused where
    the patron carries another number.
    """
    number = spellings(cpr)[0]
    path = patron_path(str(patron.get("patron_id")))
    attributes = koha_responses.attributes(patron, settings.cpr_attribute)
    if _carries_another(patron, settings, attributes, cpr):
        raise LibraryRefused("change: the patron carries another number")
    fields = {settings.unique_field}
    if settings.card_number:
        fields.add("cardnumber")
    lacking = [name for name in sorted(fields) if patron.get(name) != number]
    missing = dict.fromkeys(lacking, number)
    if missing:
        body = _demanded(patron) | missing
        answer = calls.call("change", "PUT", path, deadline, body=body)
        if koha_responses.taken(answer):
            raise LibraryUnavailable("change: the number is another patron's by now")
        if answer.status != 200:
            raise koha_responses.refusal(answer, "change")
    if settings.cpr_attribute and not attributes:
        path = f"{path}/extended_attributes"
        body = {"type": settings.cpr_attribute, "value": number}
        answer = calls.call("change", "POST", path, deadline, body=body)
        if answer.status == 409:
            raise LibraryUnavailable("change: the attribute is another patron's by now")
        if answer.status != 201:
            raise koha_responses.refusal(answer, "change")


def _carries_another(
    patron: Patron,
    settings: CprSettings,
    attributes: Sequence[str],
    cpr: str,
) -> bool:
    spelled = spellings(cpr)
    carried = koha_responses.number_of(patron, settings.cpr_fields, settings.cpr_attribute)
    if carried not in {None, spelled[0]}:
        return True
    return any(value.strip() not in spelled for value in attributes)


def _bearing(token: str, headers: Mapping[str, str]) -> dict[str, str]:
    return {**headers, "Authorization": f"Bearer {token}"}


def _demanded(patron: Patron) -> dict[str, Any]:
    return {name: patron.get(name) for name in ("surname", "library_id", "category_id")}
