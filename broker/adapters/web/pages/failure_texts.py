"""What people read when a request, a system or their own form fails, by reason code."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

# Names of addresses in the library's imprint; one that is not configured is left out of the page.
HelpLocation = Literal["service_locations", "sign_up", "e_resources"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The texts of one reason, in the language of the page that shows them.

    ``happened`` is one paragraph, ``advice`` what the person can do about it, and ``places`` where
    that is done. ``again``: the same login may well succeed on another try.
    """

    title: LazyString
    happened: LazyString
    advice: tuple[LazyString, ...]
    places: tuple[HelpLocation, ...] = ()
    again: bool = False


_CONTACT: Final = _("Contact the library and give the help code below.")
_AFRESH: Final = _("Go to the service you came from and log in there again.")
_AGAIN: Final = _("Log in again at the service, and agree to what it is to get.")
_LATER: Final = _("Wait a few minutes and try again.")
_CLOSE: Final = _(
    "Log out of each service that you have used. "
    "Closing the windows is not enough: a browser can bring them back."
)
_OURS: Final = _("Something is wrong at our end. It is not your fault, and nothing has been sent.")

_DOWN: Final = Explanation(
    title=_("Logging in does not work right now"),
    happened=_OURS,
    advice=(_LATER, _CONTACT),
    again=True,
)
GENERAL: Final = Explanation(
    title=_("Something went wrong"), happened=_OURS, advice=(_LATER, _CONTACT), again=True
)

