"""The changes between two policy sets, as sentences for people and as rows for programs."""

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any, Final

from broker.core.entities import Text
from broker.core.policy.model import PolicySet
from broker.core.policy_analysis.differences import AT, MOVES, Differences, Direction, Row
from broker.core.policy_analysis.effects import Topic
from broker.core.policy_analysis.persona_words import write_options
from broker.use_cases.policy_trials.trial_text import line_text
from broker.use_cases.policy_trials.wording import WIDTH, list_some, wrap_labelled

_MOST_GROUPS: Final = 10
_MOST_LINES: Final = 20
_MOST_PARTS: Final = 6

Sets = tuple[PolicySet, ...]


def change_sentences(found: Differences, sets: Sets, labels: Mapping[str, Text]) -> Iterator[str]:
    """Yield a sentence for each service and affiliation with a login to try, the widest first.

    Ten sentences, and twenty lines, at most. ``labels`` are those of the services.
    """
    groups: dict[object, list[Row]] = {}
    explained = {(row.service, row.affiliation) for row in found.rows if not _is_move(row)}
    for row in found.rows:
        if _is_move(row) and (row.service, row.affiliation) in explained:
            continue  # another sentence names both affiliations
        key = (row.change.direction, row.service, row.affiliation, row.day)
        groups.setdefault(key, []).append(row)
    printed: list[str] = []
    for number, rows in enumerate(groups.values()):
        more = _sentence(rows, found, sets, labels)
        if number == _MOST_GROUPS or len(printed) + len(more) > _MOST_LINES:
            left = len(groups) - number
            printed.append(f"and {left} more: --all lists each change with its line")
            break
        printed += more
    yield from printed
    yield from _closing(found)


def every_change(found: Differences, sets: Sets) -> Iterator[str]:
    """Yield a line for each change, with the line of the file and a login to try."""
    for row in found.rows:
        change = row.change
        text = _add_values(row)
        was = "was " if change.was else ""
        place = f"  ({was}{change.place})" if change.place else ""
        head = f"{change.direction:<8} {row.service} {row.affiliation}: {text}"
        yield f"{head}{_since(row, found)}{place}  e.g. {_persona(row, found, sets)}"
    yield from _closing(found)


def change_facts(found: Differences, sets: Sets) -> dict[str, Any]:
    """Return the changes for programs."""
    before, after = (policies.digest for policies in sets)
    rows = [
        {
            "direction": row.change.direction,
            "service": row.service,
            "affiliation": row.affiliation,
            "change": row.change.text,
            "values": row.values,
            "line": line_text(row.change.place),
            "was": row.change.was,
            "from": row.day.isoformat() if row.day > found.today else None,
            "persona": _persona(row, found, sets),
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
    }


def _sentence(
    rows: Sequence[Row], found: Differences, sets: Sets, labels: Mapping[str, Text]
) -> list[str]:
    first = rows[0]
    received, lost, parts = [], [], []
    for row in rows:
        text = _add_values(row)
        if row.change.topic is not Topic.RECEIVES:
            parts += [text] if not _is_move(row) else []
        elif text.startswith("+ "):
            received.append(text[2:])
        else:
            lost.append(text[2:])
    between = ": " if parts or not received + lost else " "
    if received:
        parts.append(f"also receives {list_some(received, _MOST_PARTS)}")
    if lost:
        parts.append(f"no longer receives {list_some(lost, _MOST_PARTS)}")
    what = f"{labels[first.service].en}{between}{'; '.join(parts) or 'decided by another file'}"
    text = f"{_people(first.affiliation, sets)}: {what}{_since(first, found)}."
    persona = f"try {_persona(first, found, sets)}"
    return [*wrap_labelled(first.change.direction, text, 0), *wrap_labelled("", persona, 0)]


def _is_move(row: Row) -> bool:
    """Return whether the change is only that another file decides."""
    return row.change.text == row.affiliation.partition(AT)[0]


def _persona(row: Row, found: Differences, sets: Sets) -> str:
    return write_options(row.login, sets, day=row.day if row.day > found.today else None)


def _since(row: Row, found: Differences) -> str:
    return f", from {row.day} on" if row.day > found.today else ""


def _add_values(row: Row) -> str:
    text = row.change.text
    return f"{text} ({list_some(row.values, _MOST_PARTS)})" if row.values else text


def _people(affiliation: str, sets: Sets) -> str:
    """Return the label of an affiliation; of people who move, the labels of both."""
    labels = {
        policy.affiliation: policy.label.en for policies in sets for policy in policies.policies
    }
    moved, _at, institution = affiliation.partition(AT)
    people = MOVES.join(labels.get(name, name) for name in moved.split(MOVES))
    return f"{people} ({institution})" if institution else people


def _closing(found: Differences) -> Iterator[str]:
    if not found.rows:
        yield "no change"
    if found.asked_again:
        again = ", ".join(found.asked_again)
        yield from wrap(f"People who answered before are asked again at {again}.", WIDTH)
    yield f"{found.logins} logins were tried by both sets"
