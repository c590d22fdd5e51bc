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
        key: object = number
        if MOVES in row.affiliation:
            key = (
                row.change.direction,
                row.service,
                row.affiliation,
                row.ages,
                row.days,
                row.offered,
            )
        groups.setdefault(key, []).append(row)
    return list(groups.values())


def line_of(rows: Sequence[Row], vocabulary: Vocabulary) -> str:
    """Return the line of one row, or of several that ``of_moves`` has put together."""
    first = rows[0]
    direction = f"{first.change.direction:<9}"
    service = f"{first.service:<13}"
    texts = "; ".join(row.change.text for row in rows)
    places = list(_places(rows))
    if len(rows) > 1:
        places.insert(0, f"{len(rows)} changes")
    parts = [f"{direction} {service} {first.affiliation}: {texts}"]
    if places:
        listed = ", ".join(places)
        parts.append(f"({listed})")
    parts += filter(None, (first.ages, first.days.in_words()))
    person = words(first.login, vocabulary)
    parts.append(f"e.g. {person}")
    if not first.offered:
        parts.append(_UNOFFERED)
    line = "  ".join(parts)
    return f"  {line}"


def _places(rows: Iterable[Row]) -> Iterator[str]:
    """Yield the lines that make the changes, each file named once."""
    lines: dict[str, set[int]] = {}
    for row in rows:
        place = row.change.place
        if place is None:
            continue
        file = place.file
        if row.change.was:
            file = f"was {file}"
        lines.setdefault(file, set()).add(place.line)
    for file, found in lines.items():
        numbers = map(str, sorted(found))
        listed = ",".join(numbers)
        yield f"{file}:{listed}"
