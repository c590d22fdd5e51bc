"""A library system of one SQLite file, written from docs/library-systems.md as a third party would."""

import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Self, TypeVar

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.library_setup import (
    ALL_CAPABILITIES,
    ExpectedSetup,
    LibraryCallObserver,
    LibraryCapability,
    SetupFault,
    SetupTrial,
)
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.errors import ConfigurationFaults, Fault, LibraryError, LibraryRefused, LibraryUnavailable
from broker.core.input_normalization import remove_invisible, remove_spaces

T = TypeVar("T")
Row = Mapping[str, Any]
Connect = Callable[..., sqlite3.Connection]

FIELDS: Final = ("surname", "firstname", "email")
TABLES: Final = """
CREATE TABLE category (name TEXT PRIMARY KEY);
CREATE TABLE borrower (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    card TEXT UNIQUE COLLATE NOCASE,
    cpr TEXT UNIQUE,
    user_name TEXT,
    category TEXT NOT NULL REFERENCES category,
    expires TEXT,
    mark TEXT,
    pin TEXT,
    surname TEXT,
    firstname TEXT,
    email TEXT
);
"""
_CPR: Final = re.compile(r"([0-9]{6})[- ]?([0-9]{4})")
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_TAKEN: Final = "SQLITE_CONSTRAINT_UNIQUE"


@dataclass(frozen=True, slots=True)
class ShelfSettings:
    """The keys of ``[library]``: the shelf's web page, its file, and whether the machines' PINs may be read."""

    url: str
    database_file: str
    checks_pins: bool = True
    connections: int = 2

    @classmethod
    def read(cls, settings: Mapping[str, object]) -> Self:
        """Read the keys; raise ConfigurationFaults with all faults."""
        known = ", ".join(cls.__slots__)
        unknown = [key for key in settings if key not in cls.__slots__]
        faults = [Fault(f"library.{key}", "is no key of a paper shelf", f"keys: {known}") for key in unknown]
        database = settings.get("database_file")
        if not isinstance(database, str) or not database:
            faults.append(Fault("library.database_file", "must be written", "the path of the shelf's file"))
        checks = str(settings.get("checks_pins", True)).casefold()
        if checks not in {"true", "false"}:
            faults.append(Fault("library.checks_pins", "must be true or false", "leave it out for true"))
        if faults:
            raise ConfigurationFaults(faults)
        return cls(str(settings.get("url")), str(database), checks == "true")

    @property
    def fields(self) -> frozenset[str]:
        """Return the fields that a policy can write."""
        return frozenset(FIELDS)

    def open(self, observe: LibraryCallObserver, connect: Connect = sqlite3.connect) -> "PaperShelf":
        """Return the library system."""
        return PaperShelf(self, observe, connect)


