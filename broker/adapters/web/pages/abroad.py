"""Where an upstream helps its own: the page it names, for the reasons that it and nobody else can mend."""

from typing import Final

from broker.adapters.web.pages.desk import WebPorts
from broker.core.steps import Refuse
from broker.core.transaction import Transaction

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


def upstream_help_url(step: Refuse, transaction: Transaction, desk: WebPorts) -> str | None:
    """Give the upstream's own page for ``step``, or None where it names none or could not help."""
    code, names = _CODES.get(step.reason, ("", ""))
    upstream = transaction.upstream
    if not code or upstream is None or upstream in desk.broker.rules.local:
        return None
    return desk.upstream_face.error_url(upstream, code, transaction.reference, names, desk.now())
