"""The links to pages that help a person who is refused: our sign-up pages, the upstream's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from broker.adapters.web.pages.language import spoken
from broker.adapters.web.pages.page_links import with_query
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.entities import Text
from broker.core.login.steps import Refuse
from broker.core.login.transaction import Errand, Transaction
from broker.use_cases.transactions.transactions import Held

_UNIVERSITY: Final = frozenset({"student", "employee"})
_AFFILIATIONS: Final = frozenset({"student", "employee", "hospital", "private"})
_NUMBERLESS: Final = frozenset({"cpr_required", "replacement_number", "constructed_number"})
# A borrower needs a CPR number and a name, and this login brought none that may be used.
_BY_ANOTHER_WAY: Final = _NUMBERLESS | {"national_eid_required", "name_required", "address_not_own"}
# Others are let in: the page says who.
_OF_OTHERS: Final = frozenset({"no_affiliation", "no_policy_for_service", "too_young"})
# Reason: the sign-up page that helps, and what the link to it reads.
_PAGES: Final[Mapping[str, tuple[str, LazyString]]] = {
    "national_eid_required": ("/private", _("Sign up as a private user")),
    "no_affiliation": ("", _("See how you can become a borrower")),
    "no_policy_for_service": ("/hospital", _("I work at Aarhus University Hospital")),
}

_IDENTIFICATION: Final = "IDENTIFICATION_FAILURE"
_AUTHENTICATION: Final = "AUTHENTICATION_FAILURE"
_AUTHORIZATION: Final = "AUTHORIZATION_FAILURE"
_OTHER: Final = "OTHER_ERROR"
_NUMBER: Final = "schacPersonalUniqueID"
# Reason: code of REFEDS errorURL, and the names (never values) of the attributes that it is about.
_ERROR_URL_CODES: Final = {
    "scope_mismatch": (_IDENTIFICATION, ""),
    "several_values": (_IDENTIFICATION, ""),
    "bad_value": (_IDENTIFICATION, ""),
    "no_verified_address": (_IDENTIFICATION, "mail"),
    "bad_characters": (_IDENTIFICATION, ""),
    "blanks_around": (_IDENTIFICATION, ""),
    "too_long": (_IDENTIFICATION, ""),
    "cpr_shaped": (_IDENTIFICATION, ""),
    "cpr_disagrees": (_IDENTIFICATION, ""),
    "attributes_refused": (_IDENTIFICATION, ""),
    "cpr_required": (_IDENTIFICATION, _NUMBER),
    "no_affiliation": (_AUTHORIZATION, ""),
    "assurance_too_low": (_AUTHENTICATION, ""),
    "upstream_refused": (_OTHER, ""),
}


@dataclass(frozen=True, slots=True)
class SignUpLink:
    """A link to one of our own pages, and what it reads."""

    url: str
    label: LazyString


def sign_up_link(step: Refuse, transaction: Transaction, sign_up: str | None) -> SignUpLink | None:
    """Return the link to the sign-up page that helps with ``step``, or None.

    The page leads back to the service. ``sign_up`` is the address of our sign-up pages, None where
    there are none.
    """
    affiliation = step.decision.affiliation if step.decision else None
    page = _page(step.reason, affiliation)
    if page is None or sign_up is None:
        return None
    path, label = page
    back = transaction.back
    if transaction.errand is Errand.LOGIN:
        back = transaction.request.service
    url = with_query(sign_up + path, {"service": back})
    return SignUpLink(url, label)


def ways_to_borrower(
    step: Refuse, transaction: Transaction, ports: WebPorts
) -> tuple[tuple[str, Text], ...]:
    """Return the ways to log in that lead to a borrower where this login leads to none.

    The national eID and the library account, by name and label, where the request may take them.
    """
    if step.reason not in _BY_ANOTHER_WAY:
        return ()
    rules = ports.broker.rules
    leading = []
    for name in rules.ways(transaction.request, transaction.errand):
        upstream = ports.upstreams[name]
        if name != transaction.upstream and (upstream.local or upstream.national_eid):
            leading.append((name, upstream.label))
    return tuple(leading)


def admitted(step: Refuse, held: Held, ports: WebPorts) -> tuple[tuple[str, int | None], ...]:
    """Return who may use the service, where it is not the person who is refused.

    By the label of each policy that releases anything to it, with the least age where there is one.
    """
    if step.reason not in _OF_OTHERS:
        return ()
    service = ports.services[held.transaction.request.service]
    names = {service.name, *service.categories}
    return tuple(
        (spoken(policy.label), policy.require.age)
        for policy in ports.broker.policies(held).policies
        if any(release.service in names for release in policy.releases)
    )


def upstream_help_url(step: Refuse, transaction: Transaction, ports: WebPorts) -> str | None:
    """Return the upstream's own page for ``step``; None where it has none or could not help."""
    upstream = transaction.upstream
    if upstream is None or upstream in ports.broker.rules.local:
        return None
    if step.reason not in _ERROR_URL_CODES:
        return None
    code, names = _ERROR_URL_CODES[step.reason]
    role = ports.sp_role
    now = ports.now()
    return role.error_url(upstream, code, transaction.reference, names, now)


def _page(reason: str, affiliation: str | None) -> tuple[str, LazyString] | None:
    """Return path and label of the page that helps with a reason; None where none does."""
    if reason in _NUMBERLESS:
        # People without a CPR number are served in person, each affiliation with its own papers
        # (docs/reference/requirements.md#r11, #r12 and #r36).
        if affiliation not in _UNIVERSITY:
            return None
        return f"/{affiliation}/temporary", _("See what to bring to a service location")
    if reason == "no_library_account":
        label = _("Sign up for a library account")
        if affiliation in _AFFILIATIONS:
            return f"/{affiliation}", label
        return "", label
    if reason == "no_policy_for_service" and affiliation != "private":
        return None
    return _PAGES.get(reason)
