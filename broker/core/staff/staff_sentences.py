"""The sentences for staff about enrolments and cases: what the problem is, and what to do.

The staff view, ``broker enrolments`` and docs/staff.md use these tables. The sentences are English;
the catalogue of translations has the Danish ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from broker.core.marked_text import mark as _


@dataclass(frozen=True, slots=True)
class StaffSentence:
    """The problem, and what staff do about it."""

    situation: str
    action: str


_WAIT: Final = _("You do not need to do anything. It is tried again automatically.")
_SEVERAL: Final = StaffSentence(
    _("Several borrowers have this person's CPR number."),
    _(
        "Merge them in the library system, or remove the number from the wrong ones. "
        "Then try again."
    ),
)

CASES: Final[Mapping[str, StaffSentence]] = {
    "several_borrowers": _SEVERAL,
    "different_person": StaffSentence(
        _("The borrower with this CPR number has another name or another date of birth."),
        _(
            "Find out whose borrower it is. Correct the number, the name or the date of birth in "
            "the library system. Then try again."
        ),
    ),
    "possible_duplicate": StaffSentence(
        _("The person may already be a borrower without this CPR number."),
        _(
            "Is it the same person? Write the CPR number into that borrower, then try again. "
            'Is it somebody else? Choose "Another person", and a new borrower is made.'
        ),
    ),
    "library_refused": StaffSentence(
        _("The library system refused to save the borrower."),
        _("Correct what its answer names. Then try again."),
    ),
}
REASONS: Final[Mapping[str, StaffSentence]] = {
    **CASES,
    "library_unavailable": StaffSentence(
        _("The library system did not answer."),
        _(
            "You do not need to do anything. It is tried again automatically. If it lasts, tell "
            "the people who run the library system."
        ),
    ),
    "library_setup": StaffSentence(
        _("A setting of the library system prevents the account."),
        _(
            "Tell the people who run the library system; its answer names the setting. "
            "The account is made within ten minutes of the correction."
        ),
    ),
    "address_taken": StaffSentence(
        _("Two persons have confirmed the same email address."),
        _("Find out whose address it is. Remove it at the other person. Then it can be confirmed."),
    ),
}
STATES: Final[Mapping[str, StaffSentence]] = {
    "pending": StaffSentence(
        _("The account is being checked, and made or changed if needed."), _WAIT
    ),
    "done": StaffSentence(_("The account is in order."), _("There is nothing to do.")),
    "unknown": StaffSentence(
        _("Nobody has logged in here as this borrower."),
        _("If the person has no PIN, send a PIN mail to the address in the library system."),
    ),
}
_TELL_OPERATORS: Final = _(
    "Ask the person to try again later. If it lasts, tell the people who run the login, with the "
    "help code."
)
_WRONG_ATTRIBUTES: Final = _(
    "The place where the person logs in sends something wrong. Tell the people who run the login, "
    "with the help code. Until it is corrected the person can use another way to log in."
)
_WITHOUT_CPR: Final = _(
    "The login has no usable CPR number. See the person's ID, and make the borrower in the library "
    "system. The person then logs in with the library account."
)
_AT_SERVICE: Final = _(
    "The login worked, and the service refused the person. Check the account at the service."
)
_OTHER_LOGIN: Final = _("Ask the person to log in with MitID.")
# Advice to staff for each reason code of a page that tells the person to contact the library or its
# service locations. It is shown if no enrolment belongs to the page.
ADVICE_BY_REASON: Final[Mapping[str, str]] = {
    **{reason: sentence.action for reason, sentence in REASONS.items()},
    **dict.fromkeys(
        (
            "unexpected",
            "logout_refused",
            "message_refused",
            "request_refused",
            "service_not_connected",
            "store_unavailable",
            "audit_unavailable",
            "message_log_unavailable",
            "configuration",
            "register_unavailable",
            "register_refused",
            "too_large",
        ),
        _TELL_OPERATORS,
    ),
    **dict.fromkeys(
        (
            "attributes_refused",
            "scope_mismatch",
            "several_values",
            "bad_value",
            "bad_characters",
            "blanks_around",
            "too_long",
            "cpr_shaped",
            "cpr_disagrees",
            "unknown_institution",
            "spec_version",
            "level_missing",
        ),
        _WRONG_ATTRIBUTES,
    ),
    **dict.fromkeys(("cpr_required", "replacement_number", "constructed_number"), _WITHOUT_CPR),
    **dict.fromkeys(
        (
            "at_service_identification",
            "at_service_authentication",
            "at_service_authorization",
            "at_service_other",
        ),
        _AT_SERVICE,
    ),
    **dict.fromkeys(
        ("assurance_too_low", "no_verified_address", "level_too_low", "name_required"), _OTHER_LOGIN
    ),
    "network_busy": _(
        "Too many people log in from the same network at once. Ask the person to try again in a "
        "minute."
    ),
    "no_policy_for_service": _(
        'The service is not open to people of this affiliation. The page "Explain a refusal" shows '
        "which rule refused."
    ),
    "no_affiliation": _(
        "The login does not say what the person is at the university. Ask the person to log in "
        "with MitID, or make the borrower in the library system."
    ),
    "no_library_account": _("Ask the person to sign up first. The service needs a borrower."),
    **dict.fromkeys(
        ("claim_refused", "claim_too_many"),
        _(
            "If the person shows that an older borrower is theirs, write the CPR number into it in "
            "the library system. The person then logs in again."
        ),
    ),
    "address_not_own": _(
        "See the person's ID. Correct the email address in the library system, and send a PIN mail."
    ),
    "too_young": _(
        "The person is too young to sign up alone. A parent signs up with them in the library."
    ),
    "account_case": _("Correct what the case says. Then try again."),
    "consent_refused": _(
        "You do not need to do anything. The person chose not to send the information."
    ),
    "pin_wrong": _(
        "Send a PIN mail. A borrower without a card number needs one in the library system first."
    ),
    "pin_not_here": _("Set the PIN in the library system. This kind of borrower gets none here."),
    "pin_refused": _("Tell the people who run the library system: it must allow four digits."),
    "staff_refused": _("The list of staff is in the broker's configuration, under [admin]."),
}
# Notes of the register of persons. They concern the address only: the person can log in.
REGISTER_NOTES: Final[Mapping[str, str]] = {
    "dead": _("The register of persons says that the person is dead."),
    "number_changed": _("The register of persons says that this CPR number was changed."),
    "not_active": _("The register of persons does not have this CPR number as an active one."),
    "address_refused": _("The library system refused the address from the register of persons."),
}


def sentence_for(state: str, reason: str | None) -> StaffSentence:
    """Return the sentence of the reason, or else that of the state."""
    found = REASONS.get(reason or "")
    return found or STATES.get(state) or STATES["pending"]
