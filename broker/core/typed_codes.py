"""What people type or paste as a code or a number, without the characters that nobody sees."""

from unicodedata import category

_UNSEEN = "Cf"  # zero-width spaces and joiners, direction marks, soft hyphens
_HYPHENS = dict.fromkeys(
    map(ord, "\u2010\u2011\u2012\u2013\u2212"), "-"
)  # what word processors make of one


def without_invisible(text: str) -> str:
    """Give ``text`` without characters of no width, and without spaces at its ends."""
    return "".join(each for each in text if category(each) != _UNSEEN).strip()


def without_spaces(text: str) -> str:
    """Give ``text`` without spaces and without characters of no width, and with every hyphen a plain one.

    A mail program or a word processor adds them to what is copied from it; nobody can see them to
    take them away.
    """
    return "".join(without_invisible(text).split()).translate(_HYPHENS)
