"""Writes the figures into docs/performance.md: a table for each case, and the picture of the layers."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from bench.figures import rounded
from bench.layer_figures import REQUESTS, Layers
from bench.layers import LAYERS, SERVER
from bench.picture import Bar, drawn

PICTURE: Final = "login-layers.svg"
_BEGIN: Final = "<!-- figures: written by make bench -->"
_END: Final = "<!-- figures end -->"


def draw(found: Layers, path: Path) -> None:
    """Draw a login's layers, a bar for each request and one for the server."""
    bars = [Bar(name, found.of_requests[name]) for name in REQUESTS]
    bars.append(Bar(SERVER, {SERVER: found.server}))
    title = f"A login: {found.total:.1f} ms of CPU, by request and layer"
    path.write_text(drawn(title, LAYERS, tuple(bars)), encoding="utf-8")


def publish(found: Mapping[str, Any], page: Path) -> None:
    """Put the tables of ``found`` in the place of the page's earlier ones.

    Cases that were not measured keep their tables.
    """
    before, _, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    held, _, after = rest.partition(_END)
    tables = _sections(held) | {case["case"]: "\n".join(_table(case, found["machine"])) for case in found["cases"]}
    written = "\n\n".join(f"### {name}\n\n{text}" for name, text in tables.items())
    page.write_text(f"{before}{_BEGIN}\n\n{written}\n\n{_END}{after}", encoding="utf-8")


def _sections(held: str) -> dict[str, str]:
    """Return the tables that the page holds, by case."""
    sections = {}
    for section in held.split("### ")[1:]:
        name, _, text = section.partition("\n")
        sections[name.strip()] = text.strip()
    return sections


def _table(case: Mapping[str, Any], machine: Mapping[str, str]) -> Iterator[str]:
    caption = case["caption"]
    yield f"{caption[:1].upper()}{caption[1:]}. {machine['cores']}, Python {machine['python']}, {machine['at'][:10]}."
    yield ""
    yield "| case | figures |"
    yield "|---|---|"
    for row in case["rows"]:
        yield f"| {row['name']} | {'; '.join(map(_figure, row['figures']))} |"


def _figure(figure: Mapping[str, Any]) -> str:
    text = f"{rounded(figure['value'])} {figure['unit']}"
    if not figure["verdict"]:
        return text
    return f"{text} ({figure['budget']}: {figure['verdict']})"