class PaperShelf:
    """A library system in an SQLite file, with a connection for each call, so that threads share none."""

    def __init__(self, settings: ShelfSettings, observe: LibraryCallObserver, connect: Connect) -> None:
        """Store the settings."""
        self._settings, self._observe, self._connect = settings, observe, connect

    @property
    def capabilities(self) -> frozenset[LibraryCapability]:
        """Return the capabilities; PINs are checked only if the settings allow it."""
        if self._settings.checks_pins:
            return ALL_CAPABILITIES - {LibraryCapability.FOUND_BY_BIRTH_DATE}
        return ALL_CAPABILITIES - {LibraryCapability.FOUND_BY_BIRTH_DATE, LibraryCapability.PIN_CHECKED}

    def find(self, cpr: str, deadline: datetime) -> tuple[Borrower, ...]:
        """Return every borrower with this CPR number."""
        return self._do("find", deadline, lambda shelf: _borrowers(_find_by_cpr(shelf, cpr)))

    def read(self, number: str, deadline: datetime) -> Borrower | None:
        """Return the borrower of this number."""

        def work(shelf: sqlite3.Connection) -> Borrower | None:
            row = _row(shelf, number)
            return _borrower(row) if row else None

        return self._do("read", deadline, work)

    def find_similar(self, birth_date: date | None, email: str | None, deadline: datetime) -> tuple[Borrower, ...]:
        """Return the borrowers with this mail address; the shelf has no birth dates."""
        del birth_date
        address = (email or "-").lower()
        return self._do("find_similar", deadline, lambda shelf: _borrowers(_where(shelf, "lower(email) = ?", address)))

    def list_borrowers(self) -> Iterator[Borrower]:
        """Return all borrowers."""
        deadline = datetime.now(UTC) + timedelta(seconds=60)
        return iter(self._do("list", deadline, lambda shelf: _borrowers(_where(shelf, "1"))))

    def find_typed(self, text: str, deadline: datetime) -> tuple[Borrower, ...]:
        """Return the borrowers that match a typed text."""
        return self._do("typed", deadline, lambda shelf: _borrowers(_find_typed(shelf, text)))

    def create(self, wanted: WantedBorrower, mark: str, deadline: datetime) -> Borrower | None:
        """Create the borrower; return None if its CPR number or card exists."""
        if wanted.cpr is None:
            raise LibraryRefused("create: a borrower without a CPR number would have no card")
        columns = {field.name: field.value for field in wanted.fields if field.name in FIELDS}
        columns |= {"card": wanted.cpr, "cpr": wanted.cpr, "category": wanted.category}
        columns |= {"expires": wanted.expires.isoformat(), "mark": mark}

        def work(shelf: sqlite3.Connection) -> Borrower | None:
            names, marks = ", ".join(columns), ", ".join("?" for _ in columns)
            insert = f"INSERT INTO borrower ({names}) VALUES ({marks})"  # noqa: S608 - names of our own
            try:
                number = shelf.execute(insert, tuple(columns.values())).lastrowid
            except sqlite3.IntegrityError as error:
                if getattr(error, "sqlite_errorname", "") == _TAKEN:
                    return None
                raise
            return _read_existing(shelf, str(number), "create")

        return self._do("create", deadline, work)

    def change(self, change: Change, deadline: datetime) -> Borrower:
        """Write the fields of the change, the CPR number first."""
        columns = {name: value for name, value in change.fields if name in FIELDS}
        if change.category:
            columns["category"] = change.category
        if change.expires:
            columns["expires"] = change.expires.isoformat()

        def work(shelf: sqlite3.Connection) -> Borrower:
            before = _read_existing(shelf, change.number, "change")
            if change.cpr:
                _identify(shelf, before, change.cpr)
            for name, value in columns.items():
                _set(shelf, before.number, name, value)
            return _read_existing(shelf, change.number, "change")

        return self._do("change", deadline, work)

    def set_pin(self, number: str, pin: str, deadline: datetime) -> None:
        """Write the PIN."""

        def work(shelf: sqlite3.Connection) -> None:
            _set(shelf, _read_existing(shelf, number, "set_pin").number, "pin", pin)

        self._do("set_pin", deadline, work)

    def check_pin(self, borrower: Borrower, pin: str, deadline: datetime) -> bool:
        """Return whether this is the borrower's PIN."""
        if LibraryCapability.PIN_CHECKED not in self.capabilities:
            return False
        row = self._do("check_pin", deadline, lambda shelf: _row(shelf, borrower.number))
        return row is not None and bool(row["pin"] == pin)

    def try_setup(self, expected: ExpectedSetup, deadline: datetime) -> SetupTrial:
        """Check nothing."""
        del expected, deadline
        return SetupTrial((), ("anything: a shelf has no trial borrowers",))

    def check_setup(self, expected: ExpectedSetup, deadline: datetime) -> tuple[SetupFault, ...]:
        """Return the categories and fields of the policies that the shelf lacks."""
        try:
            rows = self._do("check_setup", deadline, lambda shelf: _rows(shelf, "SELECT name FROM category"))
        except LibraryError as error:
            return (SetupFault("unavailable", str(error)),)
        there = {row["name"] for row in rows}
        missing = ((name, place) for name, place in expected.categories.items() if name not in there)
        return tuple(SetupFault(name, f"{place}: the shelf has no category {name}") for name, place in missing)

    def _do(self, call: str, deadline: datetime, work: Callable[[sqlite3.Connection], T]) -> T:
        """Carry out one transaction of the shelf by the deadline."""
        left = (deadline - datetime.now(UTC)).total_seconds()
        if left <= 0:
            raise LibraryUnavailable(f"{call}: no time is left")
        began, outcome = time.monotonic(), "unavailable"
        try:
            with closing(self._connect(self._settings.database_file, timeout=left)) as shelf:
                shelf.row_factory = sqlite3.Row
                shelf.create_function("folded", 1, lambda text: (text or "").casefold())
                shelf.execute("PRAGMA foreign_keys = ON")
                with shelf:
                    done = work(shelf)
            outcome = "done"
        except LibraryRefused:
            outcome = "refused"
            raise
        except sqlite3.IntegrityError:
            outcome = "refused"
        except sqlite3.Error:
            pass
        finally:
            self._observe(call, outcome, time.monotonic() - began)
        # Raised outside the handler: SQLite's error may quote the written values.
        if outcome == "done":
            return done
        if outcome == "refused":
            raise LibraryRefused(f"{call}: the shelf takes no such borrower")
        raise LibraryUnavailable(f"{call}: no answer from the shelf")


