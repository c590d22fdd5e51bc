"""Searches of Koha patrons: by CPR number, ``patron_id``, similarity or typed text."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from broker.adapters.http_exchange import HttpAnswer
from broker.adapters.library_systems.koha import koha_calls, koha_patrons
from broker.adapters.library_systems.koha.koha_calls import PATRONS, Calls, Query
from broker.adapters.library_systems.koha.koha_patrons import Patron
from broker.adapters.library_systems.koha.koha_settings import KohaKeys
from broker.adapters.library_systems.record_values import (
    drop_repeated,
    is_shaped_as_cpr,
    read_day,
    read_text,
    spell_cpr,
)
from broker.core.borrowers.borrower import Borrower
from broker.core.errors import LibraryUnavailable
from broker.core.input_normalization import remove_invisible, remove_spaces

_A_PAGE: Final = 200
_MOST_SIMILAR: Final = 200
_LONGEST_NAME: Final = 75  # characters of a user name; a card number has fewer
_MOST_NAMED: Final = 2  # by card number and by user name, which are unique
# If a proxy drops the query, the answer lists any patrons: none may be taken for the person.
_EVERYONE: Final = "Koha gave borrowers that were not asked for; does a proxy drop the query?"


class PatronSearches:
    """The searches of the port ``LibrarySystem``; each answer is compared with the question."""

    def __init__(self, calls: Calls, settings: KohaKeys) -> None:
        self.calls = calls
        self.settings = settings
        # Without this header Koha answers a search for an attribute with 500.
        self._embed = koha_calls.EMBED_ATTRIBUTES if settings.cpr_attribute else {}

    def find(self, cpr: str, deadline: datetime) -> tuple[Borrower, ...]:
        """Return the borrowers with this CPR number as card number, user name or attribute.

        Search for every spelling that staff use. Raises LibraryUnavailable if the answer holds
        others.
        """
        fields = self.settings.cpr_fields
        return self._read_borrowers(self._find_patrons_with_cpr(cpr, fields, "find", deadline))

    def find_typed(self, text: str, deadline: datetime) -> tuple[Borrower, ...]:
        """Return the borrowers of a CPR number or card number, or else of a user name.

        Compare the answer again, because Koha's database finds similar texts too.
        """
        number = remove_spaces(text)
        if is_shaped_as_cpr(number):
            fields = sorted({*self.settings.cpr_fields, "cardnumber"})
            return self._read_borrowers(
                self._find_patrons_with_cpr(number, fields, "typed", deadline)
            )
        name = remove_invisible(text)
        if not name or len(name) > _LONGEST_NAME:
            return ()
        # Koha's database takes other letters and digits for equal to ASCII ones. A card number is
        # ASCII, so a text that is not is searched for as a user name only.
        fields = ["cardnumber", "userid"] if name.isascii() else ["userid"]
        found = self.search("typed", {"-or": [{field: name} for field in fields]}, deadline)
        if len(found) > _MOST_NAMED:
            raise LibraryUnavailable(f"typed: {_EVERYONE}")
        for field in fields:
            same = [patron for patron in found if _is_named(patron, field, name)]
            if same:
                return self._read_borrowers(same)
        return ()

    def find_similar(
        self, birth_date: date | None, email: str | None, deadline: datetime
    ) -> tuple[Borrower, ...]:
        """Return the borrowers with this mail address, then others with this birth date.

        At most 200 are returned. Many borrowers may have the same birth date, if it stands for
        "unknown", and fill the page. Then search for the mail address separately, so that its
        borrowers are not lost.
        """
        by_date = [{"date_of_birth": birth_date.isoformat()}] if birth_date else []
        by_mail = [{"email": email}] if email else []
        if not (by_date or by_mail):
            return ()
        query = {"-or": by_mail + by_date}
        found = self.search("find_similar", query, deadline, most=_MOST_SIMILAR)
        if len(found) == _MOST_SIMILAR and by_mail:
            found += self.search("find_similar", by_mail[0], deadline, most=_MOST_SIMILAR)
        similar = _select_similar(found, birth_date, email)[:_MOST_SIMILAR]
        return self._read_borrowers(similar)

    def list_borrowers(self) -> Iterator[Borrower]:
        """Yield every borrower in the order of ``patron_id``.

        Raises LibraryUnavailable for another order.

        A page begins after the last patron of the page before. So no patron is skipped if one is
        deleted meanwhile. Raises LibraryUnavailable if Koha answers in another order.
        """
        last = 0
        while True:
            deadline = datetime.now(UTC) + timedelta(seconds=self.settings.timeout)
            query = {"me.patron_id": {">": last}}
            order = "&_order_by=me.patron_id"
            found = self.search("list", query, deadline, most=_A_PAGE, order=order)
            for patron in found:
                number = patron.get("patron_id")
                if not isinstance(number, int) or number <= last:
                    raise LibraryUnavailable(f"list: {_EVERYONE}")
                last = number
                yield self._read_borrower(patron)
            if len(found) < _A_PAGE:
                return

    def read(self, number: str, deadline: datetime) -> Borrower | None:
        """Return the borrower with this ``patron_id``, or None."""
        patron = self._read_patron(number, deadline)
        return self._read_borrower(patron) if patron is not None else None

    def _read_borrower(self, patron: Any) -> Borrower:
        return koha_patrons.read_borrower(patron, self.settings)

    def _read_borrowers(self, patrons: Iterable[Patron]) -> tuple[Borrower, ...]:
        return drop_repeated(map(self._read_borrower, patrons))

    def _read_patron(self, number: str, deadline: datetime) -> Patron | None:
        """Return the patron with this ``patron_id``, or None."""
        path = koha_calls.patron_path(number)
        answer = self.calls.call("read", "GET", path, deadline, headers=self._embed)
        patron = answer.fields()
        if answer.status == 404 and "error" in patron:  # from Koha, not from a proxy
            return None
        if answer.status != 200 or not patron:
            raise koha_calls.make_unavailable(answer, "read")
        # A cache on the way may answer with another patron, which the broker would change.
        if str(patron.get("patron_id")) != number:
            raise LibraryUnavailable("read: an answer about another patron")
        return patron

    def search(
        self, operation: str, query: Query, deadline: datetime, *, most: int = 20, order: str = ""
    ) -> list[Patron]:
        """Return the first ``most`` patrons that match a query, with their attributes.

        The attributes may hold the CPR number. The query is sent in the body, which is not logged
        (docs/reference/koha.md#search).
        """
        # A single page is enough: as soon as two borrowers match, staff must decide.
        path = f"{PATRONS}?_per_page={most}{order}"
        answer = self.calls.call(operation, "GET", path, deadline, headers=self._embed, body=query)
        return _read_patrons(answer, operation)

    def _find_patrons_with_cpr(
        self, cpr: str, fields: Sequence[str], operation: str, deadline: datetime
    ) -> list[Patron]:
        """Return the patrons with a CPR number in one of ``fields`` or in the attribute.

        Search for the attribute separately: an "or" over both makes Koha read every patron.
        """
        spelled = spell_cpr(cpr)
        kind = self.settings.cpr_attribute
        # A list of values means "or".
        query: Query = {"-or": [{field: spelled} for field in fields]}
        found = self.search(operation, query, deadline)
        if kind:
            query = {"extended_attributes.code": kind, "extended_attributes.value": spelled}
            found += self.search(operation, query, deadline)
        for patron in found:
            if set(spelled).isdisjoint(koha_patrons.list_values(patron, fields, kind)):
                raise LibraryUnavailable(f"{operation}: {_EVERYONE}")
        return found


def _read_patrons(answer: HttpAnswer, operation: str) -> list[Patron]:
    """Return the patron objects of a search. Raises LibraryUnavailable for any other answer."""
    body = answer.json()
    is_list = answer.status == 200 and isinstance(body, list)
    if is_list and all(isinstance(element, Mapping) for element in body):
        return [*body]
    raise koha_calls.make_unavailable(answer, operation)


def _select_similar(
    found: Sequence[Patron], birth_date: date | None, email: str | None
) -> list[Patron]:
    with_address = [patron for patron in found if email and _has_address(patron, email)]
    others = [patron for patron in found if patron not in with_address]
    if not all(_is_born(patron, birth_date) for patron in others):
        raise LibraryUnavailable(f"find_similar: {_EVERYONE}")
    return with_address + others


def _has_address(patron: Patron, email: str) -> bool:
    return _fold(read_text(patron, "email") or "") == _fold(email)


def _fold(address: str) -> str:
    """Fold a mail address as Koha's database compares it: without case and accents."""
    letters = unicodedata.normalize("NFKD", remove_invisible(address))
    return "".join(each for each in letters if not unicodedata.combining(each)).casefold()


def _is_born(patron: Patron, birth_date: date | None) -> bool:
    return birth_date is not None and read_day(patron.get("date_of_birth")) == birth_date


def _is_named(patron: Patron, field: str, name: str) -> bool:
    value = read_text(patron, field) or ""
    return value.casefold() == name.casefold()
