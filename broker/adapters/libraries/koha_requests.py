"""One call to Koha's REST API: with a token, by a deadline, and no answer that means "not now" passed on.

How a borrower is looked for in Koha: every spelling of a CPR that desks use, in a header, never in the URL.

What a change to a Koha patron sends: only what it must, and a CPR that arrives later before everything else.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from broker.adapters.libraries import koha_responses
from broker.adapters.libraries.http_exchange import Exchange, HttpAnswer, moment
from broker.adapters.libraries.oauth_tokens import AccessTokens
from broker.core.borrowers.borrower import Change
from broker.core.errors import LibraryRefused, LibraryUnavailable

_NOT_NOW = frozenset({401, 408, 429})


class RightMissing(LibraryUnavailable):
    """Koha's 403: a fault of the set-up and no refusal of anyone's enrolment, so worth another try once mended."""


class Calls:
    """Calls one Koha as one of its API clients; safe to share between threads."""

    def __init__(
        self, exchange: Exchange, client_id: str, client_secret: str, timeout: float
    ) -> None:
        self._exchange = exchange
        self._tokens = AccessTokens(exchange, "/api/v1/oauth/token", client_id, client_secret)
        self._timeout = timeout

    def call(
        self,
        asked: str,
        method: str,
        path: str,
        deadline: datetime,
        *,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> HttpAnswer:
        """Give the answer, a success or a refusal of what was ``asked``; ``LibraryUnavailable`` otherwise.

        A 5xx says nothing about whether it was done: the enrolment looks again, by mark and by CPR.
        """
        until = moment(deadline, self._timeout)
        content = None if body is None else json.dumps(body).encode()
        answer = self._send(method, path, until, headers or {}, content)
        if answer.status == 403:
            raise RightMissing(
                f"{asked}: 403, a right is missing: {koha_responses.unpermitted(answer)}"
            )
        if answer.status in _NOT_NOW or not (
            200 <= answer.status < 300 or 400 <= answer.status < 500
        ):
            raise LibraryUnavailable(f"{asked}: {answer.status}")
        return answer

    def _send(
        self, method: str, path: str, until: float, headers: Mapping[str, str], body: bytes | None
    ) -> HttpAnswer:
        """Send with a token; once more with a new one where Koha refuses the first, which it does before any work."""
        sent = dict(headers) | ({} if body is None else {"Content-Type": "application/json"})
        token = self._tokens.current(until)
        answer = self._exchange.call(method, path, until, headers=_bearing(token, sent), body=body)
        if answer.status != 401:
            return answer
        token = self._tokens.current(until, refused=token)
        return self._exchange.call(method, path, until, headers=_bearing(token, sent), body=body)


def _bearing(token: str, headers: Mapping[str, str]) -> dict[str, str]:
    return {**headers, "Authorization": f"Bearer {token}"}


_TEN_DIGITS = re.compile(r"[0-9]{6}[- ]?[0-9]{4}")
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")


def spellings(cpr: str) -> tuple[str, str, str]:
    """Give the three ways desks write a CPR, digits only first; ``LibraryRefused`` where it has not ten digits."""
    if not _TEN_DIGITS.fullmatch(cpr):
        raise LibraryRefused("find: the number to look for has not ten digits")
    day, running = cpr[:6], cpr[-4:]
    return (day + running, f"{day}-{running}", f"{day} {running}")


def possible(number: str) -> bool:
    """Say whether the number can be a ``patron_id``."""
    return bool(_NUMBER.fullmatch(number))


def patron_path(number: str) -> str:
    """Give the path of one patron; ``LibraryRefused`` where the number cannot be a ``patron_id``."""
    if not possible(number):  # a CPR taken for a number could otherwise stand in a URL
        raise LibraryRefused("no patron has such a number")
    return f"/api/v1/patrons/{number}"


def by_fields(fields: Sequence[str], spelled: tuple[str, ...]) -> list[dict[str, list[str]]]:
    """Give the query for a CPR in one of ``fields`` (library_systems.md 1.3; a list is an "or")."""
    return [{field: list(spelled)} for field in fields]


def by_attribute(kind: str, spelled: tuple[str, ...]) -> dict[str, str | list[str]]:
    """Give the query for a CPR in the extended attribute ``kind``; needs the embed header, or Koha answers 500."""
    return {"extended_attributes.code": kind, "extended_attributes.value": list(spelled)}


def embedding(kind: str) -> dict[str, str]:
    """Give the header by which an answer brings the extended attributes, where the library keeps one of ``kind``."""
    return {"x-koha-embed": "extended_attributes"} if kind else {}


def headers(query: object, *, embed: bool = False) -> dict[str, str]:
    """Give the headers that carry a query."""
    carried = {"x-koha-query": json.dumps(query)}
    return carried | {"x-koha-embed": "extended_attributes"} if embed else carried


def carries(
    patron: Mapping[str, Any], fields: Sequence[str], spelled: tuple[str, ...], kind: str
) -> bool:
    """Say whether a patron that a search gave does carry the number, in one of ``fields`` or the attribute ``kind``.

    A proxy that strips ``x-koha-*`` headers turns the search into "everyone", and the first of
    everyone would be taken for the person.
    """
    values = [patron.get(field) for field in fields]
    values += koha_responses.attributes(patron, kind)
    return any(isinstance(value, str) and value.strip() in spelled for value in values)


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
    body |= {koha_responses.koha_name(name): value for name, value in change.fields}
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
    number, path = spellings(cpr)[0], patron_path(str(patron.get("patron_id")))
    held = koha_responses.attributes(patron, settings.cpr_attribute)
    other = koha_responses.number_of(patron, settings.cpr_fields, settings.cpr_attribute) not in {
        None,
        number,
    }
    if other or any(each.strip() not in spellings(cpr) for each in held):
        raise LibraryRefused("change: the patron carries another number")
    fields = {settings.unique_field} | ({"cardnumber"} if settings.card_number else set())
    missing = {name: number for name in sorted(fields) if patron.get(name) != number}
    if missing:
        answer = calls.call("change", "PUT", path, deadline, body=_demanded(patron) | missing)
        if koha_responses.taken(answer):
            raise LibraryUnavailable("change: the number is another patron's by now")
        if answer.status != 200:
            raise koha_responses.refusal(answer, "change")
    if settings.cpr_attribute and not held:
        body = {"type": settings.cpr_attribute, "value": number}
        answer = calls.call("change", "POST", f"{path}/extended_attributes", deadline, body=body)
        if answer.status == 409:
            raise LibraryUnavailable("change: the attribute is another patron's by now")
        if answer.status != 201:
            raise koha_responses.refusal(answer, "change")


def _demanded(patron: Mapping[str, Any]) -> dict[str, Any]:
    return {name: patron.get(name) for name in ("surname", "library_id", "category_id")}
