"""The letters: the PIN of a new borrower, where to make one, and the code of a mailbox. No personal number in any.

The texts of the letters about a PIN that a borrower asks for or has chosen, each as subject and text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
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


_PIN: Final = {
    "da": LetterText(
        "Din pinkode til {library}",
        """Hej

Du er nu oprettet som låner hos {library}.

Din pinkode er: {pin}

Brug den i selvbetjeningsautomaterne sammen med dit lånerkort. Du kan lave en ny
pinkode på {pin_url}

Får du flere mails som denne, er det pinkoden i den nyeste, der gælder.
Giv aldrig din pinkode til andre. Vi beder dig aldrig om den i en mail.

{questions}Venlig hilsen
{signed}
""",
    ),
    "en": LetterText(
        "Your PIN for {library}",
        """Hello

You are now registered as a borrower at {library}.

Your PIN is: {pin}

Use it in the self-service machines together with your library card. You can make
a new PIN at {pin_url}

If you get more than one mail like this, the PIN in the newest one is in force.
Never give your PIN to anyone. We never ask for it in a mail.

{questions}Kind regards
{signed}
""",
    ),
}

_POINTER: Final = {
    "da": LetterText(
        "Lav din pinkode til {library}",
        """Hej

Du er nu oprettet som låner hos {library}, men vi har ikke kunnet sende dig en
pinkode. Lav selv en på {pin_url}

Har du fået en pinkode i en tidligere mail, og virker den ikke, så lav en ny samme sted.

{questions}Venlig hilsen
{signed}
""",
    ),
    "en": LetterText(
        "Make your PIN for {library}",
        """Hello

You are now registered as a borrower at {library}, but we could not send you a PIN.
Please make one at {pin_url}

If you got a PIN in an earlier mail and it does not work, make a new one there too.

{questions}Kind regards
{signed}
""",
    ),
}

_PROOF: Final = {
    "da": LetterText(
        "Vis, at mailadressen er din: kode fra {library}",
        """Hej

{asker} er ved at logge ind hos {library} og har bedt os sende en kode til denne
mailadresse. Koden viser, at adressen er din.

Koden er: {code}

Skriv koden på den side, hvor du begyndte. Du kan også åbne dette link i samme
browser og bekræfte der:
{link}

Koden og linket gælder i {minutes} minutter og kan bruges én gang. Har du bedt om
mere end én kode, er det kun den nyeste, der gælder.

Er det ikke dig, så se bort fra denne mail, og giv ikke koden til nogen.
Vi beder dig aldrig om koden i en mail eller i telefonen.

{questions}Venlig hilsen
{signed}
""",
    ),
    "en": LetterText(
        "Show that the mail address is yours: code from {library}",
        """Hello

{asker} is logging in at {library} and has asked us to send a code to this mail
address. The code shows that the address is yours.

The code is: {code}

Type it on the page where you began. Or open this link in the same browser and
confirm there:
{link}

Code and link are good for {minutes} minutes and can be used once. If you asked for
more than one code, only the newest one works.

If it was not you, ignore this mail and give the code to nobody.
We never ask for the code in a mail or on the telephone.

{questions}Kind regards
{signed}
""",
    ),
}
_SOMEBODY: Final = {"da": "En person", "en": "Somebody"}
_QUESTIONS: Final = {
    "da": "Spørgsmål? Kontakt {contact}\n\n",
    "en": "Questions? Contact {contact}\n\n",
}
_LIBRARY: Final = {"da": "biblioteket", "en": "the library"}
_LONGEST_NAME: Final = 60


def named(asserted: str) -> str:
    """Give a person's name as it may stand in a letter: one line of letters, hyphens and apostrophes, 60 at most.

    A name is what some upstream says; an address or a number in it would be mailed to a stranger in
    our name.
    """
    words = re.sub(r"[^\w '’-]|[\d_]", " ", asserted).split()
    return " ".join(words)[:_LONGEST_NAME].strip()


@dataclass(frozen=True, slots=True)
class Letters:
    """What every letter says: the library's name, the address of ``/pin``, and whom to ask.

    Without a name it is "the library" in the letter's language; without somebody to ask, no letter
    says to.
    """

    library: str
    pin_url: str
    contact: str

    def pin(self, language: str, pin: str) -> LetterText:
        """Give the letter with a PIN, in Danish unless ``language`` is "en"."""
        return self._filled(_PIN, language, pin=pin)

    def pointer(self, language: str) -> LetterText:
        """Give the letter that says where to make a PIN, in Danish unless ``language`` is "en"."""
        return self._filled(_POINTER, language)

    def proof(self, language: str, *, code: str, link: str, asker: str, minutes: int) -> LetterText:
        """Give the letter with the code and the link that show whose a mailbox is.

        ``asker`` is who says that it is theirs, for the owner of the mailbox to know them or not.
        """
        who = named(asker) or _SOMEBODY["en" if language == "en" else "da"]
        return self._filled(_PROOF, language, code=code, link=link, asker=who, minutes=str(minutes))

    def pin_link(self, language: str, link: str, minutes: int) -> LetterText:
        """Give the letter with the link whose button makes a new PIN."""
        return self._filled(LINK, language, link=link, minutes=str(minutes))

    def new_pin(self, language: str, pin: str) -> LetterText:
        """Give the letter with the PIN that a borrower asked for."""
        return self._filled(RENEWED, language, pin=pin)

    def pin_changed(self, language: str) -> LetterText:
        """Give the letter that says that somebody who was logged in chose a new PIN."""
        return self._filled(CHANGED, language)

    def _filled(self, letters: Mapping[str, LetterText], language: str, **more: str) -> LetterText:
        spoken = "en" if language == "en" else "da"
        subject, text = letters[spoken]
        library = self.library or _LIBRARY[spoken]
        values = {
            "library": library,
            "signed": self.library or library.capitalize(),
            "pin_url": self.pin_url,
            "questions": _QUESTIONS[spoken].format(contact=self.contact) if self.contact else "",
            "asked": self.contact or library,
            **more,
        }
        return LetterText(subject.format(**values), text.format(**values))
