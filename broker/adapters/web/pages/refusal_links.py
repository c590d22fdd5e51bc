"""The buttons and links of a refusal: ways to log in, sign-up pages, help, the way back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from broker.adapters.web.pages.failure_texts import ActionKind
from broker.adapters.web.pages.language import localize_text
from broker.adapters.web.pages.page_links import add_query
from broker.adapters.web.pages.reason_texts import explain
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.entities import Service, Upstream
from broker.core.login.steps import Refuse
from broker.core.login.transaction import LoginPurpose, Transaction
from broker.core.policy.model import Policy
from broker.use_cases.transactions.transactions import LoginContext

_UNIVERSITY: Final = frozenset({"student", "employee"})
_AFFILIATIONS: Final = frozenset({"student", "employee", "hospital", "private"})
_SUBSTITUTES: Final = frozenset({"replacement_number", "constructed_number"})
_NUMBERLESS: Final = _SUBSTITUTES | {"cpr_required"}
# Reasons for which another upstream can help: this login lacks a usable CPR number or name.
_BY_ANOTHER_WAY: Final = _NUMBERLESS | {"national_eid_required", "name_required", "address_not_own"}
# Reasons for which the page lists the people who may use the service.
_OF_OTHERS: Final = frozenset({"no_affiliation", "no_policy_for_service"})
# For each reason, the sign-up page that helps and the label of its link.
_PAGES: Final[Mapping[str, tuple[str, LazyString]]] = {
    "national_eid_required": ("/private", _("Sign up as a private user")),
    "no_affiliation": ("", _("See how you can become a borrower")),
    "upstream_refused": ("", _("See how you can become a borrower")),
    "no_library_account": ("", _("Sign up for a library account")),
    "no_policy_for_service": ("/hospital", _("I work at Aarhus University Hospital")),
}

# For each reason, the attribute names (never values) that the upstream's errorURL page gets.
_ATTRIBUTES: Final = {"no_verified_address": "mail", "cpr_required": "schacPersonalUniqueID"}


@dataclass(frozen=True, slots=True)
class Action:
    """A button or link of a refusal.

    An action of kind "way" posts the upstream ``way``. A "return" without ``url`` posts the error
    Response to the service. A "contact" without ``url`` leads to the library's own page.
    """

    kind: ActionKind
    label: LazyString | str
    url: str = ""
    way: str = ""


_CONTACT: Final = Action("contact", _("Contact the library"))


def choose_actions(
    step: Refuse, transaction: Transaction, ports: WebPorts, retry: str
) -> tuple[Action, ...]:
    """Return the buttons and links of a refusal, the main one first."""
    actions = []
    page = find_sign_up_page(step, transaction, ports.sign_up)
    if page:
        actions.append(page)
    for upstream in upstreams_to_borrower(step, transaction, ports):
        label = _("Log in with your library account")
        if not upstream.local:
            label = _("Log in with %(way)s", way=localize_text(upstream.label))
        actions.append(Action("way", label, way=upstream.name))
    if explain(step.reason).main == "again":
        actions.append(Action("again", _("Log in again"), retry))
    help_url = upstream_help_url(step, transaction, ports)
    if help_url:
        actions.append(Action("help", _("Get help where you logged in"), help_url))
    back = _go_on_to(ports.services.get(transaction.back or ""))
    if transaction.purpose is LoginPurpose.LOGIN:
        service = ports.services[transaction.request.service]
        back = Action("return", _("Return to %(service)s", service=localize_text(service.label)))
    return order_actions(step.reason, tuple(actions), back)


def choose_error_actions(
    reason: str, retry: str | None, service: Service | None, base_url: str
) -> tuple[Action, ...]:
    """Return the buttons and links of an error, the main one first.

    ``retry`` is the address where the person may try again, ``service`` the one to go back to,
    if it is known.
    """
    again = (Action("again", _("Try again"), retry),) if retry else ()
    start = Action("return", _("Go to the start page"), f"{base_url}/")
    return order_actions(reason, again, _go_on_to(service) or start)


def order_actions(
    reason: str, actions: tuple[Action, ...], back: Action | None
) -> tuple[Action, ...]:
    """Return the main action of ``reason``, a sign-up page, the way back, and the others.

    The others keep their order; contact to the library is always among them. Without a CPR number
    the way back comes last: the service would only refuse the person again.
    """
    main = explain(reason).main
    if main == "return" and back:
        return (back, *actions, _CONTACT)
    first, *others = sorted((*actions, _CONTACT), key=lambda action: action.kind != main)
    if back:
        others.insert(len(others) if reason in _NUMBERLESS else 0, back)
    return (first, *sorted(others, key=lambda action: action.kind != "sign_up"))


def _go_on_to(service: Service | None) -> Action | None:
    """Return the link to the address of ``service``, if it has one."""
    if service is None or service.url is None:
        return None
    label = _("Go on to %(service)s", service=localize_text(service.label))
    return Action("return", label, localize_text(service.url))


def find_sign_up_page(step: Refuse, transaction: Transaction, sign_up: str | None) -> Action | None:
    """Return the link to the sign-up page that helps with ``step``, or None.

    The page leads back to the service. ``sign_up`` is the address of our sign-up pages, or None.
    """
    affiliation = step.decision.affiliation if step.decision else None
    path, label = _PAGES.get(step.reason, (None, ""))
    if step.reason in _NUMBERLESS and affiliation in _UNIVERSITY:
        # People without a CPR number are served in person, each affiliation with its own papers
        # (docs/reference/requirements.md#r11, #r12 and #r36).
        path, label = f"/{affiliation}/temporary", _("See what to bring to a service location")
    elif step.reason == "no_library_account" and affiliation in _AFFILIATIONS:
        path = f"/{affiliation}"
    elif step.reason == "no_policy_for_service" and affiliation != "private":
        path = None
    if path is None or sign_up is None:
        return None
    # The Back link of that page leads to the refusal, not to a question nobody has answered.
    came = {"service": transaction.service_before, "login": transaction.id, "from": "login"}
    url = add_query(sign_up + path, came)
    return Action("sign_up", label, url)


def upstreams_to_borrower(
    step: Refuse, transaction: Transaction, ports: WebPorts
) -> list[Upstream]:
    """Return the upstreams with which a person who is refused here can get to a borrower.

    They are the national eID and the library account, if the request may use them. A person with a
    substitute for a CPR number has no national eID, but may have a temporary library card.
    """
    if step.reason not in _BY_ANOTHER_WAY:
        return []
    rules = ports.login_flow.rules
    leading = []
    for name in rules.list_upstreams(transaction.request, transaction.purpose):
        upstream = ports.upstreams[name]
        if name != transaction.upstream and (upstream.local or upstream.national_eid):
            leading.append(upstream)
    has_substitute = step.reason in _SUBSTITUTES
    return sorted(leading, key=lambda upstream: upstream.local != has_substitute)


def list_admitted(step: Refuse, context: LoginContext, ports: WebPorts) -> tuple[Policy, ...]:
    """Return the policies that admit other people to the service that refuses this person."""
    if step.reason not in _OF_OTHERS:
        return ()
    service = ports.services[context.transaction.request.service]
    names = {service.name, *service.categories}
    return tuple(
        policy
        for policy in ports.login_flow.person_at_login.policies(context).policies
        if any(release.service in names for release in policy.releases)
    )


def upstream_help_url(step: Refuse, transaction: Transaction, ports: WebPorts) -> str | None:
    """Return the upstream's errorURL for ``step``; None if it has none or could not help."""
    code = explain(step.reason).error_url_code
    upstream = transaction.upstream
    if not code or upstream is None or upstream in ports.login_flow.rules.local:
        return None
    names = _ATTRIBUTES.get(step.reason, "")
    return ports.sp_role.error_url(upstream, code, transaction.reference, names, ports.now())
