"""Writes the table of docs/privacy.md from the table in the code.

python -m tests.plugins.privacy_table
"""

from datetime import timedelta
from pathlib import Path
from typing import Final

from broker.core.retention import TABLE

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "privacy.md"
BEGIN: Final = '<a id="table"></a>\n\n'
END: Final = '\n<a id="after-table"></a>'
_HEAD: Final = ("kind", "what it holds", "at most", "from", "why")

_UNITS: Final = (
    ("year", timedelta(days=365)),
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
    ("second", timedelta(seconds=1)),
)


def spell_span(span: timedelta) -> str:
    """Return a span as a whole number of the largest unit that fits: ``30 days``."""
    for unit, length in _UNITS:
        count, rest = divmod(span, length)
        if count and not rest:
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return f"{span.total_seconds():.0f} seconds"


def table() -> str:
    """Return the rows as Markdown."""
    rows = [
        (f"`{row.kind}`", row.holds, row.end_in_words or spell_span(row.lasts or timedelta()), row.since, row.why)
        for row in TABLE
    ]
    lines = [f"| {' | '.join(cells)} |" for cells in (_HEAD, ("---",) * len(_HEAD), *rows)]
    return "\n".join(lines) + "\n"


def read_document() -> str:
    """Return the table in the document."""
    return DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    """Write the table into the document."""
    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(text.replace(BEGIN + read_document(), BEGIN + table()), encoding="utf-8")


if __name__ == "__main__":
    main()
