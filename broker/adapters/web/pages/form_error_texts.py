"""What people read when a form of ours is not filled in as it must be, by reason code."""

from collections.abc import Mapping
from typing import Final

from flask_babel import lazy_gettext as _

from broker.adapters.web.pages.failure_texts import Explanation

_AS_USUAL: Final = _("Write it as in a mail program, for example name@library.example.")
_ANEW: Final = _("Ask for a new code.")
_SIX: Final = _(
    "Look in the newest mail from us, also among unwanted mail, and write the eight digits."
)
_NUMBERS: Final = _(
    "Write your CPR number, ten digits, or the number of your library card or your borrower ID."
)
_ELSEWHERE: Final = _("You can also log in with your university or your national eID.")

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
    "address_without_at": Explanation(
        title=_("The mail address has no @"),
        happened=_("Write the whole mail address: a name, @ and an ending."),
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
    "code_used_up": Explanation(
        title=_("The code has been tried too often"),
        happened=_("After five tries a code no longer works, not even the right one."),
        advice=(_ANEW,),
    ),
    "code_none": Explanation(
        title=_("There is no code to use"),
        happened=_("The code has been used or is too old, or you asked for it in another browser."),
        advice=(_ANEW,),
    ),
    "code_refused": Explanation(
        title=_("We could not accept the code"),
        happened=_("The code does not work here."),
        advice=(_ANEW,),
    ),
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