FAILURES: Final[Mapping[str, Explanation]] = {
    "unexpected": GENERAL,
    "transaction_gone": Explanation(
        title=_("This login is over"),
        happened=_(
            "A login lives for thirty minutes and can be finished once. "
            "This one is too old or has been finished."
        ),
        advice=(_AFRESH,),
    ),
    "other_browser": Explanation(
        title=_("This login belongs to another browser"),
        happened=_(
            "A login must end in the browser and window in which it began. "
            "To be safe we have not logged anybody in."
        ),
        advice=(_("Go to the service and log in there, all the way in this browser."),),
    ),
    "login_cookie_missing": Explanation(
        title=_("Log in once more"),
        happened=_(
            "This browser no longer remembers the login of this page. It keeps only the latest of "
            "the logins that are under way at the same time. "
            "To be safe we have not logged anybody in."
        ),
        advice=(_("Log in again here, or go to the service you came from."),),
        again=True,
    ),
    "cookies_needed": Explanation(
        title=_("Allow cookies to log in"),
        happened=_(
            "Your browser keeps no cookies from us. "
            "Without them we cannot know that it is still you."
        ),
        advice=(
            _("Allow cookies for this site, also in a private window, and try again."),
            _("We use them for the login only, and they follow you nowhere else."),
        ),
        again=True,
    ),
    "token_refused": Explanation(
        title=_("The page had been open too long"),
        happened=_(
            "What you sent came from a page older than ten minutes, or not from our page. "
            "Nothing has been changed."
        ),
        advice=(_("Go back, load the page again and answer once more."),),
        again=True,
    ),
    "form_refused": Explanation(
        title=_("We did not understand your answer"),
        happened=_(
            "What came was not one of the answers the page offers. Nothing has been changed."
        ),
        advice=(_("Go back, load the page again and answer once more."),),
        again=True,
    ),
    "staff_login_needed": Explanation(
        title=_("Log in as staff"),
        happened=_("You are not logged in as staff in this browser, or your session has ended."),
        advice=(_("Log in to the staff pages again."),),
    ),
    "staff_refused": Explanation(
        title=_("These pages are for the library's staff"),
        happened=_("Your login does not give access to these pages."),
        advice=(
            _("If you need access, ask the library's identity administrator."),
            _("Close the browser before somebody else logs in."),
        ),
    ),
    "staff_role_missing": Explanation(
        title=_("This page is for other staff"),
        happened=_("Your role does not include this page. That you asked for it changes nothing."),
        advice=(_("Go back to the staff pages, and choose one of those shown there."),),
    ),
    "logout_gone": Explanation(
        title=_("This logout is over"),
        happened=_("A logout lives for thirty minutes. This one is too old, or has never been."),
        advice=(_CLOSE,),
    ),
    "logout_refused": Explanation(
        title=_("We could not log you out"),
        happened=_(
            "The message that was to log you out is damaged, too old, "
            "or not from the one that it names. "
            "You may still be logged in."
        ),
        advice=(_CLOSE, _CONTACT),
    ),
    "message_refused": Explanation(
        title=_("We could not accept the login"),
        happened=_(
            "The message that was to log you in is damaged, too old, "
            "used before or not meant for us."
        ),
        advice=(_AFRESH, _CONTACT),
    ),
    "service_not_connected": Explanation(
        title=_("This service is not connected at the moment"),
        happened=_(
            "The library's login has no valid details of the service that you came from, "
            "so nobody can be logged in there for now. "
            "It is not your fault, and nothing has been sent."
        ),
        advice=(_("Tell the library which service it was, and give the help code below."), _LATER),
        places=("service_locations",),
    ),
    "request_refused": Explanation(
        title=_("The service asked for something we cannot do"),
        happened=_("The login that the service wants is one that we do not offer."),
        advice=(_AFRESH, _CONTACT),
    ),
    "too_many": Explanation(
        title=_("Too many tries"),
        happened=_(
            "The same thing has been tried very often in a short time, "
            "so we have stopped it for a while."
        ),
        advice=(_LATER, _AFRESH),
    ),
    "network_busy": Explanation(
        title=_("Very many logins come from your network"),
        happened=_(
            "So many logins have begun from the network you use within a minute "
            "that we let no more in just now. It need not have been you."
        ),
        advice=(
            _("Wait a minute and try again."),
            _("If it goes on, try from another network, such as mobile data."),
            _CONTACT,
        ),
    ),
    "store_unavailable": _DOWN,
    "audit_unavailable": _DOWN,
    "message_log_unavailable": _DOWN,
    "configuration": _DOWN,
    "register_unavailable": _DOWN,
    "register_refused": _DOWN,
    "library_unavailable": Explanation(
        title=_("The library system does not answer"),
        happened=_(
            "We need to look up your library account, and the library system does not answer. "
            "Nothing has been sent."
        ),
        advice=(_LATER, _CONTACT),
        again=True,
    ),
    "library_refused": Explanation(
        title=_("The library system said no"),
        happened=_(
            "The library system did not accept what we asked it to do with your account. "
            "Nothing has been sent."
        ),
        advice=(_CONTACT,),
        places=("service_locations",),
    ),
    "pin_under_way": Explanation(
        title=_("Your account is just being changed"),
        happened=_("Until that is done no PIN can be set, so that the newest one works."),
        advice=(_("Try again in ten minutes."),),
        again=True,
    ),
    "pin_no_mail": Explanation(
        title=_("No PIN mail can be sent"),
        happened=_("The library has no mail address for the account, or it gets no PIN here."),
        advice=(_CONTACT,),
    ),
    "pin_refused": Explanation(
        title=_("The library system did not take the PIN"),
        happened=_(
            "Its rules for PINs do not allow four digits, or not these. "
            "Your PIN has not been changed."
        ),
        advice=(_("Try another PIN."), _CONTACT),
        again=True,
    ),
    "mail_unavailable": Explanation(
        title=_("We could not send the mail"),
        happened=_("The mail server does not take messages right now."),
        advice=(_LATER, _CONTACT),
        again=True,
    ),
    "recipient_refused": Explanation(
        title=_("No mail gets through to the address"),
        happened=_(
            "The mail server does not take mail to the address that the library has for you."
        ),
        advice=(_("Ask the library to correct the address, then try again."),),
        places=("service_locations",),
    ),
    "at_service_identification": Explanation(
        title=_("The service could not recognise you"),
        happened=_(
            "You were logged in, but the service did not get what it needs to know about you."
        ),
        advice=(_AGAIN, _CONTACT),
    ),
    "at_service_authentication": Explanation(
        title=_("The service needs a safer login"),
        happened=_("You were logged in, but in another way than the service asks for."),
        advice=(_("Go to the service, and choose another way to log in."), _CONTACT),
    ),
    "at_service_authorization": Explanation(
        title=_("The service did not let you in"),
        happened=_("You were logged in, but the service says that you have no access to it."),
        advice=(_CONTACT,),
        places=("service_locations",),
    ),
    "at_service_other": Explanation(
        title=_("The login did not work at the service"),
        happened=_("Something went wrong at the service after we had logged you in."),
        advice=(_LATER, _AGAIN, _CONTACT),
    ),
    "not_found": Explanation(
        title=_("There is no page here"),
        happened=_("The address may be misspelt, or the page may be gone."),
        advice=(_("Check the address, or go to the service you want to use and log in there."),),
    ),
    "wrong_method": Explanation(
        title=_("This page cannot be opened like that"),
        happened=_(
            "The address is for a form or a message between systems, not for opening in a browser."
        ),
        advice=(_AFRESH,),
    ),
    "too_large": Explanation(
        title=_("Too much was sent"),
        happened=_("What came is larger than anything we expect here, so we have not read it."),
        advice=(_AFRESH, _CONTACT),
    ),
}


