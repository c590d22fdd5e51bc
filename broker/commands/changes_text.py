"""The changes between two policy sets in sentences for people, in lines, and for programs."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from broker.core.policy.model import PolicySet
from broker.core.policy_analysis.changes import MOVES, Change, Direction
from broker.core.policy_analysis.differences import Differences, Row
from broker.core.policy_analysis.persona_words import example_login, words

_MOST_LINES: Final = 10
_MOST_PARTS: Final = 6
_NOT_TRIED: Final = "--all lists each change with its line"

Sets = tuple[PolicySet, ...]


def sentences(found: Differences, sets: Sets) -> Iterator[str]:
    """Yield a sentence for each service and affiliation, the widest first: ten lines at most."""
    groups = list(_groups(found.rows))
    for rows in groups[:_MOST_LINES]:
        yield _sentence(rows, found, sets)
    if len(groups) > _MOST_LINES:
        yield f"and {len(groups) - _MOST_LINES} more: {_NOT_TRIED}"
    yield from _closing(found)


def every_line(found: Differences, sets: Sets) -> Iterator[str]:
    """Yield a line for each change, with the line of the file and a persona."""
    for row in found.rows:
        persona = words(row.login, sets)
        text = _with_values(row.change.text, row.values)
        place = f"  ({_place(row.change)})" if row.change.place else ""
        head = f"{row.change.direction:<8} {row.service} {row.affiliation}: {text}"
        yield f"{head}{_day(row, found)}{place}  e.g. {persona}"
    yield from _closing(found)


def facts_of(found: Differences, sets: Sets) -> dict[str, Any]:
    """Return the changes for programs."""
    before, after = (policies.digest for policies in sets)
    rows = [
        {
            "direction": row.change.direction,
            "service": row.service,
            "affiliation": row.affiliation,
            "change": row.change.text,
            "values": row.values,
            "line": str(row.change.place) if row.change.place else None,
            "was": row.change.was,
            "from": row.day.isoformat() if row.day > found.today else None,
            "persona": words(row.login, sets),
            "login": example_login(row.login),
        }
        for row in found.rows
    ]
    return {
        "before": before,
        "after": after,
        "rows": rows,
        "wider": any(row.change.direction is Direction.WIDER for row in found.rows),
        "asked_again": found.asked_again,
        "logins": found.logins,
        "incomplete": found.incomplete,
    }


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield the rows of one direction at one service together; of people who move, all of them."""
    groups: dict[object, list[Row]] = {}
    for row in rows:
        key = (row.change.direction, row.service, row.affiliation, row.day)
        groups.setdefault(key, []).append(row)
    yield from groups.values()


def _sentence(rows: Sequence[Row], found: Differences, sets: Sets) -> str:
    first = rows[0]
    received = [_attribute(row) for row in rows if row.change.text.startswith("+ ")]
    lost = [_attribute(row) for row in rows if row.change.text.startswith("- ")]
    others = [row.change.text for row in rows if not row.change.text.startswith(("+ ", "- "))]
    parts = [each for each in others if each != first.affiliation]
    if received:
        parts.append(f"also gets {_listed(received)}")
    if lost:
        parts.append(f"no longer gets {_listed(lost)}")
    who = _who(first.affiliation, sets)
    what = "; ".join(parts) or "decided by another file"
    head = f"{first.change.direction:<8} {who}: {first.service}: {what}"
    return f"{head}{_day(first, found)}. E.g. {words(first.login, sets)}"


def _day(row: Row, found: Differences) -> str:
    return f", from {row.day} on" if row.day > found.today else ""


def _attribute(row: Row) -> str:
    return _with_values(row.change.text[2:], row.values)


def _with_values(text: str, values: Sequence[str]) -> str:
    return f"{text} ({_listed(values)})" if values else text


def _listed(parts: Sequence[str]) -> str:
    shown = ", ".join(parts[:_MOST_PARTS])
    more = len(parts) - _MOST_PARTS
    return f"{shown} and {more} more" if more > 0 else shown


def _who(affiliation: str, sets: Sets) -> str:
    """Return the label of the people; of people who move, both."""
    labels = {
        policy.affiliation: policy.label.en for policies in sets for policy in policies.policies
    }
    return MOVES.join(labels.get(name, name) for name in affiliation.split(MOVES))


def _place(change: Change) -> str:
    return f"was {change.place}" if change.was else str(change.place)


def _closing(found: Differences) -> Iterator[str]:
    if not found.rows:
        yield "no change"
    if found.asked_again:
        yield f"People who answered before are asked again at {', '.join(found.asked_again)}."
    yield f"{found.logins} logins were tried by both sets"
