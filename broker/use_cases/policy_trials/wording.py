"""Sentences about decisions, in the language of the reader."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Final

from broker.core.marked_text import mark as _

WIDTH: Final = 120
_LABEL_WIDTH: Final = 8


def list_some(parts: Sequence[str], most: int) -> str:
    """Return the first ``most`` parts, and how many more there are."""
    more = len(parts) - most
    return ", ".join(parts[:most]) + (f" and {more} more" if more > 0 else "")


def escape_unprintable(text: str) -> str:
    """Return ``text`` with every character escaped that a terminal would act on or not show."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def _leave_english(message: str, _language: str) -> str:
    return message


@dataclass(frozen=True, slots=True)
class Wording:
    """Makes sentences in one language; ``translate`` takes a message and the language."""

    language: str = "en"
    translate: Callable[[str, str], str] = _leave_english

    def say(self, message: str, /, **filled: object) -> str:
        """Return a message of the catalogue with its places filled."""
        return self.translate(message, self.language) % filled

    def refusal(self, reason: str, place: object) -> str:
        """Return a refusal with its line."""
        line = f", {place}" if place else ""
        return self.say(_("refused: %(reason)s"), reason=f"{reason}{line}")


def wrap_labelled(label: str, text: str, indent: int = 2) -> Iterator[str]:
    """Yield ``text`` behind ``label``, on lines of 120 characters."""
    head = f"{' ' * indent}{label:<{_LABEL_WIDTH}}  "
    yield from wrap(
        text,
        WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )
