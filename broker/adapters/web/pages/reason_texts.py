"""Texts for refused logins, and the texts of every reason."""

from collections.abc import Mapping
from typing import Final

from flask_babel import lazy_gettext as _

from broker.adapters.web.pages.failure_texts import FAILURES, FORM_ERRORS, GENERAL, ReasonText

_CONTACT: Final = _("Contact the library and give them the help code on this page.")
_HOME: Final = _("Contact the IT support of the place where you log in, and give the help code.")
_OTHER_WAY: Final = _("Choose another way to log in.")
_WITHOUT_CPR: Final = _(
    "If you study or work at the university, come to a service location with identification and "
    "your AU ID (au and a number). Students also bring their student card. "
    "You get a temporary library card there."
)
_IN_PERSON: Final = _(
    "Come to the library with your yellow health insurance card and another form of ID."
)
_HAS_ACCOUNT: Final = _(
    "If you have a library card, also a temporary one, log in with its number and your PIN."
)
_AGAIN_WITH_CPR: Final = _("When you have your CPR number, log in here again.")
_UNTRUSTED: Final = ReasonText(
    _("We cannot use the information from your login"),
    _(
        "The place where you log in sent information that is incomplete or wrong, "
        "so we have used none of it."
    ),
    (_HOME, _CONTACT),
    main="help",
    error_url_code="IDENTIFICATION_FAILURE",
)

