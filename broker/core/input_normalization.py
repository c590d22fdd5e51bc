"""A code or number as a person types or pastes it, without the characters that nobody sees."""

from unicodedata import category

_UNSEEN = "Cf"  # zero-width spaces and joiners, direction marks, soft hyphens
# What word processors make of a hyphen.
_HYPHENS = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2212"), "-")


def remove_invisible(text: str) -> str:
    """Return ``text`` without characters of no width, and without spaces at its ends."""
    seen = (character for character in text if category(character) != _UNSEEN)
    return "".join(seen).strip()


def remove_spaces(text: str) -> str:
    """Return ``text`` without spaces and characters of no width, every hyphen a plain one.

    A mail program or a word processor adds them to what is copied from it; nobody can see them to
    take them away.
    """
    words = remove_invisible(text).split()
    return "".join(words).translate(_HYPHENS)
