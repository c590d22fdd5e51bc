"""Koha as a library system: its settings, and borrowers by REST (docs/reference/koha.md#koha)."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from broker.adapters.libraries import koha_requests, koha_responses
from broker.adapters.libraries.http_exchange import Exchange
from broker.adapters.libraries.koha_requests import Calls, RightMissing, changes, identify
from broker.adapters.libraries.koha_responses import Patron
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.pins import PinAnswer
from broker.core.borrowers.wanted_borrower import Wish
from broker.core.errors import ConfigurationFaults, Fault, LibraryRefused, LibraryUnavailable

_PATRONS: Final = "/api/v1/patrons"
_PASSWORD_CHECK: Final = "/api/v1/auth/password/validation"  # noqa: S105 - an address
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_NO_PATRON: Final = "4294967295"  # larger than any number that Koha gives
_NOBODY: Final = (
    "0000000000"  # ten digits that are no date: asked for to see how the search answers
)
_STRIPPED: Final = "does a proxy strip x-koha headers?"


class KohaSettings(BaseModel):
    """The keys of ``[library]`` for a Koha; the secret is never shown.

    ``url`` ends before ``/api/v1``; ``library_id`` is the home branch of new borrowers.
    ``unique_field`` is the database-unique field that holds the CPR of those we make,
    ``mark_field`` the one reserved for the enrolment id. ``card_number = "cpr"`` makes the CPR the
    card number too; ``cpr_attribute`` is the extended attribute with the CPR, where the library has
    one; ``cpr_fields`` are the fields in which ten digits are a CPR: a library whose cards have
    numbers of ten digits leaves out the card number. ``timeout`` bounds one call, in seconds;
    ``ca_file`` is for a private authority.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str
    client_id: str = Field(min_length=1)
    client_secret: SecretStr = Field(min_length=1)
    library_id: str = Field(min_length=1, max_length=10)
    mark_field: Literal["statistics_1", "statistics_2"] = "statistics_1"
    # Koha's attributes are not unique in its database.
    unique_field: Literal["userid", "cardnumber"] = "userid"
    card_number: Literal["", "cpr"] = ""
    cpr_attribute: str = Field("", max_length=10, pattern=r"^\w*$")
    cpr_fields: tuple[Literal["userid", "cardnumber"], ...] = ("userid", "cardnumber")
    timeout: float = Field(10.0, gt=0, le=60)
    ca_file: str = ""

    @field_validator("url")
    @classmethod
    def _sound(cls, url: str) -> str:
        parts = urlsplit(url)
        local = parts.scheme == "http" and parts.hostname in _LOOPBACK
        if parts.scheme != "https" and not local:
            raise ValueError("must be https: CPR numbers travel over it")
        if not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("must be an address without user, query and fragment")
        if "/api" in parts.path:
            raise ValueError("must end before /api/v1")
        return url.rstrip("/")

    @field_validator("cpr_fields")
    @classmethod
    def _finds_our_own(cls, fields: tuple[str, ...], found: ValidationInfo) -> tuple[str, ...]:
        # A borrower we make and do not find again would be made at each login, and refused as taken
        # for ever.
        written = {found.data.get("unique_field", "")}
        if found.data.get("card_number"):
            written.add("cardnumber")
        missing = sorted(written - {"", *fields})
        if missing:
            why = "the CPR of those we make is written there"
            raise ValueError(f"must name {', '.join(missing)}: {why}")
        return fields

    @classmethod
    def read(cls, settings: Mapping[str, object]) -> Self:
        """Return the settings from the keys of ``[library]``.

        ConfigurationFaults with all faults, none of which quotes a value.
        """
        known = ", ".join(cls.model_fields)
        faults = []
        try:
            return cls.model_validate(dict(settings))
        except ValidationError as error:
            for fault in error.errors(include_input=False):
                where = ".".join(("library", *map(str, fault["loc"])))
                faults.append(Fault(where, fault["msg"], f"keys: {known}"))
        # Raised out here: the error of the checks holds the values, the secret among them.
        raise ConfigurationFaults(faults)

    @property
    def fields(self) -> frozenset[str]:
        """The names that a policy may use under ``borrower.fields``."""
        return frozenset(koha_responses.FIELDS)

    def open(self) -> "Koha":
        """Return the library system; nothing is called yet."""
        return Koha(self)


