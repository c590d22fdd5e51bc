"""The lines that tell how two policy sets differ: one for all that a move changes."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from broker.core.analysis.outcome_changes import MOVES
from broker.core.analysis.personas import words
from broker.core.analysis.set_differences import Row
from broker.core.analysis.source_kinds import Vocabulary

SUMMED_UP: Final = "a line with several changes is of one move: --all lists each, with a person"
_UNOFFERED: Final = "(only by an address that no page has)"


def of_moves(rows: Iterable[Row]) -> list[list[Row]]:
    """Return the rows; of people who move those of one direction at one service together.

    Rows about other ages, other days, or what no page offers stand apart.
    """
    groups: dict[object, list[Row]] = {}
    for number, row in enumerate(rows):
        moves = MOVES in row.affiliation
        alike = (row.change.direction, row.service, row.affiliation)
        about = (row.ages, row.days, row.offered)
        key: object = (*alike, *about) if moves else number
        groups.setdefault(key, []).append(row)
    return list(groups.values())


def line_of(rows: Sequence[Row], vocabulary: Vocabulary) -> str:
    """Return the line of one row, or of several that ``of_moves`` has put together."""
    first = rows[0]
    texts = "; ".join(row.change.text for row in rows)
    head = f"  {first.change.direction:<9} {first.service:<13} {first.affiliation}: {texts}"
    said = list(_places(rows))
    if len(rows) > 1:
        said.insert(0, f"{len(rows)} changes")
    where = f"  ({', '.join(said)})" if said else ""
    about = "".join(f"  {each}" for each in (first.ages, first.days.in_words()) if each)
    aside = "" if first.offered else f"  {_UNOFFERED}"
    return f"{head}{where}{about}  e.g. {words(first.login, vocabulary)}{aside}"


def _places(rows: Iterable[Row]) -> Iterator[str]:
    """Yield the lines that make the changes, each file named once."""
    lines: dict[str, dict[int, None]] = {}
    for row in rows:
        place = row.change.place
        if place is not None:
            was = "was " if row.change.was else ""
            lines.setdefault(f"{was}{place.file}", {})[place.line] = None
    for file, found in lines.items():
        yield f"{file}:{','.join(map(str, sorted(found)))}"
