"""Texts for failed requests, faults of a system and errors in a form, by reason code."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

# The kinds of actions that a page with a reason offers; one of them is its main button. "way" leads
# to another way to log in, "sign_up" to a sign-up page, "again" repeats what failed, "help" leads
# to help at the upstream, "contact" to the library, "return" back to the service.
ActionKind = Literal["way", "sign_up", "again", "help", "contact", "return"]


@dataclass(frozen=True, slots=True)
class ReasonText:
    """The texts of one reason, in the language of the page that shows them.

    ``happened`` is one sentence, ``advice`` stands under "More help", and ``main`` is the kind of
    the main button, if the page has an action of that kind. ``error_url_code`` is the code of
    REFEDS errorURL for the upstream's own page; "" if that page could not help.
    """

    title: LazyString
    happened: LazyString
    advice: tuple[LazyString, ...] = ()
    main: ActionKind = "contact"
    error_url_code: str = ""


_CONTACT: Final = _("Contact the library and give them the help code on this page.")
_LOG_IN_AT_SERVICE_AGAIN: Final = _("Go back to the service and log in again.")
_LOG_IN_AND_AGREE: Final = _(
    "Log in again at the service, and agree to send the information it asks for."
)
_LATER: Final = _("Wait a few minutes and try again.")
_LOG_OUT: Final = _(
    "Log out of each service that you have used. "
    "Closing the window is not enough, because the browser can open it again."
)
_OURS: Final = _("There is a fault in our system, and no information has been sent.")
_RELOAD: Final = _("Go back, load the page again and answer once more.")

_DOWN: Final = ReasonText(
    _("You cannot log in at the moment"), _OURS, (_LATER, _CONTACT), main="again"
)
GENERAL: Final = ReasonText(_("Sorry, there is a problem"), _OURS, (_LATER, _CONTACT), main="again")

FAILURES: Final[Mapping[str, ReasonText]] = {
    "unexpected": GENERAL,
    "transaction_gone": ReasonText(
        _("This login has ended"),
        _("You have already used this login, or it has timed out."),
        (_LOG_IN_AT_SERVICE_AGAIN,),
        main="return",
    ),
    "other_browser": ReasonText(
        _("This login was started in another browser"),
        _("To keep you safe, a login must end in the browser where it was started."),
        (_("Go to the service and log in there, using this browser all the way."),),
        main="return",
    ),
    "login_cookie_missing": ReasonText(
        _("Log in once more"),
        _("This browser no longer has your login, probably because you have several logins open."),
        (_("Log in again here, or go back to the service."),),
        main="again",
    ),
    "cookies_needed": ReasonText(
        _("Allow cookies to log in"),
        _("Your browser blocks our cookies, and we cannot log you in without them."),
        (
            _("Allow cookies for this site, also in a private window, and try again."),
            _("We only use cookies to log you in. They do not track you."),
        ),
        main="again",
    ),
    "token_refused": ReasonText(
        _("This page has expired"),
        _("The page was open for too long, and nothing has been changed."),
        (_RELOAD,),
        main="again",
    ),
    "form_refused": ReasonText(
        _("We did not understand your answer"),
        _("Your answer was not one of those on the page, and nothing has been changed."),
        (_RELOAD,),
        main="again",
    ),
    "staff_login_needed": ReasonText(
        _("Log in as staff"),
        _("You are not logged in to the staff pages, or your session has ended."),
        (_("Log in to the staff pages again."),),
        main="return",
    ),
    "staff_refused": ReasonText(
        _("These pages are for library staff"),
        _("Your login does not give you access to these pages."),
        (
            _("If you need access, ask the person who manages the library's logins."),
            _("Close the browser before anyone else uses this computer."),
        ),
        main="return",
    ),
    "staff_role_missing": ReasonText(
        _("You do not have access to this page"),
        _("Your staff role does not include this page, and nothing has been changed."),
        (_("Go back to the staff pages and choose one of those shown there."),),
        main="return",
    ),
    "logout_gone": ReasonText(
        _("This logout has ended"),
        _("You have already finished this logout, or it has timed out."),
        (_LOG_OUT,),
        main="return",
    ),
    "logout_refused": ReasonText(
        _("We could not log you out"),
        _(
            "The logout message was damaged, too old or not from a service we know, "
            "so you may still be logged in."
        ),
        (_LOG_OUT, _CONTACT),
    ),
    "message_refused": ReasonText(
        _("We could not accept your login"),
        _(
            "The message that was to log you in was damaged, too old, already used "
            "or not meant for us."
        ),
        (_LOG_IN_AT_SERVICE_AGAIN, _CONTACT),
        main="return",
    ),
    "service_not_connected": ReasonText(
        _("You cannot log in to this service at the moment"),
        _("The service is not set up correctly with us, and no information has been sent."),
        (
            _(
                "Tell the library which service you came from, "
                "and give them the help code on this page."
            ),
            _LATER,
        ),
    ),
    "request_refused": ReasonText(
        _("The service asked for something we cannot do"),
        _("The service asked for a kind of login that we do not offer."),
        (_LOG_IN_AT_SERVICE_AGAIN, _CONTACT),
    ),
    "too_many": ReasonText(
        _("Too many attempts"),
        _("There have been too many attempts in a short time, so you have to wait."),
        (_LATER, _LOG_IN_AT_SERVICE_AGAIN),
        main="return",
    ),
    "network_busy": ReasonText(
        _("Too many logins from your network"),
        _("There are too many logins from your network right now, so please wait."),
        (_("If it keeps happening, try another network, such as mobile data."), _CONTACT),
    ),
    "store_unavailable": _DOWN,
    "audit_unavailable": _DOWN,
    "message_log_unavailable": _DOWN,
    "configuration": _DOWN,
    "register_unavailable": _DOWN,
    "register_refused": _DOWN,
    "library_unavailable": ReasonText(
        _("The library system is not responding"),
        _("We cannot look up your library account right now, and no information has been sent."),
        (_LATER, _CONTACT),
        main="again",
    ),
    "library_refused": ReasonText(
        _("We could not change your account"),
        _(
            "The library system did not accept the change to your account, "
            "and no information has been sent."
        ),
        (_CONTACT,),
    ),
    "pin_under_way": ReasonText(
        _("Your account is being changed"),
        _("You cannot choose a PIN until the change is finished."),
        (_("Try again in ten minutes."),),
        main="again",
    ),
    "pin_refused": ReasonText(
        _("The library system did not accept this PIN"),
        _("Its rules do not allow these four digits, and your PIN has not been changed."),
        (_CONTACT,),
        main="again",
    ),
    "at_service_identification": ReasonText(
        _("The service did not recognise you"),
        _("You were logged in, but the service did not get the information it needs about you."),
        (_LOG_IN_AND_AGREE, _CONTACT),
        main="return",
    ),
    "at_service_authentication": ReasonText(
        _("The service needs a more secure login"),
        _("You were logged in, but not in the way that the service requires."),
        (_("Go to the service and choose another way to log in."), _CONTACT),
        main="return",
    ),
    "at_service_authorization": ReasonText(
        _("The service did not let you in"),
        _("You were logged in, but the service says that you do not have access."),
        (_CONTACT,),
    ),
    "at_service_other": ReasonText(
        _("You could not log in to the service"),
        _("Something went wrong at the service after you had logged in."),
        (_LATER, _LOG_IN_AND_AGREE),
        main="return",
    ),
    "not_found": ReasonText(
        _("Page not found"),
        _("The address may be wrong, or the page may have been removed."),
        (_("Check the address, or go to the service you want to use and log in there."),),
        main="return",
    ),
    "wrong_method": ReasonText(
        _("You cannot open this page"),
        _("This address is for forms and for messages between systems."),
        (_LOG_IN_AT_SERVICE_AGAIN,),
        main="return",
    ),
    "too_large": ReasonText(
        _("Too much was sent"),
        _("The message was larger than we accept, so we have not read it."),
        (_LOG_IN_AT_SERVICE_AGAIN,),
        main="return",
    ),
}


_ADDRESS_EXAMPLE: Final = _("For example name@library.example.")
_NEW_CODE: Final = _("Ask for a new code.")
_LOOK_FOR_CODE: Final = _("Look for the latest email from us, also in your spam folder.")
_NUMBERS: Final = _("Enter your CPR number or your library card number.")
_ELSEWHERE: Final = _("You can also log in with your university or MitID.")

_NOT_AN_ADDRESS: Final = ReasonText(
    _("We cannot use this email address"),
    _("Enter one email address, without your name, spaces or special characters."),
    (_ADDRESS_EXAMPLE,),
)
_CODE_OVER: Final = ReasonText(
    _("This code no longer works"),
    _(
        "The code is too old, has been used or tried five times, "
        "or you asked for it in another browser."
    ),
    (_NEW_CODE,),
)

_ADDRESSES: Final[Mapping[str, ReasonText]] = {
    "address_empty": ReasonText(
        _("Email address missing"), _("Enter your email address."), (_ADDRESS_EXAMPLE,)
    ),
    "address_too_long": _NOT_AN_ADDRESS,
    "address_without_at": _NOT_AN_ADDRESS,
    "address_not_plain": _NOT_AN_ADDRESS,
    "address_refused": _NOT_AN_ADDRESS,
    "address_other_domain": ReasonText(
        _("The email address has the wrong ending"),
        _("The part after @ must be one of the endings on this page."),
        (_("Check the spelling, or continue without it if the page lets you."),),
    ),
    "address_cpr": ReasonText(
        _("Do not enter your CPR number here"),
        _("The email address looks like a CPR number."),
        (_ADDRESS_EXAMPLE,),
    ),
    "mails_too_many": ReasonText(
        _("We cannot send more codes today"),
        _("We send three codes a day to one person and to one address."),
        (
            _("Use the code in the latest email, or come back tomorrow."),
            _("You can also continue without it, if the page lets you."),
        ),
    ),
    "address_taken": ReasonText(
        _("This email address belongs to another account"),
        _("Another person has confirmed this address, and it can only confirm one."),
        (
            _("Use an address that only you can read."),
            _("Contact the library if the address is yours now."),
        ),
    ),
}

_CODES: Final[Mapping[str, ReasonText]] = {
    "code_malformed": ReasonText(
        _("The code has eight digits"),
        _("Enter the eight digits from our email."),
        (_LOOK_FOR_CODE,),
    ),
    "code_wrong": ReasonText(
        _("Wrong code"),
        _("Check the code and enter it again. You can try five times."),
        (_LOOK_FOR_CODE,),
    ),
    "code_used_up": _CODE_OVER,
    "code_none": _CODE_OVER,
    "code_refused": _CODE_OVER,
    "claim_refused": ReasonText(
        _("We could not connect an account"),
        _("No account with this card number fits your login. Nothing has been changed."),
        (_("Check the number, or ask the library: your account may have another name."),),
    ),
    "claim_card_unread": ReasonText(
        _("Enter your library card number"), _("Enter the number as it is written on the card.")
    ),
    "claim_too_many": ReasonText(
        _("You cannot try more card numbers today"),
        _("You can try five card numbers a day. We have not checked this one."),
        (_("Come back tomorrow, or ask the library."),),
    ),
    "link_gone": ReasonText(
        _("This link no longer works"),
        _("The link has been used, or it is too old."),
        (
            _("Go back to the page where you started, and ask for a new email."),
            _("If you did not ask us for an email, you do not need to do anything."),
        ),
        main="return",
    ),
}

_PAGES: Final[Mapping[str, ReasonText]] = {
    "page_too_old": ReasonText(
        _("This page has expired"), _("Nothing has been changed. Answer once more."), main="again"
    )
}

_PINS: Final[Mapping[str, ReasonText]] = {
    "pin_number_missing": ReasonText(_("Number missing"), _NUMBERS),
    "pin_number_unread": ReasonText(
        _("We do not recognise this number"),
        _NUMBERS,
        (_("Enter the number as it is written on the card."),),
    ),
    "pin_missing": ReasonText(_("PIN missing"), _("Enter your PIN.")),
    "pin_wrong": ReasonText(
        _("The number or PIN is wrong"),
        _("Check both and try again."),
        (
            _("If you have forgotten your PIN, we can email you a link to choose a new one."),
            _("If both are right, ask the library: your account may be blocked."),
        ),
    ),
    "pin_throttled": ReasonText(
        _("Too many wrong attempts"),
        _("To protect your account, we have stopped checking PINs here for an hour."),
        (_("Try again in an hour, or use a browser that needs no code."), _ELSEWHERE),
    ),
    "account_busy": ReasonText(
        _("We are busy right now"),
        _("Nothing has been checked or changed."),
        (_("Wait a minute and try again."),),
        main="again",
    ),
    "pin_not_here": ReasonText(
        _("You cannot choose a PIN for this account here"),
        _("The library decides which accounts get a PIN on these pages."),
        (_("Contact the library, or come to a service location."),),
    ),
    "pin_not_four": ReasonText(
        _("A PIN has four digits"), _("Enter four digits and nothing else.")
    ),
    "pin_trivial": ReasonText(
        _("This PIN is too easy to guess"),
        _(
            "It cannot be digits in order (1234, 4321), four alike (7777) or a pair twice (4747). "
            "It cannot begin with 19 or 20, or be part of your date of birth or CPR number."
        ),
    ),
    "pin_differs": ReasonText(
        _("The two PINs are not the same"), _("Enter the same four digits in both fields.")
    ),
}

FORM_ERRORS: Final[Mapping[str, ReasonText]] = {**_ADDRESSES, **_CODES, **_PAGES, **_PINS}