class Koha:
    """One Koha behind the port ``LibrarySystem`` (core/ports.py); safe to share between threads."""

    def __init__(self, settings: KohaSettings) -> None:
        self._settings = settings
        secret = settings.client_secret.get_secret_value()
        exchange = Exchange(settings.url, settings.ca_file)
        self._calls = Calls(exchange, settings.client_id, secret, settings.timeout)

    def find(self, cpr: str, deadline: datetime) -> tuple[Borrower, ...]:
        """Return the borrowers with this CPR as card number, user name or attribute.

        Any spelling that staff use is found. LibraryUnavailable where the answer holds others.
        """
        spelled = koha_requests.spellings(cpr)
        kind = self._settings.cpr_attribute
        fields = self._settings.cpr_fields
        headers = koha_requests.headers(koha_requests.by_fields(fields, spelled))
        found = self._search("find", headers, deadline)
        if kind:
            query = koha_requests.by_attribute(kind, spelled)
            headers = koha_requests.headers(query, embed=True)
            found += self._search("find", headers, deadline)
        if not all(koha_requests.carries(patron, fields, spelled, kind) for patron in found):
            what = "Koha gave borrowers without the number"
            raise LibraryUnavailable(f"find: {what}; {_STRIPPED}")
        return self._borrowers(found)

    def marked(self, mark: str, deadline: datetime) -> tuple[Borrower, ...]:
        """Return the borrowers made under this enrolment id."""
        field = self._settings.mark_field
        headers = koha_requests.headers({field: mark})
        found = self._search("marked", headers, deadline)
        if any(patron.get(field) != mark for patron in found):
            what = "Koha gave borrowers without the mark"
            raise LibraryUnavailable(f"marked: {what}; {_STRIPPED}")
        return self._borrowers(found)

    def read(self, number: str, deadline: datetime) -> Borrower | None:
        """Return the borrower with this ``patron_id``, or None."""
        patron = self._patron(number, deadline)
        if patron is None:
            return None
        return self._borrower(patron)

    def typed(self, text: str, deadline: datetime) -> tuple[Borrower, ...]:
        """Return the borrowers of a CPR number or card; of a user name where it is nobody's card.

        What comes back is compared again: Koha's database takes more for equal than we do.
        """
        if koha_requests.shaped_as_cpr(text):
            number = koha_requests.spellings(text)[0]
            found = (*self.find(number, deadline), *self._named("cardnumber", text, deadline))
            return tuple({borrower.number: borrower for borrower in found}.values())
        cards = self._named("cardnumber", text, deadline)
        return cards or self._named("userid", text, deadline)

    def create(
        self,
        wish: Wish,
        mark: str,
        deadline: datetime,
    ) -> Borrower | None:
        """Make the borrower; None where its card number, user name or attribute is taken."""
        body = self._body(wish, mark)
        answer = self._calls.call("create", "POST", _PATRONS, deadline, body=body)
        if koha_responses.taken(answer):
            return None
        if answer.status != 201:
            raise koha_responses.refusal(answer, "create")
        return self._borrower(answer.json())

    def change(self, change: Change, deadline: datetime) -> Borrower:
        """Set the fields, category and expiry of one borrower, and before them its CPR."""
        patron = self._patron(change.number, deadline)
        if patron is None:
            raise LibraryRefused("change: no such borrower")
        if change.cpr:
            identify(self._calls, self._settings, patron, change.cpr, deadline)
        body = changes(patron, change)
        path = koha_requests.patron_path(change.number)
        answer = self._calls.call("change", "PUT", path, deadline, body=body)
        if answer.status != 200:
            raise koha_responses.refusal(answer, "change")
        after = self._borrower(answer.json())
        if after.number != change.number:
            raise LibraryUnavailable("change: an answer about another patron")
        # The answer to a change brings no attributes; what was read before it did.
        cpr = change.cpr or self._borrower(patron).cpr
        return replace(after, cpr=cpr)

    def set_pin(
        self,
        number: str,
        pin: str,
        deadline: datetime,
    ) -> None:
        """Make ``pin`` the borrower's password, the PIN of Koha's self-service machines."""
        path = koha_requests.patron_path(number) + "/password"
        body = {"password": pin, "password_2": pin}
        answer = self._calls.call("set_pin", "POST", path, deadline, body=body)
        if answer.status != 200:
            raise koha_responses.refusal(answer, "set_pin")

    def check_pin(
        self,
        number: str,
        pin: str,
        deadline: datetime,
    ) -> PinAnswer:
        """Return whether ``pin`` is the borrower's password, by user name or card number.

        For nobody's number a name that nobody has is tried: known and unknown cost the same two
        calls.
        """
        asked_for = number if koha_requests.possible(number) else _NO_PATRON
        patron = self._patron(asked_for, deadline) or {}
        name = patron.get("userid") or patron.get("cardnumber") or secrets.token_hex(16)
        body = {"identifier": name, "password": pin}
        answer = self._calls.call("check_pin", "POST", _PASSWORD_CHECK, deadline, body=body)
        if koha_responses.proves(answer, number):
            return PinAnswer.RIGHT
        return PinAnswer.WRONG

    def faults(self, deadline: datetime) -> Sequence[str]:
        """Return what in Koha's set-up breaks a promise of ours, in sentences.

        Categories are not among it: Koha 23.05 lets no one ask for them.
        """
        probes: Sequence[tuple[str, Callable[[], object]]] = (
            ("borrowers cannot be found by CPR", lambda: self.find(_NOBODY, deadline)),
            ("borrowers cannot be found by their mark", lambda: self.marked(_NOBODY, deadline)),
            ("PINs cannot be set nor borrowers changed", lambda: self._try_right(deadline)),
            ("the home branch cannot be seen", lambda: self._try_branch(deadline)),
        )
        faults = []
        for what, probe in probes:
            try:
                probe()
            except (LibraryUnavailable, LibraryRefused) as error:
                faults.append(f"Koha: {what} ({error})")
        return faults

    def _try_right(self, deadline: datetime) -> None:
        # No patron has number 0: with the right the answer is 404, without it 403, and nothing
        # changes in either case.
        path = f"{_PATRONS}/0/password"
        empty = {"password": "", "password_2": ""}
        answer = self._calls.call("set_pin", "POST", path, deadline, body=empty)
        if answer.status != 404:
            raise LibraryRefused(f"set_pin: {answer.status} in place of 404")

    def _try_branch(self, deadline: datetime) -> None:
        branch = self._settings.library_id
        path = "/api/v1/libraries"
        headers = koha_requests.headers({"library_id": branch})
        try:
            answer = self._calls.call("libraries", "GET", path, deadline, headers=headers)
        except RightMissing:  # the right to see the catalogue is not one we need
            return
        libraries = answer.json()
        named = []
        if isinstance(libraries, list):
            objects = [library for library in libraries if isinstance(library, Mapping)]
            named = [library.get("library_id") for library in objects]
        if answer.status != 200 or branch not in named:
            raise LibraryRefused(f"{answer.status}, no library {branch!r}")

    def _body(self, wish: Wish, mark: str) -> dict[str, Any]:
        settings = self._settings
        body: dict[str, Any] = {}
        for field in wish.fields:
            body[koha_responses.koha_name(field.name)] = field.value
        if not body.get("surname"):
            raise LibraryRefused("create: the wish has no surname")
        # Without a CPR the enrolment's own id is the unique value: a create repeated after a lost
        # answer is refused.
        unique = mark
        if wish.cpr:
            unique = number = koha_requests.spellings(wish.cpr)[0]
            if settings.card_number:
                body["cardnumber"] = number
            if settings.cpr_attribute:
                attribute = {"type": settings.cpr_attribute, "value": number}
                body["extended_attributes"] = [attribute]
        body[settings.unique_field] = unique
        body[settings.mark_field] = mark
        body["library_id"] = settings.library_id
        body["category_id"] = wish.category
        body["expiry_date"] = wish.expires.isoformat()
        return body

    def _patron(self, number: str, deadline: datetime) -> Patron | None:
        path = koha_requests.patron_path(number)
        headers = koha_requests.embedding(self._settings.cpr_attribute)
        answer = self._calls.call("read", "GET", path, deadline, headers=headers)
        patron = answer.json()
        if isinstance(patron, Mapping):
            if answer.status == 404 and "error" in patron:  # Koha's own, not some proxy's
                return None
            # Another's record, as a cache on the way may give it, would be believed, changed, and
            # mailed a PIN.
            if answer.status == 200 and str(patron.get("patron_id")) == number:
                return patron
        raise LibraryUnavailable(f"read: {answer.status}, not that patron")

    def _named(self, field: str, text: str, deadline: datetime) -> tuple[Borrower, ...]:
        if not text.isascii():
            return ()
        found = self._search("typed", koha_requests.headers({field: text}), deadline)
        same = [patron for patron in found if _same(patron.get(field), text)]
        return self._borrowers(same)

    def _search(
        self,
        operation: str,
        headers: Mapping[str, str],
        deadline: datetime,
    ) -> list[Patron]:
        # One page is enough: two borrowers are already a case for staff.
        path = f"{_PATRONS}?_per_page=20"
        answer = self._calls.call(operation, "GET", path, deadline, headers=headers)
        return koha_responses.patrons(answer, operation)

    def _borrowers(self, patrons: Sequence[Patron]) -> tuple[Borrower, ...]:
        # A search by field and one by attribute may find the same borrower.
        borrowers = {}
        for patron in patrons:
            borrower = self._borrower(patron)
            borrowers[borrower.number] = borrower
        return tuple(borrowers.values())

    def _borrower(self, patron: Any) -> Borrower:
        settings = self._settings
        return koha_responses.borrower(
            patron,
            settings.mark_field,
            settings.cpr_fields,
            settings.cpr_attribute,
        )


def _same(value: object, text: str) -> bool:
    return isinstance(value, str) and value.casefold() == text.casefold()
