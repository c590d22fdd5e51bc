"""What people read when a number or a PIN that they typed cannot be taken, one entry a reason code."""

from collections.abc import Mapping
from typing import Final

from flask_babel import lazy_gettext as _

from broker.adapters.web.pages.explanation import Explanation

_NUMBERS: Final = _("Write your CPR number, ten digits, or your borrower number.")
_TEMPORARY: Final = _("Write the borrower number of your temporary account.")

PIN_PROBLEMS: Final[Mapping[str, Explanation]] = {
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
            "Too many PINs have been asked for from your network within an hour. No mail has been sent now."
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
            "Choose four digits that are no year, no pattern, and no part of your birth date or CPR number."
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
            "Without it we cannot mail you a PIN. Choose one yourself here. Nothing has been changed."
        ),
        advice=(),
    ),
}
