"""Translates texts outside a web request: mails, SAML descriptors, names of the library."""

import gettext
from pathlib import Path
from typing import Final

from broker.core.entities import Text

FOLDER: Final = Path(__file__).parent
# Read at import, so that a broker without its catalogue does not start.
_DANISH: Final = gettext.translation("messages", FOLDER, ["da"])


def translate(message: str, language: str) -> str:
    """Return ``message`` itself for "en", and its Danish for any other ``language``."""
    if language == "en":
        return message
    return _DANISH.gettext(message)


def make_text(message: str) -> Text:
    """Return ``message`` in both languages."""
    return Text(en=message, da=translate(message, "da"))
