"""Runs the paper shelf for the suite: staff write to the same file, and statements of the connector fail."""

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from broker.core.borrowers.library_setup import ALL_CAPABILITIES, LibraryCallObserver, LibraryCapability
from tests.conformance.library_suite.stage import MANY, Kind, SoundKeys, Stage, Trouble
from tests.conformance.library_suite.values import QUOTED
from tests.conformance.third_party.paper_shelf import TABLES, ShelfSettings

URL: Final = "https://shelf.example"


class FileTrouble:
    """A failure of some of the statements."""

    def __init__(self, trouble: Trouble, after: int, times: int) -> None:
        """Start without affected statements."""
        self.trouble, self.after, self.times = trouble, after, times
        self.met = 0
        self.over = threading.Event()

    @property
    def struck(self) -> bool:
        """Whether a statement was affected."""
        return self.met > self.after

    def meets(self) -> bool:
        """Count a statement and return whether it fails."""
        self.met += 1
        return self.after < self.met <= self.after + self.times


class ShelfDesk:
    """Staff of the shelf, and the connections of the connector to its file."""

    def __init__(self, database: Path) -> None:
        """Make an empty shelf."""
        self._database = database
        self.trouble: FileTrouble | None = None
        with closing(sqlite3.connect(database)) as shelf, shelf:
            shelf.executescript(TABLES)
            categories = (("STUDENT",), ("EMPLOYEE",), ("PRIVATE",), ("TEMP",))
            shelf.executemany("INSERT INTO category VALUES (?)", categories)

    def connect(self, database: str, timeout: float) -> sqlite3.Connection:
        """Return a connection whose statements can fail."""
        desk = self

        class Connection(sqlite3.Connection):
            """A connection whose statements can fail."""

            def execute(self, *given: Any) -> sqlite3.Cursor:
                """Execute a statement, or fail."""
                trouble = desk.trouble
                if trouble is None or not trouble.meets():
                    return super().execute(*given)
                return self._struck(trouble, given)

            def _struck(self, trouble: FileTrouble, given: tuple[Any, ...]) -> sqlite3.Cursor:
                if trouble.trouble is Trouble.SILENT:
                    trouble.over.wait(timeout)
                    raise sqlite3.OperationalError("database is locked")
                if trouble.trouble is Trouble.DOWN:
                    raise sqlite3.OperationalError("unable to open database file")
                if trouble.trouble is Trouble.REFUSED:
                    raise sqlite3.IntegrityError(QUOTED)
                super().execute(*given).fetchall()
                self.commit()
                raise sqlite3.DatabaseError(f"database disk image is malformed: {QUOTED}")

        return sqlite3.connect(database, timeout=timeout, factory=Connection)

    def register(self, card: str, category: str, user_name: str = "") -> str:
        """Make a borrower."""
        insert = "INSERT INTO borrower (card, category, user_name, surname) VALUES (?, ?, ?, 'Desk')"
        return str(self._execute(insert, card, category, user_name or None).lastrowid)

    def close(self, number: str) -> None:
        """Delete a borrower."""
        self._execute("DELETE FROM borrower WHERE number = ?", int(number))

    def merge(self, kept: str, merged: str) -> None:
        """Merge borrowers."""
        del kept
        self.close(merged)

    def count(self) -> int:
        """Count the borrowers."""
        return self._number("SELECT count(*) FROM borrower")

    def proves(self, typed: str, pin: str) -> bool:
        """Return whether a machine accepts the PIN."""
        return self._number("SELECT count(*) FROM borrower WHERE pin = ? AND card = ?", pin, typed) == 1

    @contextmanager
    def cause_trouble(self, trouble: Trouble, after: int = 0, times: int = MANY) -> Iterator[FileTrouble]:
        """Let statements of the connector fail while the block runs."""
        self.trouble = begun = FileTrouble(trouble, after, times)
        try:
            yield begun
        finally:
            self.trouble = None
            begun.over.set()

    def _execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        with closing(sqlite3.connect(self._database)) as shelf, shelf:
            return shelf.execute(statement, values)

    def _number(self, query: str, *values: object) -> int:
        with closing(sqlite3.connect(self._database)) as shelf:
            return int(shelf.execute(query, values).fetchone()[0])


@contextmanager
def _shelf(observe: LibraryCallObserver, **settings: object) -> Iterator[Stage]:
    with TemporaryDirectory() as folder:
        database = Path(folder, "shelf.db")
        desk = ShelfDesk(database)
        read = ShelfSettings.read({"url": URL, "database_file": str(database), **settings})
        yield Stage(read.open(observe, desk.connect), desk)


SOUND: Final = SoundKeys(ShelfSettings.read, {"url": URL, "database_file": "/shelf.db", "checks_pins": True})
_CAN: Final = ALL_CAPABILITIES - {LibraryCapability.FOUND_BY_BIRTH_DATE}
KINDS: Final[Mapping[str, Kind]] = {
    "paper shelf": Kind("paper shelf", _CAN, _shelf, SOUND, over_http=False),
    "paper shelf, PINs unread": Kind(
        "paper shelf",
        _CAN - {LibraryCapability.PIN_CHECKED},
        lambda observe: _shelf(observe, checks_pins="false"),
        SOUND,
        over_http=False,
    ),
}
