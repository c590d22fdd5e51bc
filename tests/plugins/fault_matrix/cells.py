"""Every cell of the matrix on the wire: library system, call, fault, store, and whether the process dies of it."""

import os
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import pytest

from tests.plugins.fault_matrix import alma_calls, koha_calls
from tests.plugins.fault_matrix.life import FAULTS
from tests.plugins.fault_matrix.wire import Call

ALMA: Final = "Alma"
KOHA: Final = "Koha"
STORES: Final = ("SQLite", "Redis")
# Set to "all" it lets the test run every cell; the others are chosen for what they cost.
CHOICE: Final = "FAULT_CELLS"

CALLS: Final[Mapping[str, Mapping[str, Call]]] = {ALMA: alma_calls.CALLS, KOHA: koha_calls.CALLS}
# The calls that write, over which the answers of a library system are doubtful.
WRITES: Final = frozenset({"create", "change, PUT"})


class Cell(NamedTuple):
    """One cell; ``dies`` says that the process which waits for the answer is killed."""

    system: str
    call: str
    fault: str
    store: str
    dies: bool

    @property
    def name(self) -> str:
        """Give its name among the tests."""
        return ", ".join([*self[:4], "killed" if self.dies else "alive"])


def cells() -> Iterator[Cell]:
    """Give all."""
    for system, calls in CALLS.items():
        for call in calls:
            for fault in FAULTS:
                for store in STORES:
                    for dies in (False, True):
                        yield Cell(system, call, fault, store, dies)


def chosen() -> Iterator[object]:
    """Give those that run: cheap ones always, more of them in make slow, all where the variable says so."""
    takes_all = os.environ.get(CHOICE) == "all"
    for cell in cells():
        marks = [] if _is_cheap(cell) else [pytest.mark.slow]
        if takes_all or _is_cheap(cell) or _is_worth_it(cell):
            yield pytest.param(cell, id=cell.name, marks=marks)


def _is_cheap(cell: Cell) -> bool:
    return cell.system == ALMA and cell.call in WRITES and cell.store == "SQLite" and not cell.dies


def _is_worth_it(cell: Cell) -> bool:
    """Choose of Alma every call once, its writes in every way; of the others the writes once."""
    is_plain = cell.store == "SQLite" and not cell.dies
    if cell.system == ALMA:
        return is_plain or cell.call in WRITES
    return is_plain and cell.call in WRITES
