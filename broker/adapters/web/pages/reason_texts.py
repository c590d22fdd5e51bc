"""What people read when a login ends short of the service, and the texts of every reason."""

from collections.abc import Mapping
from typing import Final

from flask_babel import lazy_gettext as _

from broker.adapters.web.pages.failure_texts import FAILURES, FORM_ERRORS, GENERAL, Explanation

_CONTACT: Final = _("Contact the library and give the help code below.")
_HOME: Final = _(
    "Contact the IT support of the place where you log in, and give the help code below."
)
_OTHER_WAY: Final = _("Go back and choose another way to log in.")
_WITHOUT_CPR: Final = _(
    "If you study or work at the university, come to a service location with identification and "
    "your AU ID (students also bring their student card). "
    "You get a temporary borrower ID there."
)
_HAS_ACCOUNT: Final = _("If you have a library account, log in with its number and PIN.")
_AGAIN_WITH_CPR: Final = _("When you have got your CPR number, log in here again.")
_UNTRUSTED: Final = Explanation(
    title=_("We cannot use what your login told us"),
    happened=_(
        "The place where you log in sent information about you that is incomplete, "
        "contradicts itself or is not theirs to give. "
        "To be safe we use none of it, and nothing has been sent."
    ),
    advice=(_HOME, _CONTACT),
)