def _rows(shelf: sqlite3.Connection, query: str, *values: object) -> list[Row]:
    return [dict(row) for row in shelf.execute(query, values).fetchall()]


def _where(shelf: sqlite3.Connection, condition: str, *values: object) -> list[Row]:
    return _rows(shelf, f"SELECT * FROM borrower WHERE {condition} ORDER BY number", *values)  # noqa: S608 - our own


def _row(shelf: sqlite3.Connection, number: str) -> Row | None:
    rows = _where(shelf, "number = ?", int(number)) if _NUMBER.fullmatch(number) else []
    return rows[0] if rows else None


def _read_existing(shelf: sqlite3.Connection, number: str, call: str) -> Borrower:
    row = _row(shelf, number)
    if row is None:
        raise LibraryRefused(f"{call}: no such borrower")
    return _borrower(row)


def _set(shelf: sqlite3.Connection, number: str, column: str, value: str) -> None:
    shelf.execute(f"UPDATE borrower SET {column} = ? WHERE number = ?", (value, int(number)))  # noqa: S608 - our own


def _identify(shelf: sqlite3.Connection, before: Borrower, cpr: str) -> None:
    if before.cpr not in {None, cpr}:
        raise LibraryRefused("change: the borrower has another CPR number")
    if any(str(row["number"]) != before.number for row in _find_by_cpr(shelf, cpr)):
        raise LibraryUnavailable("change: another borrower has the CPR number by now")
    _set(shelf, before.number, "cpr", cpr)


def _find_by_cpr(shelf: sqlite3.Connection, cpr: str) -> list[Row]:
    return _where(shelf, "cpr = ? OR card IN (?, ?, ?)", cpr, *_spell_cpr(cpr))


def _spell_cpr(cpr: str) -> tuple[str, str, str]:
    return cpr, f"{cpr[:6]}-{cpr[6:]}", f"{cpr[:6]} {cpr[6:]}"


def _find_typed(shelf: sqlite3.Connection, text: str) -> list[Row]:
    cpr = _CPR.fullmatch(remove_spaces(text))
    if cpr:
        return _find_by_cpr(shelf, cpr[1] + cpr[2])
    name = remove_invisible(text)
    if not name:
        return []
    held = _where(shelf, "folded(card) = ?", name.casefold()) if name.isascii() else []
    return held or _where(shelf, "folded(user_name) = ?", name.casefold())


def _borrowers(rows: list[Row]) -> tuple[Borrower, ...]:
    return tuple(map(_borrower, rows))


def _borrower(row: Row) -> Borrower:
    expires = date.fromisoformat(row["expires"]) if row["expires"] else None
    on_card = _CPR.fullmatch(row["card"] or "")
    return Borrower(
        number=str(row["number"]),
        category=row["category"],
        expires=expires,
        mark=row["mark"],
        email=row["email"],
        fields={name: row[name] for name in FIELDS if row[name]},
        cpr=row["cpr"] or (on_card[1] + on_card[2] if on_card else None),
        card=row["card"],
    )