_AS_USUAL: Final = _("Write it as in a mail program, for example name@library.example.")
_ANEW: Final = _("Ask for a new code.")
_SIX: Final = _(
    "Look in the newest mail from us, also among unwanted mail, and write the eight digits."
)
_NUMBERS: Final = _(
    "Write your CPR number, ten digits, or the number of your library card or your borrower ID."
)
_ELSEWHERE: Final = _("You can also log in with your university or your national eID.")

_NOT_AN_ADDRESS: Final = Explanation(
    title=_("This is not a mail address that we can use"),
    happened=_(
        "Write one address, without a name, spaces, quotation marks, or special letters and signs."
    ),
    advice=(_AS_USUAL,),
)
_CODE_OVER: Final = Explanation(
    title=_("The code no longer works"),
    happened=_(
        "It has been used or tried five times, it is too old, or you asked for it in another "
        "browser."
    ),
    advice=(_ANEW,),
)

_ADDRESSES: Final[Mapping[str, Explanation]] = {
    "address_empty": Explanation(
        title=_("The mail address is missing"),
        happened=_("Write your mail address."),
        advice=(_AS_USUAL,),
    ),
    "address_too_long": _NOT_AN_ADDRESS,
    "address_without_at": _NOT_AN_ADDRESS,
    "address_not_plain": _NOT_AN_ADDRESS,
    "address_refused": _NOT_AN_ADDRESS,
    "address_other_domain": Explanation(
        title=_("The mail address does not end as it must"),
        happened=_(
            "What stands after @ must be exactly one of the endings on this page, "
            "with nothing added."
        ),
        advice=(_("Check the spelling, or go on without if the page offers it."),),
    ),
    "address_cpr": Explanation(
        title=_("Do not write your CPR number here"),
        happened=_(
            "What you wrote looks like a CPR number, which must not stand in a mail address."
        ),
        advice=(_AS_USUAL,),
    ),
    "mails_too_many": Explanation(
        title=_("We have sent as many codes as we may"),
        happened=_(
            "We send three codes a day to one person and to one address. No mail has been sent now."
        ),
        advice=(
            _("Use the code in the newest mail, or come back tomorrow."),
            _("You can also go on without, if the page offers it."),
        ),
    ),
    "address_taken": Explanation(
        title=_("This mail address belongs to somebody else's account"),
        happened=_(
            "Another person has shown that the address is theirs, "
            "and an address can prove one person only."
        ),
        advice=(
            _("Use an address that only you read."),
            _("Contact the library if the address has become yours."),
        ),
    ),
}

