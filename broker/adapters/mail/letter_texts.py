"""What the letters say, one entry a letter; docs/texts.md says how a text is changed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from broker.adapters.translations.catalogue import marked as _
from broker.adapters.translations.catalogue import translate
from broker.core.entities import Text
from broker.core.letters import (
    AccountCodeLetter,
    ChangedPinLetter,
    DoubtfulPinLetter,
    LetterContent,
    LetterText,
    MailboxCodeLetter,
    PinLetter,
    PinPointerLetter,
    RenewedPinLetter,
    named,
)

# Every text may also name library, signed, pin_url, questions and asked.
LETTERS: Final[Mapping[type[LetterContent], LetterText]] = {
    PinLetter: LetterText(
        subject=_("Your PIN for %(library)s"),
        text=_(
            """Hello

You are now registered as a borrower at %(library)s.

Your PIN is: %(pin)s

Use it in the self-service machines together with your library card. You can make
a new PIN at %(pin_url)s

If you get more than one mail like this, the PIN in the newest one is in force.
Never give your PIN to anyone. We never ask for it in a mail.

%(questions)sKind regards
%(signed)s
"""
        ),
    ),
    PinPointerLetter: LetterText(
        subject=_("Make your PIN for %(library)s"),
        text=_(
            """Hello

You are now registered as a borrower at %(library)s, but we could not send you a PIN.
Please make one at %(pin_url)s

If you got a PIN in an earlier mail and it does not work, make a new one there too.

%(questions)sKind regards
%(signed)s
"""
        ),
    ),
    MailboxCodeLetter: LetterText(
        subject=_("Show that the mail address is yours: code from %(library)s"),
        text=_(
            """Hello

%(asker)s is logging in at %(library)s and has asked us to send a code to this mail
address. The code shows that the address is yours.

The code is: %(code)s

Type it on the page where you began. It works for %(minutes)s minutes, and once.

If it was not you, ignore this mail and give the code to nobody.
We never ask for the code in a mail or on the telephone.

%(questions)sKind regards
%(signed)s
"""
        ),
    ),
    AccountCodeLetter: LetterText(
        subject=_("Your code for your library account at %(library)s"),
        text=_(
            """Hello

Somebody wrote your number on our pages to log in with your library account at
%(library)s or to get a new PIN.
When: %(asked_at)s
From where: %(asked_from)s

Your code is: %(code)s

If it was you, write the code on the page where you wrote your number. Or open this
link in the same browser:
%(link)s

With the code you can log in with your PIN, or get a new PIN if you have forgotten it.
Until you get a new one, your PIN works as before. The code is good for 24 hours after
our first mail with it. In that time we send it three times at most.

If it was not you, you need do nothing: without this mail nobody gets any further.
Give the code to nobody. We never ask for it in a mail or on the telephone.

%(questions)sKind regards
%(signed)s
"""
        ),
    ),
    RenewedPinLetter: LetterText(
        subject=_("Your new PIN for %(library)s"),
        text=_(
            """Hello

The new PIN for your library account at %(library)s is: %(pin)s

Your old PIN no longer works. If you get more than one mail like this, the PIN in
the newest one is in force. Never give your PIN to anyone. We never ask for it in a
mail.

If you did not ask for a new PIN, contact %(asked)s

Kind regards
%(signed)s
"""
        ),
    ),
    ChangedPinLetter: LetterText(
        subject=_("Your PIN for %(library)s has been changed"),
        text=_(
            """Hello

The PIN for your library account at %(library)s has just been changed by somebody who
was logged in as you. If that was you, there is nothing to do.

If it was not you, get a new PIN at once at %(pin_url)s and contact %(asked)s

Kind regards
%(signed)s
"""
        ),
    ),
    DoubtfulPinLetter: LetterText(
        subject=_("Your PIN for %(library)s may have been changed"),
        text=_(
            """Hello

There was to be a new PIN for your library account at %(library)s. The library system
did not answer in time, and now it refuses the PIN. We cannot find out whether your
old PIN is still in force.

If it does not work, make a new one at %(pin_url)s
If that fails too, contact %(asked)s

Kind regards
%(signed)s
"""
        ),
    ),
}
_SOMEBODY: Final = _("Somebody")
_LIBRARY: Final = _("the library")
_QUESTIONS: Final = _("Questions? Contact %(contact)s\n\n")


@dataclass(frozen=True, slots=True)
class LetterTexts:
    """Words the letters of one library (the port ``LetterWording``).

    ``pin_url`` is the address of ``/pin``. Without a name of the ``library`` a letter says "the
    library" in its own language; without a ``contact`` no letter asks the reader to contact anybody
    but the library.
    """

    library: Text | None
    pin_url: str
    contact: str

    def worded(self, letter: LetterContent, language: str) -> LetterText:
        """Return the text of ``letter``, in Danish unless ``language`` is "en"."""
        subject, text = LETTERS[type(letter)]
        values = self._values(letter, language)
        return LetterText(
            subject=translate(subject, language) % values, text=translate(text, language) % values
        )

    def _values(self, letter: LetterContent, language: str) -> Mapping[str, object]:
        library = self.library[language] if self.library else translate(_LIBRARY, language)
        signed = library if self.library else library.capitalize()
        values = {
            "library": library,
            "signed": signed,
            "pin_url": self.pin_url,
            "questions": self._questions(language),
            "asked": self.contact or library,
            **asdict(letter),
        }
        if isinstance(letter, MailboxCodeLetter):
            values["asker"] = named(letter.asker) or translate(_SOMEBODY, language)
        return values

    def _questions(self, language: str) -> str:
        if not self.contact:
            return ""
        return translate(_QUESTIONS, language) % {"contact": self.contact}
