"""Writes the table of reasons of docs/staff.md from the sentences for staff.

python -m tests.plugins.staff_table
"""

from pathlib import Path
from typing import Final

from broker.core.staff.staff_sentences import CASES, REASONS

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "staff.md"
BEGIN: Final = "python -m tests.plugins.staff_table writes it -->\n"
END: Final = '<a id="after-reasons"></a>'


def table() -> str:
    """Return the reasons with their sentences, as Markdown; the four kinds of cases are first."""
    rows = ["| code | what is the matter | what to do |", "|---|---|---|"]
    for reason, sentence in REASONS.items():
        code = f"**`{reason}`**" if reason in CASES else f"`{reason}`"
        rows.append(f"| {code} | {sentence.situation} | {sentence.action} |")
    return "\n" + "\n".join(rows) + "\n\n"


def read_table() -> str:
    """Return the table in the document."""
    return DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    """Write the table into the document."""
    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(text.replace(BEGIN + read_table(), BEGIN + table()), encoding="utf-8")


if __name__ == "__main__":
    main()
