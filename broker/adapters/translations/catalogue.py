"""Translates what is worded outside a web request: letters, descriptors, names of the library."""

import gettext
from pathlib import Path
from typing import Final

from broker.core.entities import Text

FOLDER: Final = Path(__file__).parent
# Read at import: a broker without its catalogue does not start. The first translation must not fail
# between a PIN that is set and the letter that carries it.
_DANISH: Final = gettext.translation("messages", FOLDER, ["da"])


def marked(message: str) -> str:
    """Return ``message`` as it is; imported as ``_``, it marks a constant for pybabel extract."""
    return message


def translate(message: str, language: str) -> str:
    """Return ``message`` itself for "en", and its Danish for any other ``language``."""
    if language == "en":
        return message
    return _DANISH.gettext(message)


def in_both(message: str) -> Text:
    """Return ``message`` in both languages."""
    return Text(en=message, da=translate(message, "da"))
