"""Writes the table of docs/privacy.md from the table in the code.

python -m tests.plugins.privacy_table
"""

from pathlib import Path
from typing import Final

from broker.core.retention import TABLE

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "privacy.md"
BEGIN: Final = '<a id="table"></a>\n\n'
END: Final = '\n<a id="after-table"></a>'
_HEAD: Final = ("kind", "what it holds", "at most", "from", "why")


def table() -> str:
    """Return the rows as Markdown."""
    rows = [(f"`{row.kind}`", row.holds, row.for_long, row.since, row.why) for row in TABLE]
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
