"""Explain YAML syntax errors in words for the author of the file, not in those of the parser."""

import re
from collections.abc import Sequence
from typing import Final

from broker.core.identity.cpr import looks_like_cpr

# Characters that look like a blank or are invisible. The parser does not read them as blanks.
UNSEEN: Final = re.compile("[\u00a0\u2007\u202f\u3000\u200b\u200c\u200d\u2060\ufeff]")
# Typographic quotes: word processors put them in place of keyboard quotes.
TYPOGRAPHIC: Final = tuple("\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b\u00ab\u00bb")
RETYPE_FIX: Final = "remove it, and type a blank instead"
_MERGE: Final = re.compile(r"(<{7} |={7}$|>{7} )")
_TAB: Final = re.compile(" *\t")
_UNSEEN_INDENT: Final = re.compile(rf"\s*(- |[\w.-]+:|-)?{UNSEEN.pattern}")
_OPENING: Final = re.compile(r"""(?:^|[:,\[{-] *)(['"])""")
_LIST_ITEM: Final = re.compile(r" *-[^ -]")
_QUOTES: Final = "put the text between quotes, as in 'this: one'"
# A part of the parser's message, what it means, and how to fix it; the first match counts.
_PROBLEMS: Final = (
    (
        "could not find expected ':'",
        "a line without key and value",
        "write key: value, with a blank after the colon",
    ),
    ("found unexpected end of stream", "a quote that nothing ends", "end it with the same quote"),
    ("alphabetic or numeric character", "a value that begins with * or &", "put it between quotes"),
    (
        "cannot start any token",
        "a value that begins with a character of YAML's own",
        "put it between quotes",
    ),
    ("unknown escape character", "a \\ between double quotes", "use single quotes"),
    ("comment or line break", "a text that begins with | or >", "put it between quotes"),
    ("mapping values are not allowed", "a colon where none may stand", _QUOTES),
    ("',' or '}'", "a comma or the closing } is missing", f"close what {{ opens, and {_QUOTES}"),
    ("',' or ']'", "a comma or the closing ] is missing", f"close what [ opens, and {_QUOTES}"),
    (
        "'-' indicator",
        "a line that breaks the list above",
        "begin it with a - in line with the other items, or at the left edge",
    ),
    (
        "did not find expected key",
        "a line that is not in line with the keys above",
        "indent it by as many blanks as those, and close each quote and bracket before it",
    ),
)
# The parser reports these errors far below the line to fix, in which a quote or bracket opened.
_BEGUN: Final = ("could not find expected ':'", "unexpected end of stream", "',' or ")


# The line to fix, what is wrong there, and how to fix it.
Slip = tuple[int, str, str]


def find_slip(text: str, problem: str, at: int, begun: int | None) -> Slip:
    """Return the error in a text that the parser refused, with the line to fix.

    ``problem`` is the parser's message. ``at`` is the line where it stopped, ``begun`` the line
    where the unfinished quote, bracket or value began. The result quotes no word of the text,
    because it may be a CPR number.
    """
    lines = text.split("\n")
    where = at
    if begun and any(words in problem for words in _BEGUN):
        where = begun
    # The parser counts the end of a file as one line more.
    where = min(where, len(lines))
    return _find_visible_slip(lines, where) or _explain_problem(problem, where)


def _find_visible_slip(lines: Sequence[str], at: int) -> Slip | None:
    """Return the first known mistake in the lines up to ``at``, where the parser stopped."""
    for number, text in enumerate(lines, 1):
        if _MERGE.match(text):
            what = "a mark of an unfinished merge"
            return number, what, "keep one of the two texts, and remove the marks"
    for number, text in enumerate(lines[:at], 1):
        if _TAB.match(text):
            return number, "a tab before the text", "indent by blanks"
        if _UNSEEN_INDENT.match(text):
            return number, "a space that is no blank", RETYPE_FIX
        if _leaves_quote_open(text):
            fix = "end it in the same line; in a text between '...' a single ' is written ''"
            return number, "a quote that does not end in its line", fix
    return _find_slip_in_line(lines[at - 1], at)


def _find_slip_in_line(text: str, at: int) -> Slip | None:
    if _LIST_ITEM.match(text):
        return at, "a - without a blank after it", "write a blank between the two"
    for opened, closed in ("{}", "[]"):
        if text.count(closed) > text.count(opened):
            what = f"a {closed} that closes nothing"
            return at, what, f"remove it, or open it with {opened}"
    return None


def _leaves_quote_open(text: str) -> bool:
    """Return whether a value begins with a quote that the line does not end."""
    rest = text
    while opening := _OPENING.search(rest):
        if " #" in rest[: opening.start()]:
            return False
        quote = opening[1]
        inside = rest[opening.end() :].replace(quote * 2, "").replace(f"\\{quote}", "")
        end = inside.find(quote)
        if end < 0:
            return True
        rest = inside[end + 1 :]
    return False


def _explain_problem(problem: str, at: int) -> Slip:
    for words, what, fix in _PROBLEMS:
        if words in problem:
            return at, what, fix
    shown = "a fault" if looks_like_cpr(problem) else problem or "a fault"
    return at, shown, ""
