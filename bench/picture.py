"""Draws the layers of a login as stacked bars, a request below another, in SVG."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Final

_WIDTH: Final = 860
_LEFT: Final = 96
_TOP: Final = 64
_BAR: Final = 34
_BETWEEN: Final = 20
_LEGEND_ROW: Final = 22
_LEGEND_COLUMNS: Final = 3
_SCALE_STEPS: Final = 5
_NARROWEST: Final = 34.0  # a block that has room for its number
# Told apart in print and by most eyes: hue and lightness change from each to the next.
_COLOURS: Final = (
    "#4e79a7", "#a0cbe8", "#f28e2b", "#ffbe7d", "#59a14f", "#8cd17d", "#b6992d", "#f1ce63", "#499894",
    "#86bcb6", "#e15759", "#ff9d9a", "#79706e", "#bab0ac", "#d37295", "#fabfd2", "#b07aa1", "#d4a6c8",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar: its name, and its milliseconds by layer."""

    name: str
    layers: Mapping[str, float]

    @property
    def total(self) -> float:
        """Return the milliseconds of the bar."""
        return sum(self.layers.values())


def draw_picture(title: str, layers: tuple[str, ...], bars: tuple[Bar, ...]) -> str:
    """Return the SVG of the bars, whose blocks stand in the order of ``layers``."""
    per_ms = (_WIDTH - _LEFT - 90) / max(bar.total for bar in bars)
    bottom = _TOP + len(bars) * (_BAR + _BETWEEN)
    rows = -(-len(layers) // _LEGEND_COLUMNS)
    height = bottom + 40 + rows * _LEGEND_ROW
    colours = dict(zip(layers, _COLOURS, strict=False))
    drawing = f'viewBox="0 0 {_WIDTH} {height}" role="img" font-family="sans-serif" font-size="13"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {drawing}>',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="28" font-size="16">{escape(title)}</text>',
        *_scale(per_ms, bottom, max(bar.total for bar in bars)),
    ]
    for number, bar in enumerate(bars):
        parts += _bar(bar, colours, per_ms, _TOP + number * (_BAR + _BETWEEN))
    parts += _legend(colours, bottom + 24, _sums(bars))
    return "\n".join([*parts, "</svg>\n"])


def _sums(bars: tuple[Bar, ...]) -> dict[str, float]:
    """Return the milliseconds of each layer over all bars."""
    sums: dict[str, float] = {}
    for bar in bars:
        for layer, spent in bar.layers.items():
            sums[layer] = sums.get(layer, 0.0) + spent
    return sums


def _scale(per_ms: float, bottom: int, longest: float) -> Iterator[str]:
    step = max(0.5, round(longest / _SCALE_STEPS * 2) / 2)
    at = 0.0
    while at <= longest:
        x = _LEFT + at * per_ms
        yield f'<line x1="{x:.1f}" y1="{_TOP - 10}" x2="{x:.1f}" y2="{bottom - 8}" stroke="#dddddd"/>'
        yield f'<text x="{x:.1f}" y="{_TOP - 14}" text-anchor="middle" fill="#555555">{at:g} ms</text>'
        at += step


def _bar(bar: Bar, colours: Mapping[str, str], per_ms: float, top: int) -> Iterator[str]:
    yield f'<text x="{_LEFT - 8}" y="{top + 22}" text-anchor="end">{escape(bar.name)}</text>'
    x = float(_LEFT)
    for layer, colour in colours.items():
        spent = bar.layers.get(layer, 0.0)
        width = spent * per_ms
        shape = f'<rect x="{x:.1f}" y="{top}" width="{width:.1f}" height="{_BAR}" fill="{colour}">'
        yield f"{shape}<title>{escape(layer)} {spent:.2f} ms</title></rect>"
        if width >= _NARROWEST:
            yield f'<text x="{x + width / 2:.1f}" y="{top + 22}" text-anchor="middle" font-size="11">{spent:.2f}</text>'
        x += width
    yield f'<text x="{x + 8:.1f}" y="{top + 22}">{bar.total:.2f} ms</text>'


def _legend(colours: Mapping[str, str], top: int, sums: Mapping[str, float]) -> Iterator[str]:
    column = (_WIDTH - 32) // _LEGEND_COLUMNS
    for number, (layer, colour) in enumerate(colours.items()):
        x = 16 + number % _LEGEND_COLUMNS * column
        y = top + number // _LEGEND_COLUMNS * _LEGEND_ROW
        yield f'<rect x="{x}" y="{y}" width="14" height="14" fill="{colour}"/>'
        yield f'<text x="{x + 20}" y="{y + 12}">{escape(layer)} {sums.get(layer, 0.0):.2f} ms</text>'