_CODES: Final[Mapping[str, Explanation]] = {
    "code_malformed": Explanation(
        title=_("The code has eight digits"),
        happened=_("Write the eight digits from our mail."),
        advice=(_SIX,),
    ),
    "code_wrong": Explanation(
        title=_("The code is not right"),
        happened=_("This is not a code that we have sent you. A code has five tries."),
        advice=(_SIX,),
    ),
    "code_used_up": _CODE_OVER,
    "code_none": _CODE_OVER,
    "code_refused": _CODE_OVER,
    "claim_refused": Explanation(
        title=_("We could not connect an account"),
        happened=_(
            "We found no account with this card number that fits your login. "
            "Nothing has been changed."
        ),
        advice=(_("Check the number, or ask the library: the account may have another name."),),
    ),
    "claim_card_unread": Explanation(
        title=_("Write the number on your library card"),
        happened=_("Write the number as it stands on the card."),
        advice=(),
    ),
    "claim_too_many": Explanation(
        title=_("You have tried as many card numbers as you may"),
        happened=_("We check five card numbers a day for one person. This one was not checked."),
        advice=(_("Come back tomorrow, or ask the library."),),
    ),
    "link_gone": Explanation(
        title=_("The link no longer works"),
        happened=_("It has been used, it is too old, or a newer mail has replaced it."),
        advice=(
            _("Go back to the page where you began, and ask for a new mail."),
            _("If you have not asked us for a mail, you need do nothing."),
        ),
    ),
}

_PAGES: Final[Mapping[str, Explanation]] = {
    "page_too_old": Explanation(
        title=_("The page had been open too long"),
        happened=_("Nothing has been changed. Answer once more."),
        advice=(_("This page is good for ten minutes."),),
        again=True,
    )
}

_PINS: Final[Mapping[str, Explanation]] = {
    "pin_number_missing": Explanation(
        title=_("The number is missing"), happened=_NUMBERS, advice=()
    ),
    "pin_number_unread": Explanation(
        title=_("This is no CPR number, library card number or borrower ID"),
        happened=_NUMBERS,
        advice=(_("Write it as it stands on the card. A CPR number may have a hyphen."),),
    ),
    "pin_missing": Explanation(
        title=_("The PIN is missing"), happened=_("Write your PIN."), advice=()
    ),
    "pin_wrong": Explanation(
        title=_("Number and PIN do not fit together"),
        happened=_("Check both, and try again."),
        advice=(
            _("If you have forgotten your PIN, get a new one by mail."),
            _("If you are sure of both, ask the library: the account may be closed for now."),
        ),
    ),
    "pin_throttled": Explanation(
        title=_("Too many wrong tries"),
        happened=_(
            "To protect accounts against guessing, we check no PIN for this number, "
            "or from this network, for now."
        ),
        advice=(
            _("Wait an hour and try again, or use a browser that you have ticked as your own."),
            _ELSEWHERE,
        ),
    ),
    "pin_expired": Explanation(
        title=_("Your PIN has run out"),
        happened=_("The PIN is right, but too old. The library wants you to get a new one."),
        advice=(_("Get a new PIN by mail, or log in another way and choose one."),),
    ),
    "pin_no_card_number": Explanation(
        title=_("Your account has no library card number"),
        happened=_("Without one no PIN can be checked, here or at the self-service machines."),
        advice=(_("Contact the library, or come by: it can write the number in."), _ELSEWHERE),
    ),
    "account_busy": Explanation(
        title=_("We are busy right now"),
        happened=_("Nothing has been checked or changed."),
        advice=(_("Wait a minute and try again."),),
        again=True,
    ),
    "pin_not_here": Explanation(
        title=_("You cannot choose a PIN for this account here"),
        happened=_("The library decides which kinds of accounts get a PIN on these pages."),
        advice=(_("Contact the library, or come to a service location."),),
    ),
    "pin_not_four": Explanation(
        title=_("A PIN is four digits"),
        happened=_("Write four digits and nothing else."),
        advice=(),
    ),
    "pin_trivial": Explanation(
        title=_("This PIN is too easy to guess"),
        happened=_(
            "Choose four digits that are no year, no pattern, "
            "and no part of your birth date or CPR number."
        ),
        advice=(),
    ),
    "pin_differs": Explanation(
        title=_("The two PINs are not the same"),
        happened=_("Write the same four digits in both fields."),
        advice=(),
    ),
}

FORM_ERRORS: Final[Mapping[str, Explanation]] = {**_ADDRESSES, **_CODES, **_PAGES, **_PINS}
