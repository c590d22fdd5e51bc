"""The texts of the letters about a PIN that a borrower asks for or has chosen, each as subject and text."""

from collections.abc import Mapping
from typing import Final, NamedTuple


class LetterText(NamedTuple):
    """A subject line and a plain text."""

    subject: str
    text: str


LINK: Final[Mapping[str, LetterText]] = {
    "da": LetterText(
        "Få en ny pinkode til {library}",
        """Hej

Du eller en anden har bedt om en ny pinkode til din lånerkonto hos {library}.
Åbn linket, og tryk på knappen på siden. Så laver vi en ny pinkode og sender den
til denne mailadresse:
{link}

Linket gælder i {minutes} minutter og kan bruges én gang. Din nuværende pinkode
gælder, indtil du trykker på knappen.

Har du ikke bedt om en ny pinkode, så se bort fra denne mail. Der sker ikke noget.

{questions}Venlig hilsen
{signed}
""",
    ),
    "en": LetterText(
        "Get a new PIN for {library}",
        """Hello

You, or somebody else, asked for a new PIN for your library account at {library}.
Open the link and press the button on the page. Then we make a new PIN and mail it
to this address:
{link}

The link is good for {minutes} minutes and can be used once. The PIN you have works
until you press the button.

If you did not ask for a new PIN, ignore this mail. Nothing happens.

{questions}Kind regards
{signed}
""",
    ),
}

RENEWED: Final[Mapping[str, LetterText]] = {
    "da": LetterText(
        "Din nye pinkode til {library}",
        """Hej

Din nye pinkode til din lånerkonto hos {library} er: {pin}

Den gamle pinkode virker ikke længere. Får du flere mails som denne, er det pinkoden
i den nyeste, der gælder. Giv aldrig din pinkode til andre. Vi beder dig aldrig om
den i en mail.

Har du ikke selv bedt om en ny pinkode, så kontakt {asked}

Venlig hilsen
{signed}
""",
    ),
    "en": LetterText(
        "Your new PIN for {library}",
        """Hello

The new PIN for your library account at {library} is: {pin}

Your old PIN no longer works. If you get more than one mail like this, the PIN in
the newest one is in force. Never give your PIN to anyone. We never ask for it in a
mail.

If you did not ask for a new PIN, contact {asked}

Kind regards
{signed}
""",
    ),
}

CHANGED: Final[Mapping[str, LetterText]] = {
    "da": LetterText(
        "Din pinkode til {library} er ændret",
        """Hej

Pinkoden til din lånerkonto hos {library} er lige blevet ændret af en, der var logget
ind som dig. Var det dig selv, skal du ikke gøre noget.

Var det ikke dig, så få straks en ny pinkode på {pin_url}, og kontakt {asked}

Venlig hilsen
{signed}
""",
    ),
    "en": LetterText(
        "Your PIN for {library} has been changed",
        """Hello

The PIN for your library account at {library} has just been changed by somebody who
was logged in as you. If that was you, there is nothing to do.

If it was not you, get a new PIN at once at {pin_url} and contact {asked}

Kind regards
{signed}
""",
    ),
}
