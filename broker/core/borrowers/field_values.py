"""Borrower fields that no spreadsheet takes for a formula and no page for markup.

A library exports its borrowers to spreadsheets: a text that begins with ``=``, ``+``, ``-`` or
``@`` is carried out there, with the rights of the member of staff who opens it. An apostrophe in
front would be part of a name for ever, so what is dangerous is left out.
"""

import re
import unicodedata
from typing import Final

# The characters that begin a formula, also in the full width that some programs read alike.
_BEGINS_FORMULA: Final = "=+-@\uff1d\uff0b\uff0d\uff20"
_MARKUP: Final = str.maketrans("", "", "<>\uff1c\uff1e")
_PHONES: Final = frozenset({"phone", "mobile"})
_PHONE: Final = re.compile(r"\+?[0-9][0-9 ()./-]*")
_EMAIL: Final = "email"


def make_harmless(field: str, value: str) -> str | None:
    """Return ``value`` as it may stand in a borrower field, None where nothing of it may.

    A telephone number keeps its ``+``. A mail address is left whole or left out: without its first
    character it is another person's.
    """
    plain = value.translate(_MARKUP).strip()
    if field == _EMAIL:
        return plain if plain == value.strip() and _is_harmless(plain) else None
    if field in _PHONES and _PHONE.fullmatch(plain):
        return plain
    while plain and not _is_harmless(plain):
        plain = plain[1:]
    return plain or None


def _is_harmless(text: str) -> bool:
    """Return whether a text begins with a character that is seen, and that begins no formula."""
    if not text or text[0] in _BEGINS_FORMULA:
        return False
    return not text[0].isspace() and unicodedata.category(text[0])[0] != "C"