REFUSALS: Final[Mapping[str, Explanation]] = {
    "passive": Explanation(
        title=_("You are not logged in yet"),
        happened=_(
            "The service asked us to log you in without showing a page, and that was not possible."
        ),
        advice=(_("Go back to the service and choose to log in there."),),
    ),
    "assurance_too_low": Explanation(
        title=_("A safer login is needed"),
        happened=_(
            "%(service)s asks for a login that proves who you are more surely "
            "than the one you used."
        ),
        advice=(_OTHER_WAY, _CONTACT),
        again=True,
    ),
    "upstream_refused": Explanation(
        title=_("The login was not completed"),
        happened=_(
            "The place where you log in told us that it did not log you in. "
            "Perhaps you cancelled, or your user name or password was not accepted."
        ),
        advice=(_("Try to log in again."), _HOME),
        again=True,
    ),
    "login_not_finished": Explanation(
        title=_("Your login was not finished"),
        happened=_(
            "We sent you on to log in, but have had no answer. "
            "WAYF gives up without a word after three minutes."
        ),
        advice=(_("Log in again, and have your login ready before you start."),),
        again=True,
    ),
    "finished": Explanation(
        title=_("This login has been used"),
        happened=_(
            "Your login has already been sent to the service, "
            "and it can be used for a few minutes only."
        ),
        advice=(_("Go to the service. If you are not logged in there, log in again."),),
    ),
    "consent_refused": Explanation(
        title=_("Nothing has been sent"),
        happened=_(
            "You chose not to send the information, so you have not been logged in to the service."
        ),
        advice=(_("Go back and look at it again if you change your mind."),),
        places=("service_locations",),
    ),
    "no_policy_for_service": Explanation(
        title=_("Your login does not give access here"),
        happened=_(
            "%(service)s is not open to people with your affiliation. Nothing has been sent to it."
        ),
        advice=(_("If you also have another affiliation, log in with that one."), _CONTACT),
        again=True,
    ),
    "no_affiliation": Explanation(
        title=_("We cannot see that you belong to a group with access"),
        happened=_(
            "Nothing in what your login told us says that you are a student, "
            "an employee or a private borrower here."
        ),
        advice=(_OTHER_WAY,),
        places=("service_locations",),
        again=True,
    ),
    "company_identity": Explanation(
        title=_("Use your personal login"),
        happened=_(
            "You logged in on behalf of a company. "
            "Here we can only use a login that is yours as a private person."
        ),
        advice=(
            _("Log in again with your personal national eID."),
            _("Companies get a library card by contacting the library."),
        ),
        again=True,
    ),
    "cpr_required": Explanation(
        title=_("A Danish CPR number is needed"),
        happened=_(
            "The library finds your account by your CPR number, and your login gave us none. "
            "Your name alone is not enough: universities give a user name to somebody else "
            "after a while."
        ),
        advice=(
            _("If you have a CPR number, log in with your national eID."),
            _HAS_ACCOUNT,
            _WITHOUT_CPR,
            _(
                "If you are a private user, or work at the hospital, ask the library what you "
                "can do without a CPR number."
            ),
        ),
        places=("service_locations",),
        again=True,
    ),
    "replacement_number": Explanation(
        title=_("Your number is a replacement for a CPR number"),
        happened=_("Replacement numbers cannot be used to open a library account online."),
        advice=(_HAS_ACCOUNT, _WITHOUT_CPR, _AGAIN_WITH_CPR),
        places=("service_locations",),
    ),
    "constructed_number": Explanation(
        title=_("You do not have a CPR number yet"),
        happened=_(
            "Your university gave you a number of its own to use until you get a CPR number. "
            "It cannot be used here."
        ),
        advice=(_HAS_ACCOUNT, _WITHOUT_CPR, _AGAIN_WITH_CPR),
        places=("service_locations",),
    ),
    "national_eid_required": Explanation(
        title=_("Sign up with your national eID first"),
        happened=_(
            "Your university does not say that you study or work there, "
            "so this login alone gives no library account."
        ),
        advice=(
            _(
                "Sign up as a private user with your national eID. "
                "After that, log in with it or with your library account."
            ),
            _(
                "If you do study or work at the university, "
                "ask its IT support why your login does not say so."
            ),
        ),
    ),
    "too_young": Explanation(
        title=_("You are too young to open an account here"),
        happened=_(
            "There is an age limit for opening this kind of library account yourself, "
            "and you have not reached it."
        ),
        advice=(_("Ask the library what you can do until then."),),
        places=("service_locations",),
    ),
    "no_library_account": Explanation(
        title=_("You need a library account"),
        happened=_(
            "%(service)s is for people who have an account with the library, "
            "and we did not find yours."
        ),
        advice=(_("Sign up for an account first, then log in here again."),),
        places=("sign_up", "service_locations"),
    ),
    "account_case": Explanation(
        title=_("The library has to look at your account"),
        happened=_(
            "Your account could not be made or brought up to date by itself. Nothing has been sent."
        ),
        advice=(_CONTACT,),
        places=("service_locations",),
    ),
    "several_borrowers": Explanation(
        title=_("You seem to have two library accounts"),
        happened=_(
            "More than one account may be yours, so we have not changed any of them. "
            "The library has to join them."
        ),
        advice=(_CONTACT,),
        places=("service_locations",),
    ),
    "possible_duplicate": Explanation(
        title=_("You may already have a library account"),
        happened=_(
            "The library has an account that may be yours, but without your CPR number. "
            "We have made no new account and sent nothing."
        ),
        advice=(_CONTACT,),
        places=("service_locations",),
    ),
    "address_not_own": Explanation(
        title=_("Log in with your national eID to correct the address"),
        happened=_(
            "The library account with your CPR number has a mail address that is not yours. "
            "This login alone cannot change it, and nothing has been sent."
        ),
        advice=(_CONTACT,),
        places=("service_locations",),
    ),
    "different_person": Explanation(
        title=_("The library has to check your account"),
        happened=_(
            "The account that the library has with your CPR number has another name or date of "
            "birth, so it may be somebody else's. "
            "Nothing has been changed and nothing has been sent."
        ),
        advice=(_CONTACT,),
        places=("service_locations",),
    ),
    "name_required": Explanation(
        title=_("Your login does not say your name"),
        happened=_(
            "The library finds your account by your CPR number and your name, and your login gave "
            "us no name."
        ),
        advice=(_("Log in with your national eID instead."),),
        places=("service_locations",),
        again=True,
    ),
    "no_verified_address": Explanation(
        title=_("The service needs a mail address that is known to be yours"),
        happened=_(
            "It knows people by their mail address, and your login gave us none "
            "that is your institution's or that you have shown to be yours."
        ),
        advice=(_OTHER_WAY, _CONTACT),
        again=True,
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
    "level_too_low": Explanation(
        title=_("A safer login is needed"),
        happened=_(
            "Your national eID was used in a way that does not prove surely enough who you are."
        ),
        advice=(
            _("Log in again with the app or another means that your national eID counts as safe."),
            _("If you have none, come to the library with a photo ID."),
        ),
        places=("service_locations",),
        again=True,
    ),
}

REASONS: Final[Mapping[str, Explanation]] = {**FAILURES, **FORM_ERRORS, **REFUSALS}


def explain(code: str) -> Explanation:
    """Return the texts of ``code``, the reason of an error or a refusal; GENERAL without any."""
    return REASONS.get(code, GENERAL)
