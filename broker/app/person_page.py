"""The page that a person is given about themselves: one self-contained file, or plain text."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

Report = Mapping[str, Any]

_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: 0 0 1rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border: 1px solid #767676; }
td { overflow-wrap: anywhere; }
@media (max-width: 40rem) { table, tbody, tr, th, td { display: block; } thead { display: none; } }
"""
_TITLE: Final = "What the library's login service keeps about you"
_NOTHING: Final = "Nothing."
# The parts of the report that are lists, each with the words above it.
_PARTS: Final = {
    "kept": "What is kept now, why and for how long",
    "unread": "What could not be read",
    "counted": "What is counted",
    "recipients": "Who has been sent something",
    "refusals": "What a program has refused",
    "events": "What happened, as the audit trail of this machine has it",
    "sources": "Where it comes from",
    "not_covered": "What is kept elsewhere, and is not shown here",
    "rights": "Your rights",
}


def as_html(report: Report) -> str:
    """Return the report as one file of HTML that needs no other."""
    head = f"<title>{_TITLE}</title><style>{_STYLE}</style>"
    viewport = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    parts = "".join(_part(words, report[name]) for name, words in _PARTS.items())
    begins = escape(_begins(report))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{viewport}{head}</head>'
        f"<body><main><h1>{_TITLE}</h1><p>{begins}</p>{parts}</main></body></html>\n"
    )


def as_text(report: Report) -> str:
    """Return the report as lines of text."""
    return "\n".join(_lines(report)) + "\n"


def _begins(report: Report) -> str:
    library = report["controller"]
    whom = ", ".join(str(each) for each in library.values() if each)
    return f"Made {report['made']} at {report['broker']}. Responsible: {whom}."


def _lines(report: Report) -> Iterator[str]:
    yield _TITLE
    yield _begins(report)
    for name, words in _PARTS.items():
        yield ""
        yield words
        for entry in report[name]:
            facts = entry.items() if isinstance(entry, Mapping) else [("", entry)]
            yield "- " + "; ".join(_fact(*each) for each in facts)
        if not report[name]:
            yield _NOTHING


def _fact(name: str, value: object) -> str:
    said = _said(value)
    return f"{_words(name)}: {said}" if name else said


def _words(name: str) -> str:
    return name.replace("_", " ")


def _said(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _part(words: str, entries: list[Any]) -> str:
    shown = "".join(_entry(entry) for entry in entries) or f"<p>{_NOTHING}</p>"
    return f"<section><h2>{escape(words)}</h2>{shown}</section>"


def _entry(entry: object) -> str:
    if not isinstance(entry, Mapping):
        return f"<p>{escape(_said(entry))}</p>"
    rows = "".join(
        f'<tr><th scope="row">{escape(_words(name))}</th><td>{escape(_said(value))}</td></tr>'
        for name, value in entry.items()
    )
    return f"<table><tbody>{rows}</tbody></table>"
