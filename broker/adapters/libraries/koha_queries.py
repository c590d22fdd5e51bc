"""How a borrower is looked for in Koha: every spelling of a CPR that desks use, in a header, never in the URL."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from broker.adapters.libraries import koha_answers as answers
from broker.core.errors import LibraryRefused

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
    values += answers.attributes(patron, kind)
    return any(isinstance(value, str) and value.strip() in spelled for value in values)
