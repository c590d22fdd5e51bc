"""The staff view over the parts; it exists only if broker.toml has a table [admin]."""

from contextlib import suppress
from functools import partial
from urllib.parse import quote

from flask import Blueprint

from broker.adapters.translations.catalogue import translate
from broker.adapters.web.pages.web_ports import WebPorts
from broker.adapters.web.staff.staff_access import StaffAccess
from broker.adapters.web.staff.staff_cases import StaffCases
from broker.adapters.web.staff.staff_policies import ExplainedRefusal, StaffPolicies, TriedLogin
from broker.app.assembly import Parts, now
from broker.configuration.settings.tables import NUMBER_PLACE
from broker.core.errors import StoreUnavailable
from broker.core.login.given_facts import GivenFacts
from broker.use_cases.login.arrivals import Arrivals
from broker.use_cases.policy_trials.explanations import explanation_lines
from broker.use_cases.policy_trials.login_trials import try_login
from broker.use_cases.policy_trials.trial_text import trial_lines
from broker.use_cases.policy_trials.wording import Wording
from broker.use_cases.staff.staff_logins import StaffLogins
from broker.use_cases.staff.staff_sessions import StaffSessions
from broker.use_cases.storage.rate_limits import Limits


def make_blueprint(parts: Parts, ports: WebPorts) -> Blueprint | None:
    """Return everything below ``/admin``, or None without a staff view."""
    rules = parts.config.staff_rules()
    if rules is None:
        return None
    arrivals = Arrivals(parts.store, parts.keys.index)
    found = StaffLogins(arrivals, rules, lambda: parts.upstreams[rules.upstream], parts.maps.maps)
    sessions = StaffSessions(parts.store, parts.keys.index, rules)
    with suppress(StoreUnavailable):  # the next login does it
        sessions.drop_unlisted(now())
    access = StaffAccess(ports, found, sessions)
    routes = access.routes()
    limits = Limits(parts.store, parts.keys.index, now)
    explained, tried = partial(explain_refusal, parts), partial(try_policies, parts)
    StaffPolicies(access, limits, explained, tried).add_to(routes)
    url = partial(borrower_url, parts)
    StaffCases(access, parts.staff_search, parts.pins, url).add_to(routes)
    return routes


def borrower_url(parts: Parts, number: str) -> str:
    """Return the address of a borrower in the library system, or "" if none is configured."""
    template = parts.config.library.staff_url
    return template.replace(NUMBER_PLACE, quote(number, safe="")) if template else ""


def try_policies(parts: Parts, given: GivenFacts, service: str, language: str) -> TriedLogin:
    """Decide a login by the policies in force, as ``broker policy try``; store nothing."""
    site = parts.make_trial_site()
    trial = try_login(site, given, (service,) if service else (), now())
    lines = trial_lines(site, trial, now(), Wording(language, translate))
    return TriedLogin(site.policies.digest, tuple(lines))


def explain_refusal(parts: Parts, reference: str, language: str) -> ExplainedRefusal | None:
    """Return what a help code stands for; None if no page of the last thirty days has it."""
    found = parts.make_explainer().explain(reference, now())
    if found is None:
        return None
    lines = explanation_lines(found, Wording(language, translate))
    return ExplainedRefusal(found, tuple(lines))
