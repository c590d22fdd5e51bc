"""The figures of the benchmark: a row is a case, a figure has its budget, and says whether it keeps it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

_NAME_WIDTH: Final = 44


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value, its unit, and the budget where there is one: ``most`` or ``least`` of the same unit."""

    unit: str
    value: float
    most: float | None = None
    least: float | None = None

    @property
    def verdict(self) -> str:
        """Return ``ok`` or ``over``; nothing where there is no budget."""
        if self.most is not None:
            return "ok" if self.value <= self.most else "over"
        if self.least is not None:
            return "ok" if self.value >= self.least else "over"
        return ""

    @property
    def budget(self) -> str:
        """Return the budget in words; nothing where there is none."""
        if self.most is not None:
            return f"<= {self.most:g}"
        if self.least is not None:
            return f">= {self.least:g}"
        return ""

    def __str__(self) -> str:
        text = f"{round_figure(self.value)} {self.unit}"
        if not self.verdict:
            return text
        return f"{text} ({self.budget}: {self.verdict})"


@dataclass(frozen=True, slots=True)
class Row:
    """A case and its figures."""

    name: str
    figures: tuple[Figure, ...]

    def __str__(self) -> str:
        return f"{self.name:{_NAME_WIDTH}} {'  '.join(map(str, self.figures))}"

    def as_json(self) -> dict[str, Any]:
        """Return the row as JSON has it."""
        figures = [
            {"unit": figure.unit, "value": figure.value, "budget": figure.budget, "verdict": figure.verdict}
            for figure in self.figures
        ]
        return {"name": self.name, "figures": figures}


def row(name: str, *figures: Figure) -> Row:
    """Return the row of a case."""
    return Row(name, figures)


def round_figure(value: float) -> str:
    """Return a value with as many digits as a measurement is worth."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


def part(times: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` of the times lie; 0 where there are none."""
    if not times:
        return 0.0
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]
