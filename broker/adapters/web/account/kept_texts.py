"""What people read of each kind of record that is kept about them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString


@dataclass(frozen=True, slots=True)
class KeptText:
    """The name of a kind, and what is kept of it and why, in the language of the page."""

    title: LazyString
    why: LazyString


# By the kinds of broker/core/retention/table.py that hold anything of a person's; what is counted
# and what happened are told beside them.
KEPT_TEXTS: Final[Mapping[str, KeptText]] = {
    "transaction": KeptText(
        _("Logins under way"),
        _("What your university or national eID said about you, until the login is over."),
    ),
    "arrival": KeptText(
        _("Answers on their way"),
        _("That an answer about you has come, so that nobody can use it once more."),
    ),
    "session": KeptText(
        _("Services you are logged in to"),
        _("Which service got which number for you, so that you can be logged out there."),
    ),
    "logout": KeptText(_("Logouts under way"), _("Which services you are being logged out of.")),
    "person": KeptText(
        _("Your library account"),
        _(
            "Your borrower number, what has been asked of the library system and of the CPR "
            "register for you, and the browsers that you have called your own."
        ),
    ),
    "mail": KeptText(
        _("Mails to you"),
        _("Mails that wait. Of a mail that was sent only subject, time and part of the address."),
    ),
    "proof": KeptText(
        _("Mail addresses you have shown to be yours"),
        _("So that you are not asked for a code at every login."),
    ),
    "receipt": KeptText(
        _("Your answers"),
        _("What you agreed to, refused or were told, so that we can prove it and ask no more."),
    ),
    "trace": KeptText(
        _("Pages with a help code"),
        _("What a page was about, so that the library can help you when you call."),
    ),
}
