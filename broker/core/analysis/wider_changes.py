"""What a comparison of two sets says that lets more through, in sentences."""

from collections.abc import Iterator
from typing import Final

from broker.core.analysis.set_differences import Difference

_WIDER: Final = "WIDER"


def wider(found: Difference, incomplete: tuple[str, ...]) -> tuple[str, ...]:
    """Return what gets wider, a sentence each, and what was too much to compare."""
    return tuple(_wider(found, incomplete))


def _wider(found: Difference, incomplete: tuple[str, ...]) -> Iterator[str]:
    for row in found.rows:
        change = row.change
        if change.direction.name != _WIDER:
            continue
        sentence = f"WIDER at {row.service}, {row.affiliation}: {change.text}"
        if change.place:
            sentence += f" ({change.place})"
        yield sentence
    for name in incomplete:
        yield f"at {name} too many alternatives come together to be compared"
