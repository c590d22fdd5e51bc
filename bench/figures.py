"""Percentiles of measured seconds."""

from collections.abc import Sequence


def part(times: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` of the times lie; 0 where there are none."""
    if not times:
        return 0.0
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]
