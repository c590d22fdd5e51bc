"""Texts of the mails. docs/texts.md describes how to change a text."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from broker.adapters.translations.catalogue import translate
from broker.core.entities import Text
from broker.core.mail.mail_contents import (
    ChangedPinMail,
    ClaimCodeMail,
    ConnectedAccountMail,
    LoginCodeMail,
    MailboxCodeMail,
    MailContent,
    MailText,
    PinLinkMail,
    WelcomeMail,
    sanitize_name,
)
from broker.core.marked_text import mark as _

# Texts may also use library, signed, pin_url, questions and asked.
MAIL_TEXTS: Final[Mapping[type[MailContent], MailText]] = {
    MailboxCodeMail: MailText(
        subject=_("Show that the email address is yours: code from %(library)s"),
        text=_(
            """Hello

%(claimant)s is logging in at %(library)s and has asked us to send a code to this email
address. The code shows that the address is yours.

The code is: %(code)s

Type it on the page where you began. It works once, for 30 minutes.

If it was not you, ignore this email and do not give the code to anybody.
We never ask for the code in an email or on the telephone.

%(questions)sKind regards
%(signed)s
"""
        ),
    ),
    ClaimCodeMail: MailText(
        subject=_("Connect your account at %(library)s: your code"),
        text=_(
            """Hello

%(claimant)s has logged in at %(library)s and says that the library account with this email
address is theirs. With the code the account is connected to that login.

The code is: %(code)s

If it was you, write the code on the page where you asked for it. It works for
30 minutes, in that browser only.

If it was not you, ignore this email and do not give the code to anybody: it gives access to
your account. We never ask for it in an email or on the telephone.

%(questions)sKind regards
%(signed)s
"""
        ),
    ),
    LoginCodeMail: MailText(
        subject=_("Your code to log in at %(library)s"),
        text=_(
            """Hello

Your number and your PIN have just been used to log in with your library account at
%(library)s.
When: %(asked_at)s
From where: %(asked_from)s

The code is: %(code)s

If it was you, write the code on the page where you wrote your number. It works for
30 minutes, in that browser only.

If it was not you, somebody knows your PIN. Choose a new one at once at %(pin_url)s
and contact %(asked)s
Do not give the code to anybody. We never ask for it in an email or on the telephone.

Kind regards
%(signed)s
"""
        ),
    ),
    PinLinkMail: MailText(
        subject=_("Choose a new PIN for %(library)s"),
        text=_(
            """Hello

Somebody has asked for a new PIN for your library account at %(library)s.
When: %(asked_at)s

Open this link to choose the PIN:
%(link)s

The link works for 24 hours. Your old PIN works until you have chosen a new one.

If you did not ask for this, you do not need to do anything: your PIN stays as it is.

%(questions)sKind regards
%(signed)s
"""
        ),
    ),
    WelcomeMail: MailText(
        subject=_("Welcome to %(library)s"),
        text=_(
            """Hello

You now have a library account at %(library)s.

You log in with your CPR number and a PIN of four digits. You also use the PIN at the
self-service machines. If you have not yet chosen your PIN, open this link:
%(link)s

The link works for seven days. After that you get a new one at %(pin_url)s

%(questions)sKind regards
%(signed)s
"""
        ),
    ),
    ChangedPinMail: MailText(
        subject=_("Your PIN for %(library)s has been chosen"),
        text=_(
            """Hello

A PIN has just been chosen for your library account at %(library)s. If it was you,
there is nothing to do.

If it was not you, choose a new PIN at once at %(pin_url)s and contact %(asked)s

Kind regards
%(signed)s
"""
        ),
    ),
    ConnectedAccountMail: MailText(
        subject=_("Your account at %(library)s is now connected to a login"),
        text=_(
            """Hello

Somebody has logged in with the CPR number and the name that are in your library
account at %(library)s. From now on that login leads to your account.

If it was you, there is nothing to do.

If it was not you, contact %(asked)s

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
class LibraryMailTexts:
    """The mail texts of a library (the port ``MailTexts``).

    ``pin_url`` is the address of ``/pin``. Without a name of the ``library`` a mail says "the
    library"; without a ``contact`` it names only the library as contact.
    """

    library: Text | None
    pin_url: str
    contact: str

    def render(self, mail: MailContent, language: str) -> MailText:
        """Return the text of ``mail``, in Danish unless ``language`` is "en"."""
        library = self.library[language] if self.library else translate(_LIBRARY, language)
        signed = library if self.library else library.capitalize()
        questions = translate(_QUESTIONS, language) % {"contact": self.contact}
        values = {
            "library": library,
            "signed": signed,
            "pin_url": self.pin_url,
            "questions": questions if self.contact else "",
            "asked": self.contact or library,
            **asdict(mail),
        }
        if isinstance(mail, MailboxCodeMail | ClaimCodeMail):
            values["claimant"] = sanitize_name(mail.claimant) or translate(_SOMEBODY, language)
        subject, text = (translate(part, language) % values for part in MAIL_TEXTS[type(mail)])
        return MailText(subject, text)
