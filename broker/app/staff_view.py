"""The staff view joined from its parts; there is none where broker.toml has no [admin]."""

from contextlib import suppress
from urllib.parse import quote, urlsplit

from flask import Blueprint

from broker.adapters.web.admin.staff_cases import StaffCases
from broker.adapters.web.admin.staff_cookie import StaffCookie
from broker.adapters.web.admin.staff_door import StaffDoor
from broker.adapters.web.admin.staff_ports import (
    ExplainedRefusal,
    LoginToTry,
    StaffPorts,
    TriedLogin,
    TryableLogins,
)
from broker.adapters.web.admin.staff_references import StaffReferences
from broker.adapters.web.admin.staff_trials import StaffTrials
from broker.adapters.web.pages.web_ports import WebPorts
from broker.app import enrolment_operations, policy_words, refusal_explanations
from broker.app.assembly import Parts, now
from broker.app.policy_words import Wording
from broker.core.errors import PinNoAddress, StoreUnavailable
from broker.core.staff import StaffRules
from broker.core.staff_sentences import PAGES
from broker.files.settings.tables import NUMBER_PLACE
from broker.use_cases import policy_trials
from broker.use_cases.login.arrivals import Arrivals
from broker.use_cases.staff.reference_guesses import ReferenceGuesses
from broker.use_cases.staff.staff_logins import StaffLogins
from broker.use_cases.staff.staff_sessions import StaffSessions


def logins(parts: Parts) -> StaffLogins | None:
    """Return the logins of staff; None where the staff view is off."""
    rules = _rules(parts)
    if rules is None:
        return None
    arrivals = Arrivals(parts.store, parts.keys.index)
    return StaffLogins(arrivals, rules, lambda: parts.upstreams[rules.upstream], parts.maps.maps)


def door(parts: Parts, ports: WebPorts) -> StaffDoor | None:
    """Return the way in to the staff view; None where it is off."""
    found = logins(parts)
    if found is None:
        return None
    config = parts.config
    sessions = StaffSessions(parts.store, parts.keys.index, found.rules)
    with suppress(StoreUnavailable):  # the next login does it
        sessions.drop_unlisted(now())
    cookie = StaffCookie(config.secure, urlsplit(config.base_url).path or "/")
    return StaffDoor(ports, found, sessions, cookie)


def blueprint(parts: Parts, entrance: StaffDoor) -> Blueprint:
    """Return everything below ``/admin``."""
    routes = entrance.routes()
    ports = _ports(parts)
    guesses = ReferenceGuesses(parts.store, parts.keys.index, now)
    StaffTrials(entrance, ports).add_to(routes)
    StaffReferences(entrance, ports, guesses).add_to(routes)
    search = enrolment_operations.search(parts, entrance.ports.now)
    StaffCases(entrance, ports, search).add_to(routes)
    return routes


def _rules(parts: Parts) -> StaffRules | None:
    return parts.config.admin.rules() if parts.config.admin else None


def _ports(parts: Parts) -> StaffPorts:
    return StaffPorts(
        tryable=lambda: tryable(parts),
        tried=lambda login, language: tried(parts, login, language),
        explained=lambda reference, language: explained(parts, reference, language),
        borrower_url=lambda number: borrower_url(parts, number),
        page_action=PAGES.get,
        send_pin_mail=lambda *given: send_pin_mail(parts, *given),
    )


def borrower_url(parts: Parts, number: str) -> str:
    """Return the address of a borrower in the library system; "" where none is configured."""
    template = parts.config.library.staff_url
    return template.replace(NUMBER_PLACE, quote(number, safe="")) if template else ""


def send_pin_mail(parts: Parts, number: str, language: str, asked_at: str) -> bool:
    """Queue a PIN mail for a borrower; False if the library system has no address for it."""
    if not parts.pin_mails.live:
        return False
    try:
        parts.pin_mails.request_by_staff(number, language, asked_at)
    except PinNoAddress:
        return False
    return True


def tryable(parts: Parts) -> TryableLogins:
    """Return what is configured, and the affiliations of the policies in force."""
    return TryableLogins(
        upstreams={name: each.label for name, each in parts.upstreams.items()},
        services={name: each.label for name, each in parts.services.items()},
        affiliations=tuple(policy.affiliation for policy in parts.policies.current.policies),
    )


def tried(parts: Parts, login: LoginToTry, language: str) -> TriedLogin:
    """Play a login by the policies in force, as ``broker policy try`` does; nothing is stored."""
    site = refusal_explanations.of_parts(parts)
    services = (login.service,) if login.service else ()
    trial = policy_trials.try_login(site, login.given, services, now())
    words = Wording(language)
    lines = policy_words.trial_lines(site, trial, now(), words, nearest=login.nearest)
    return TriedLogin(site.policies.digest, tuple(lines))


def explained(parts: Parts, reference: str, language: str) -> ExplainedRefusal | None:
    """Return what a reference stands for; None for one that no page of thirty days had."""
    found = refusal_explanations.explained(parts, reference, now())
    if found is None:
        return None
    lines = refusal_explanations.lines(found, Wording(language))
    return ExplainedRefusal(found.reason, tuple(lines))