REFUSALS: Final[Mapping[str, ReasonText]] = {
    "passive": ReasonText(
        _("You are not logged in yet"),
        _("The service asked us to log you in without showing a page, and that was not possible."),
        (_("Go back to the service and choose to log in there."),),
        main="return",
    ),
    "assurance_too_low": ReasonText(
        _("You need a more secure login"),
        _("%(service)s needs better proof of who you are than your login gives."),
        (_OTHER_WAY, _CONTACT),
        main="again",
        error_url_code="AUTHENTICATION_FAILURE",
    ),
    "upstream_refused": ReasonText(
        _("You were not logged in"),
        _("The place where you log in did not accept your login, or you cancelled it."),
        (_HAS_ACCOUNT, _HOME),
        main="again",
        error_url_code="OTHER_ERROR",
    ),
    "login_not_finished": ReasonText(
        _("You did not finish logging in"),
        _("We have had no answer from the place where you log in."),
        (_("Have your login ready before you start: WAYF stops waiting after three minutes."),),
        main="again",
    ),
    "finished": ReasonText(
        _("You have already used this login"),
        _("Your login has been sent to the service and can only be used once."),
        (_("Go to the service. If you are not logged in there, log in again."),),
        main="return",
    ),
    "consent_refused": ReasonText(
        _("No information has been sent"),
        _("You chose not to send the information, so you are not logged in to the service."),
        (_("Go back and look at the information again if you change your mind."),),
    ),
    "no_policy_for_service": ReasonText(
        _("Your login does not give you access"),
        _(
            "%(service)s is not open to people with your affiliation, "
            "and no information has been sent."
        ),
        (_("If you also have another affiliation, log in with that one."), _CONTACT),
        main="again",
    ),
    "no_affiliation": ReasonText(
        _("We cannot see that you have access"),
        _(
            "Your login does not say that you are a student, an employee or a private borrower "
            "here."
        ),
        (_OTHER_WAY,),
        main="again",
        error_url_code="AUTHORIZATION_FAILURE",
    ),
    "company_identity": ReasonText(
        _("Use your personal login"),
        _("You logged in for a company, and here you need to log in as a private person."),
        (_("Companies get a library card by contacting the library."),),
        main="again",
    ),
    "cpr_required": ReasonText(
        _("Your login has no CPR number"),
        _("We find your library account by your CPR number, and your login did not give us one."),
        (
            _HAS_ACCOUNT,
            _WITHOUT_CPR,
            _(
                "If you are a private user or work at the hospital, ask the library what you "
                "can do without a CPR number."
            ),
        ),
        main="sign_up",
        error_url_code="IDENTIFICATION_FAILURE",
    ),
    "replacement_number": ReasonText(
        _("You have a replacement for a CPR number"),
        _("You cannot open a library account online with a replacement number."),
        (_HAS_ACCOUNT, _WITHOUT_CPR, _AGAIN_WITH_CPR),
        main="sign_up",
    ),
    "constructed_number": ReasonText(
        _("You do not have a CPR number yet"),
        _("Your university gave you a temporary number, and you cannot use it here."),
        (_HAS_ACCOUNT, _WITHOUT_CPR, _AGAIN_WITH_CPR),
        main="sign_up",
    ),
    "national_eid_required": ReasonText(
        _("You need to sign up with MitID"),
        _(
            "Your university does not say that you study or work there, "
            "so this login does not give you a library account."
        ),
        (
            _(
                "If you do study or work at the university, "
                "ask its IT support why your login does not say so."
            ),
        ),
        main="sign_up",
    ),
    "too_young": ReasonText(
        _("You are too young to open an account"),
        _("You are below the age limit for this kind of library account."),
        (
            _(
                "Until then, borrow at your public library. "
                "It can get books from other libraries for you."
            ),
        ),
    ),
    "no_library_account": ReasonText(
        _("You need a library account"),
        _("%(service)s is for people with a library account, and we could not find yours."),
        (_("Sign up for an account first, then log in again."),),
        main="sign_up",
    ),
    "account_case": ReasonText(
        _("The library needs to look at your account"),
        _("We could not create or update your account, and no information has been sent."),
        (_CONTACT,),
    ),
    "several_borrowers": ReasonText(
        _("You seem to have two library accounts"),
        _(
            "More than one account may be yours, so the library has to join them "
            "before you can log in."
        ),
        (_CONTACT,),
    ),
    "possible_duplicate": ReasonText(
        _("You may already have a library account"),
        _("The library has an account that may be yours, so we have not created a new one."),
        (_CONTACT,),
    ),
    "address_not_own": ReasonText(
        _("Log in with MitID to correct your email address"),
        _(
            "Your library account has an email address that is not yours, "
            "and this login cannot change it."
        ),
        (_CONTACT,),
        main="way",
    ),
    "different_person": ReasonText(
        _("The library needs to check your account"),
        _(
            "The account with your CPR number has another name or date of birth, "
            "so it may belong to somebody else."
        ),
        (_CONTACT,),
    ),
    "name_required": ReasonText(
        _("Your login does not include your name"),
        _(
            "We find your library account by your CPR number and your name, "
            "and your login did not give us a name."
        ),
        (_("Log in with MitID instead."),),
        main="way",
    ),
    "no_verified_address": ReasonText(
        _("The service needs a confirmed email address"),
        _(
            "The service knows you by your email address, "
            "and your login did not give us one that is confirmed as yours."
        ),
        (_OTHER_WAY, _CONTACT),
        main="again",
        error_url_code="IDENTIFICATION_FAILURE",
    ),
    "attributes_refused": _UNTRUSTED,
    "scope_mismatch": _UNTRUSTED,
    "several_values": _UNTRUSTED,
    "bad_value": _UNTRUSTED,
    "bad_characters": _UNTRUSTED,
    "blanks_around": _UNTRUSTED,
    "too_long": _UNTRUSTED,
    "cpr_shaped": _UNTRUSTED,
    "cpr_disagrees": _UNTRUSTED,
    "unknown_institution": _UNTRUSTED,
    "spec_version": _UNTRUSTED,
    "level_missing": _UNTRUSTED,
    "level_too_low": ReasonText(
        _("You need a more secure login"),
        _("Your MitID login does not prove well enough who you are."),
        (_("Log in again with the MitID app or another secure method."), _IN_PERSON),
        main="again",
    ),
}

REASONS: Final[Mapping[str, ReasonText]] = {**FAILURES, **FORM_ERRORS, **REFUSALS}


def explain(code: str) -> ReasonText:
    """Return the texts of ``code``, the reason of an error or a refusal; GENERAL without any."""
    return REASONS.get(code, GENERAL)
