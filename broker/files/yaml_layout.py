"""The layout of a YAML file: indents of two, single spaces; words and comments as they are."""

from dataclasses import dataclass, field
from typing import Final

from broker.files.strict_yaml import STEP, words

_SPACED: Final = frozenset(",:-")


class UnsettledLayoutError(Exception):
    """A line that no layout is known for; its number is ``line``."""

    def __init__(self, line: int) -> None:
        """Take the line, counted from one."""
        super().__init__(line)
        self.line = line


def laid_out(text: str) -> str:
    """Return one document that ``strict_yaml`` reads in the usual layout, and it says the same.

    Each word is taken over to the letter, and so are comments and empty lines.
    UnsettledLayoutError for a line that is written in no way that people write.
    """
    whole = text.replace("\r\n", "\n").rstrip() + "\n"
    writer = _Writer()
    at = 0
    for word in words(whole):
        writer.between(whole[at : word.start], word.column)
        writer.word(whole[word.start : word.end])
        at = word.end
    writer.between(whole[at:], 0)
    return "\n".join(writer.lines) + "\n"


@dataclass(slots=True)
class _Writer:
    """Writes words, and what stands between them; ``line`` is the one under way.

    ``depth`` counts open brackets, ``shift`` is how far the line moved that the present one
    belongs to, ``columns`` holds where lines above began, by where they did before.
    """

    lines: list[str] = field(default_factory=list)
    line: str = ""
    depth: int = 0
    shift: int = 0
    columns: dict[int, int] = field(default_factory=dict)
    begun: bool = False

    def word(self, text: str) -> None:
        """Write a word; its further lines move with the first."""
        self.begun = True
        first, *others = text.split("\n")
        self.line += first
        for other in others:
            self.lines.append(self.line)
            self.line = _moved(other, self.shift)

    def between(self, text: str, column: int) -> None:
        """Write what stands before a word that gets ``column`` if it begins a line."""
        pieces = text.split("\n")
        if self.begun:
            self._signs(pieces.pop(0))
        if not pieces:
            return
        if self.begun:
            self._end_line()
        *own, beginning = pieces
        dashes = beginning[: _start(beginning)].count("-")
        head = column - STEP * dashes
        for piece in own:
            self._own_line(piece, beginning, head)
            self._end_line()
        self._begin(beginning, head)

    def _end_line(self) -> None:
        self.lines.append(self.line.rstrip(" \t"))
        self.line = ""

    def _signs(self, text: str) -> None:
        """Write indicators with a space behind some, and a comment behind two."""
        signs, mark, comment = text.partition("#")
        for sign in signs.split():
            for each in sign:
                self._sign(each)
        if mark:
            behind = f"{self.line.rstrip(' ')}  " if self.line.strip() else self.line
            self.line = f"{behind}#{comment.rstrip()}"

    def _sign(self, sign: str) -> None:
        if sign == "?":
            raise UnsettledLayoutError(len(self.lines) + 1)
        if sign in "]}":
            self.depth -= 1
            self.line = self.line.rstrip(" ") if self.line.strip() else self.line
        elif sign in "[{":
            self.depth += 1
        self.line += f"{sign} " if sign in _SPACED else sign

    def _own_line(self, text: str, beginning: str, head: int) -> None:
        """Write a line without a word: empty, a comment, or brackets."""
        signs = text.strip()
        if not signs:
            return
        if self.depth:
            self.line = " " * max(0, _indent(text) + self.shift)
        elif signs.startswith("#"):
            self.line = " " * self._comment_column(_indent(text), _indent(beginning), head)
        else:
            raise UnsettledLayoutError(len(self.lines) + 1)
        self._signs(signs)

    def _comment_column(self, before: int, next_before: int, head: int) -> int:
        """Return the column of a comment: that of the lines it stood in line with."""
        known = {**self.columns, next_before: head}
        near = [column for column in known if column <= before]
        return known[max(near)] if near else 0

    def _begin(self, text: str, head: int) -> None:
        """Begin the line of a word."""
        indent = _indent(text)
        if self.depth:
            self.line = " " * max(0, indent + self.shift)
        else:
            self.shift = head - indent
            self.columns = {old: new for old, new in self.columns.items() if old < indent}
            dashes = (at for at, sign in enumerate(text) if sign == "-")
            for number, at in enumerate((*dashes, _start(text))):
                self.columns[at] = head + STEP * number
            self.line = " " * head
        self._signs(text.strip())


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip(" "))


def _start(text: str) -> int:
    """Return where a line goes on behind its indent and its dashes."""
    return len(text) - len(text.lstrip(" -"))


def _moved(text: str, by: int) -> str:
    """Return a line moved to the right, or as far to the left as its indent goes."""
    if not text.strip():
        return text
    return " " * by + text if by >= 0 else text[min(-by, _indent(text)) :]
