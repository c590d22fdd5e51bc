"""The two letters a new borrower may get: the PIN, or where to make one. No personal number is ever in them."""

from dataclasses import dataclass
from typing import Final, NamedTuple


class Message(NamedTuple):
    """A subject line and a plain text."""

    subject: str
    text: str


_PIN: Final = {
    "da": Message(
        "Din pinkode til {library}",
        """Hej

Du er nu oprettet som låner hos {library}.

Din pinkode er: {pin}

Brug den i selvbetjeningsautomaterne sammen med dit lånerkort. Du kan lave en ny
pinkode på {pin_url}

Får du flere mails som denne, er det pinkoden i den nyeste, der gælder.
Giv aldrig din pinkode til andre. Vi beder dig aldrig om den i en mail.

Spørgsmål? Kontakt {contact}

Venlig hilsen
{library}
""",
    ),
    "en": Message(
        "Your PIN for {library}",
        """Hello

You are now registered as a borrower at {library}.

Your PIN is: {pin}

Use it in the self-service machines together with your library card. You can make
a new PIN at {pin_url}

If you get more than one mail like this, the PIN in the newest one is in force.
Never give your PIN to anyone. We never ask for it in a mail.

Questions? Contact {contact}

Kind regards
{library}
""",
    ),
}

_POINTER: Final = {
    "da": Message(
        "Lav din pinkode til {library}",
        """Hej

Du er nu oprettet som låner hos {library}, men vi har ikke kunnet sende dig en
pinkode. Lav selv en på {pin_url}

Har du fået en pinkode i en tidligere mail, og virker den ikke, så lav en ny samme sted.

Spørgsmål? Kontakt {contact}

Venlig hilsen
{library}
""",
    ),
    "en": Message(
        "Make your PIN for {library}",
        """Hello

You are now registered as a borrower at {library}, but we could not send you a PIN.
Please make one at {pin_url}

If you got a PIN in an earlier mail and it does not work, make a new one there too.

Questions? Contact {contact}

Kind regards
{library}
""",
    ),
}


@dataclass(frozen=True, slots=True)
class Letters:
    """What every letter says: the library's name, the address of ``/pin``, and whom to ask."""

    library: str
    pin_url: str
    contact: str

    def pin(self, language: str, pin: str) -> Message:
        """Give the letter with a PIN, in Danish unless ``language`` is "en"."""
        return self._filled(_PIN, language, pin)

    def pointer(self, language: str) -> Message:
        """Give the letter that says where to make a PIN, in Danish unless ``language`` is "en"."""
        return self._filled(_POINTER, language, "")

    def _filled(self, letters: dict[str, Message], language: str, pin: str) -> Message:
        subject, text = letters["en" if language == "en" else "da"]
        values = {"library": self.library, "pin_url": self.pin_url, "contact": self.contact, "pin": pin}
        return Message(subject.format(**values), text.format(**values))
