"""Koha as a library system: borrowers found, made and changed through its REST API (library_systems.md section 1)."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, Self
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
from broker.core.borrowers.borrower import Borrower, Change, Wish
from broker.core.errors import ConfigurationFaults, Fault, LibraryRefused, LibraryUnavailable

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_NO_PATRON = "4294967295"  # larger than any number that Koha gives
_NOBODY = "0000000000"  # ten digits that are no date: asked for to see how the search answers


class KohaSettings(BaseModel):
    """What ``[library]`` says of a Koha; the secret is never shown.

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
    unique_field: Literal["userid", "cardnumber"] = (
        "userid"  # Koha's attributes are not unique in its database
    )
    card_number: Literal["", "cpr"] = ""
    cpr_attribute: str = Field("", max_length=10, pattern=r"^\w*$")
    cpr_fields: tuple[Literal["userid", "cardnumber"], ...] = ("userid", "cardnumber")
    timeout: float = Field(10.0, gt=0, le=60)
    ca_file: str = ""

    @field_validator("url")
    @classmethod
    def _sound(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
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
        written = {
            found.data.get("unique_field", ""),
            "cardnumber" if found.data.get("card_number") else "",
        }
        missing = sorted(written - {"", *fields})
        if missing:
            raise ValueError(
                f"must name {', '.join(missing)}: the CPR of those we make is written there"
            )
        return fields

    @classmethod
    def read(cls, settings: Mapping[str, object]) -> Self:
        """Give the settings from the keys of ``[library]``; ``ConfigurationFaults`` with all faults, quoting none."""
        try:
            return cls.model_validate(dict(settings))
        except ValidationError as error:
            found = [
                (".".join(map(str, each["loc"])), each["msg"])
                for each in error.errors(include_input=False)
            ]
        known = ", ".join(cls.model_fields)
        # Raised out here: the error of the checks holds the values, the secret among them.
        raise ConfigurationFaults(
            [Fault(f"library.{key}", what, f"keys: {known}") for key, what in found]
        )

    @property
    def fields(self) -> frozenset[str]:
        """Give the names that a policy may use under ``borrower.fields``."""
        return frozenset(koha_responses.FIELDS)

    def open(self) -> "Koha":
        """Give the library system; nothing is called yet."""
        return Koha(self)


class Koha:
    """One Koha, as ``LibrarySystem`` (core/ports.py) says; safe to share between threads."""

    def __init__(self, settings: KohaSettings) -> None:
        self._settings = settings
        secret = settings.client_secret.get_secret_value()
        exchange = Exchange(settings.url, settings.ca_file)
        self._calls = Calls(exchange, settings.client_id, secret, settings.timeout)

    def find(self, cpr: str, deadline: datetime) -> tuple[Borrower, ...]:
        """Give every borrower with this CPR as card number, user name or attribute, in any spelling of desks."""
        spelled = koha_requests.spellings(cpr)
        kind, fields = self._settings.cpr_attribute, self._settings.cpr_fields
        found = self._search(
            "find", koha_requests.headers(koha_requests.by_fields(fields, spelled)), deadline
        )
        if kind:
            found += self._search(
                "find",
                koha_requests.headers(koha_requests.by_attribute(kind, spelled), embed=True),
                deadline,
            )
        if not all(koha_requests.carries(each, fields, spelled, kind) for each in found):
            raise LibraryUnavailable(
                "find: Koha gave borrowers without the number; does a proxy strip x-koha headers?"
            )
        return self._borrowers(found)

    def marked(self, mark: str, deadline: datetime) -> tuple[Borrower, ...]:
        """Give the borrowers made under this enrolment id."""
        field = self._settings.mark_field
        found = self._search("marked", koha_requests.headers({field: mark}), deadline)
        if any(each.get(field) != mark for each in found):
            raise LibraryUnavailable(
                "marked: Koha gave borrowers without the mark; does a proxy strip x-koha headers?"
            )
        return self._borrowers(found)

    def read(self, number: str, deadline: datetime) -> Borrower | None:
        """Give the borrower with this ``patron_id``, or None."""
        patron = self._patron(number, deadline)
        return None if patron is None else self._borrower(patron)

    def create(self, wish: Wish, mark: str, deadline: datetime) -> Borrower | None:
        """Make the borrower; None where Koha says that its card number, user name or attribute is taken."""
        answer = self._calls.call(
            "create", "POST", "/api/v1/patrons", deadline, body=self._body(wish, mark)
        )
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
        answer = self._calls.call(
            "change", "PUT", koha_requests.patron_path(change.number), deadline, body=body
        )
        if answer.status != 200:
            raise koha_responses.refusal(answer, "change")
        after = self._borrower(answer.json())
        if after.number != change.number:
            raise LibraryUnavailable("change: an answer about another patron")
        # The answer to a change brings no attributes; what was read before it did.
        return replace(after, cpr=change.cpr or self._borrower(patron).cpr)

    def set_pin(self, number: str, pin: str, deadline: datetime) -> None:
        """Make ``pin`` the borrower's password, which Koha's self-service machines take as the PIN."""
        path = koha_requests.patron_path(number) + "/password"
        answer = self._calls.call(
            "set_pin", "POST", path, deadline, body={"password": pin, "password_2": pin}
        )
        if answer.status != 200:
            raise koha_responses.refusal(answer, "set_pin")

    def check_pin(self, number: str, pin: str, deadline: datetime) -> bool:
        """Say whether ``pin`` is the borrower's password, as Koha sees it by user name or card number.

        For nobody's number a name that nobody has is tried: known and unknown cost the same two
        calls.
        """
        patron = (
            self._patron(number if koha_requests.possible(number) else _NO_PATRON, deadline) or {}
        )
        name = patron.get("userid") or patron.get("cardnumber") or secrets.token_hex(16)
        body = {"identifier": name, "password": pin}
        answer = self._calls.call(
            "check_pin", "POST", "/api/v1/auth/password/validation", deadline, body=body
        )
        return koha_responses.proves(answer, number)

    def faults(self, deadline: datetime) -> Sequence[str]:
        """Say what in Koha's set-up breaks a promise of ours; Koha 23.05 lets no one ask for its categories."""
        probes: Sequence[tuple[str, Callable[[], object]]] = (
            ("borrowers cannot be found by CPR", lambda: self.find(_NOBODY, deadline)),
            ("borrowers cannot be found by their mark", lambda: self.marked(_NOBODY, deadline)),
            ("PINs cannot be set nor borrowers changed", lambda: self._try_right(deadline)),
            ("the home branch cannot be seen", lambda: self._try_branch(deadline)),
        )
        found = []
        for what, probe in probes:
            try:
                probe()
            except (LibraryUnavailable, LibraryRefused) as error:
                found.append(f"Koha: {what} ({error})")
        return found

    def _try_right(self, deadline: datetime) -> None:
        # No patron has number 0: with the right the answer is 404, without it 403, and nothing
        # changes in either case.
        empty = {"password": "", "password_2": ""}
        answer = self._calls.call(
            "set_pin", "POST", "/api/v1/patrons/0/password", deadline, body=empty
        )
        if answer.status != 404:
            raise LibraryRefused(f"set_pin: {answer.status} in place of 404")

    def _try_branch(self, deadline: datetime) -> None:
        branch = self._settings.library_id
        headers = koha_requests.headers({"library_id": branch})
        try:
            answer = self._calls.call(
                "libraries", "GET", "/api/v1/libraries", deadline, headers=headers
            )
        except RightMissing:  # the right to see the catalogue is not one we need
            return
        read = answer.json()
        named = (
            [each.get("library_id") for each in read if isinstance(each, Mapping)]
            if isinstance(read, list)
            else []
        )
        if answer.status != 200 or branch not in named:
            raise LibraryRefused(f"{answer.status}, no library {branch!r}")

    def _body(self, wish: Wish, mark: str) -> dict[str, Any]:
        settings = self._settings
        body: dict[str, Any] = {
            koha_responses.koha_name(each.name): each.value for each in wish.fields
        }
        if not body.get("surname"):
            raise LibraryRefused("create: the wish has no surname")
        number = koha_requests.spellings(wish.cpr)[0] if wish.cpr else None
        if number and settings.card_number:
            body["cardnumber"] = number
        if number and settings.cpr_attribute:
            body["extended_attributes"] = [{"type": settings.cpr_attribute, "value": number}]
        # Without a CPR the enrolment's own id is the unique value: a create repeated after a lost
        # answer is refused.
        body[settings.unique_field] = number or mark
        body[settings.mark_field] = mark
        body |= {"library_id": settings.library_id, "category_id": wish.category}
        return body | {"expiry_date": wish.expires.isoformat()}

    def _patron(self, number: str, deadline: datetime) -> Mapping[str, Any] | None:
        headers = koha_requests.embedding(self._settings.cpr_attribute)
        answer = self._calls.call(
            "read", "GET", koha_requests.patron_path(number), deadline, headers=headers
        )
        read = answer.json()
        if (
            answer.status == 404 and isinstance(read, Mapping) and "error" in read
        ):  # Koha's own, not some proxy's
            return None
        # Another's record, as a cache on the way may give it, would be believed, changed, and
        # mailed a PIN.
        if (
            answer.status != 200
            or not isinstance(read, Mapping)
            or str(read.get("patron_id")) != number
        ):
            raise LibraryUnavailable(f"read: {answer.status}, not that patron")
        return read

    def _search(
        self, asked: str, headers: Mapping[str, str], deadline: datetime
    ) -> list[Mapping[str, Any]]:
        # One page is enough: two borrowers are already a case for staff.
        path = "/api/v1/patrons?_per_page=20"
        return koha_responses.patrons(
            self._calls.call(asked, "GET", path, deadline, headers=headers), asked
        )

    def _borrowers(self, found: Sequence[Mapping[str, Any]]) -> tuple[Borrower, ...]:
        return tuple({each.number: each for each in map(self._borrower, found)}.values())

    def _borrower(self, patron: Any) -> Borrower:
        settings = self._settings
        return koha_responses.borrower(
            patron, settings.mark_field, settings.cpr_fields, settings.cpr_attribute
        )
