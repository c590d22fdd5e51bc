"""Wires the staff view, which exists only if broker.toml has a table [admin]."""

from contextlib import suppress
from functools import partial
from urllib.parse import quote

from flask import Blueprint

from broker.adapters.web.pages.web_ports import WebPorts
from broker.adapters.web.staff.staff_access import StaffAccess
from broker.adapters.web.staff.staff_cases import StaffCases
from broker.adapters.web.staff.staff_policies import StaffPolicyPages
from broker.app.assembly import Parts, now
from broker.configuration.settings.tables import NUMBER_PLACE
from broker.core.errors import StoreUnavailable
from broker.use_cases.login.arrivals import Arrivals
from broker.use_cases.staff.staff_logins import StaffLogins
from broker.use_cases.staff.staff_sessions import StaffSessions


def make_blueprint(parts: Parts, ports: WebPorts) -> Blueprint | None:
    """Return everything below ``/admin``, or None without a staff view.

    Sessions of staff who are no longer listed end here.
    """
    rules = parts.config.staff_rules()
    if rules is None:
        return None
    arrivals = Arrivals(parts.store, parts.keys.index)
    logins = StaffLogins(arrivals, rules, lambda: parts.upstreams[rules.upstream], parts.maps.maps)
    sessions = StaffSessions(parts.store, parts.keys.index, rules)
    with suppress(StoreUnavailable):  # the next login does it
        sessions.drop_unlisted(now())
    access = StaffAccess(ports, logins, sessions)
    routes = access.routes()
    StaffPolicyPages(access, parts.make_trial_site).add_to(routes)
    url = partial(borrower_url, parts)
    cases = StaffCases(access, parts.staff_search, parts.pins, parts.make_explainer, url)
    cases.add_to(routes)
    return routes


def borrower_url(parts: Parts, number: str) -> str:
    """Return the address of a borrower in the library system, or "" if none is configured."""
    template = parts.config.library.staff_url
    return template.replace(NUMBER_PLACE, quote(number, safe="")) if template else ""
