"""Where a person who cannot be let in is best served, by the reason and who they are to the library.

Where an upstream helps its own: the page it names, for the reasons that it and nobody else can mend.
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.login.steps import Refuse
from broker.core.login.transaction import Errand, Transaction

_UNIVERSITY: Final = frozenset({"student", "employee"})
_PAGES: Final = frozenset({"student", "employee", "hospital", "private"})
_NUMBERLESS: Final = frozenset({"cpr_required", "replacement_number", "constructed_number"})


@dataclass(frozen=True, slots=True)
class SignUpLink:
    """A link to one of our own pages, and what it says."""

    url: str
    label: LazyString


def sign_up_link(step: Refuse, transaction: Transaction, sign_up: str | None) -> SignUpLink | None:
    """Give the sign-up page that helps with ``step``, with the way back to the service; None where none does.

    ``sign_up`` is where our sign-up pages are, None where there are none.
    """
    who = step.decision.affiliation if step.decision else None
    back = transaction.request.service if transaction.errand is Errand.LOGIN else transaction.back
    found = _found(step.reason, who)
    if found is None or sign_up is None:
        return None
    path, label = found
    return SignUpLink(sign_up + path + (f"?{urlencode({'service': back})}" if back else ""), label)


def _found(reason: str, who: str | None) -> tuple[str, LazyString] | None:
    if reason in _NUMBERLESS:
        # Who has no CPR number is served in person, each with papers of their own (wizard.md R11,
        # R12 and R36).
        return (
            (f"/{who}/temporary", _("See what to bring to a service location"))
            if who in _UNIVERSITY
            else None
        )
    if reason == "national_eid_required":
        return "/private", _("Sign up as a private user")
    if reason == "no_library_account":
        return (f"/{who}" if who in _PAGES else ""), _("Sign up for a library account")
    if reason == "no_affiliation":
        return "", _("See how you can become a borrower")
    if reason == "no_policy_for_service" and who == "private":
        return "/hospital", _("I work at Aarhus University Hospital")
    return None


_IDENTIFICATION, _AUTHENTICATION = "IDENTIFICATION_FAILURE", "AUTHENTICATION_FAILURE"
_NUMBER: Final = "schacPersonalUniqueID"
# Reason: code of REFEDS errorURL, and the names (never values) of the attributes that it is about.
_CODES: Final = {
    **dict.fromkeys(
        (
            "scope_mismatch",
            "several_values",
            "bad_value",
            "cpr_shaped",
            "cpr_disagrees",
            "attributes_refused",
        ),
        (_IDENTIFICATION, ""),
    ),
    "cpr_required": (_IDENTIFICATION, _NUMBER),
    "no_affiliation": ("AUTHORIZATION_FAILURE", ""),
    "assurance_too_low": (_AUTHENTICATION, ""),
    "upstream_refused": ("OTHER_ERROR", ""),
}


def upstream_help_url(step: Refuse, transaction: Transaction, ports: WebPorts) -> str | None:
    """Give the upstream's own page for ``step``, or None where it names none or could not help."""
    code, names = _CODES.get(step.reason, ("", ""))
    upstream = transaction.upstream
    if not code or upstream is None or upstream in ports.broker.rules.local:
        return None
    return ports.upstream_face.error_url(upstream, code, transaction.reference, names, ports.now())
