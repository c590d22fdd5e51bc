"""What people read when a form of ours is not filled in as it must be, by reason code."""

from collections.abc import Mapping
from typing import Final

from flask_babel import lazy_gettext as _

from broker.adapters.web.pages.failure_texts import Explanation

_AS_USUAL: Final = _("Write it as in a mail program, for example name@library.example.")
_ANEW: Final = _("Ask for a new code. Only the newest one works.")
_SIX: Final = _(
    "Look in the newest mail from us, also among unwanted mail, and write the six digits."
)
_NUMBERS: Final = _("Write your CPR number, ten digits, or your borrower number.")
_TEMPORARY: Final = _("Write the borrower number of your temporary account.")

_ADDRESSES: Final[Mapping[str, Explanation]] = {
    "address_empty": Explanation(
        title=_("The mail address is missing"),
        happened=_("Write your mail address."),
        advice=(_AS_USUAL,),
    ),
    "address_too_long": Explanation(
        title=_("The mail address is too long"),
        happened=_("No mail address is as long as what you wrote. Write the address only."),
        advice=(_AS_USUAL,),
    ),
    "address_not_plain": Explanation(
        title=_("This is not a mail address that we can use"),
        happened=_(
            "Write one address, without a name, spaces, quotation marks, "
            "or special letters and signs."
        ),
        advice=(_AS_USUAL,),
    ),
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
    "address_refused": Explanation(
        title=_("We cannot use this mail address"),
        happened=_("The address is not one that counts here."),
        advice=(_AS_USUAL,),
    ),
    "address_unreachable": Explanation(
        title=_("No mail gets through to this address"),
        happened=_("The mail server does not take mail to the address."),
        advice=(_("Check the spelling, or use another address."),),
    ),
    "mails_too_many": Explanation(
        title=_("We have sent as many codes as we may"),
        happened=_(
            "One person, and one address, gets only a few mails an hour. No mail has been sent now."
        ),
        advice=(
            _("Use the code in the newest mail, or wait an hour and ask for a new one."),
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
            _("Use an address that only you read. The library has been told and looks at it."),
            _("Contact the library if the address has become yours."),
        ),
    ),
}

_CODES: Final[Mapping[str, Explanation]] = {
    "code_malformed": Explanation(
        title=_("The code has six digits"),
        happened=_("Write the six digits from our mail."),
        advice=(_SIX,),
    ),
    "code_wrong": Explanation(
        title=_("The code is not right"),
        happened=_("This is not the code in our newest mail. You have five tries."),
        advice=(_SIX,),
    ),
    "code_used_up": Explanation(
        title=_("The code has been tried too often"),
        happened=_("After five tries a code no longer works, not even the right one."),
        advice=(_ANEW,),
    ),
    "codes_too_many": Explanation(
        title=_("Too many wrong codes"),
        happened=_("So many wrong codes have been tried today that we accept none for now."),
        advice=(
            _("Try again tomorrow, or come to the library."),
            _("You can also go on without, if the page offers it."),
        ),
    ),
    "code_expired": Explanation(
        title=_("The code has run out"),
        happened=_("The code in our mail is too old."),
        advice=(_ANEW,),
    ),
    "code_none": Explanation(
        title=_("There is no code to use"),
        happened=_("The code has been used or replaced by a newer one."),
        advice=(_ANEW,),
    ),
    "code_refused": Explanation(
        title=_("We could not accept the code"),
        happened=_("The code does not work here."),
        advice=(_ANEW,),
    ),
    "link_gone": Explanation(
        title=_("The link no longer works"),
        happened=_(
            "A link in our mail works once, for thirty minutes at most, "
            "and a newer mail replaces it."
        ),
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
    ),
}

_PINS: Final[Mapping[str, Explanation]] = {
    "pin_number_missing": Explanation(
        title=_("The number is missing"), happened=_NUMBERS, advice=()
    ),
    "pin_number_unread": Explanation(
        title=_("This is neither a CPR number nor a borrower number"),
        happened=_NUMBERS,
        advice=(_("Write digits only. A CPR number may have a hyphen."),),
    ),
    "pin_temporary_missing": Explanation(
        title=_("The number is missing"), happened=_TEMPORARY, advice=()
    ),
    "pin_temporary_unread": Explanation(
        title=_("This is not a borrower number"),
        happened=_TEMPORARY,
        advice=(_("Write digits only."),),
    ),
    "pin_asks_too_many": Explanation(
        title=_("Too many have asked for a PIN"),
        happened=_(
            "Too many PINs have been asked for from your network within an hour. "
            "No mail has been sent now."
        ),
        advice=(
            _("Wait an hour, and ask again."),
            _("Or log in, and choose a new PIN yourself: the ways to log in are below."),
        ),
    ),
    "pin_changes_too_many": Explanation(
        title=_("The PIN has been changed too often"),
        happened=_("A PIN can be changed ten times an hour. It has not been changed now."),
        advice=(_("Use the newest PIN, or wait an hour and change it then."),),
    ),
    "pin_missing": Explanation(
        title=_("The PIN is missing"), happened=_("Write your PIN."), advice=()
    ),
    "pin_wrong": Explanation(
        title=_("Number and PIN do not fit together"),
        happened=_("Check both and try again. After five wrong tries we stop for fifteen minutes."),
        advice=(_("You can also log in another way, or get a new PIN by mail."),),
    ),
    "pin_throttled": Explanation(
        title=_("Too many wrong tries"),
        happened=_("To protect accounts against guessing, we do not check PINs for now."),
        advice=(
            _("Log in another way."),
            _("Wait fifteen minutes, and try again."),
            _("If you have forgotten your PIN, get a new one by mail."),
        ),
    ),
    "pin_not_temporary": Explanation(
        title=_("This is not a temporary account"),
        happened=_(
            "Write the borrower number of an account that was made for you without a CPR number."
        ),
        advice=(),
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
    "pin_no_mail": Explanation(
        title=_("We have no mail address for you"),
        happened=_(
            "Without it we cannot mail you a PIN. "
            "Choose one yourself here. "
            "Nothing has been changed."
        ),
        advice=(),
    ),
}

FORM_ERRORS: Final[Mapping[str, Explanation]] = {**_ADDRESSES, **_CODES, **_PAGES, **_PINS}
