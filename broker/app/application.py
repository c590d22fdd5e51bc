"""The WSGI application: Flask with the blueprints of all pages."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import ip_network
from threading import BoundedSemaphore
from typing import Final
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, g, request
from werkzeug.middleware.proxy_fix import ProxyFix

from broker.adapters.observability import application_log
from broker.adapters.saml.idp.identity_provider import IdentityProvider
from broker.adapters.saml.logout.logout_service import LogoutService
from broker.adapters.saml.metadata import own_metadata
from broker.adapters.saml.sp.service_provider import ServiceProvider
from broker.adapters.web import page_layout, public_pages
from broker.adapters.web.account import my_choices, pin
from broker.adapters.web.client_address import (
    UncountedProxies,
    find_network,
    find_request_id,
    is_within,
)
from broker.adapters.web.login import (
    claim,
    library_login,
    login,
    logout,
    mailbox_proof,
    step_answers,
)
from broker.adapters.web.message_recording import MessageRecorder
from broker.adapters.web.network_limits import Campus, NetworkLimits
from broker.adapters.web.pages import error_pages
from broker.adapters.web.pages.cookies import BrowserCookies
from broker.adapters.web.pages.page_security import FormTokens
from broker.adapters.web.pages.web_ports import WebPorts
from broker.adapters.web.public_pages import Pictures
from broker.adapters.web.sign_up import sign_up_pages
from broker.app import configured_texts, staff_view
from broker.app.assembly import Parts, assemble, now
from broker.app.named_configuration import configuration
from broker.app.readiness import list_gauges, notes, readiness
from broker.configuration.settings.config import Config
from broker.core.errors import ConfigurationFaults, Fault
from broker.use_cases.enrolment.borrower_claims import BorrowerClaims
from broker.use_cases.login.login import LoginFlow
from broker.use_cases.logout.logout_flow import LogoutFlow
from broker.use_cases.logout.sessions import Sessions
from broker.use_cases.personal_data.given_consents import GivenConsents
from broker.use_cases.pins.mailbox_proofs import MailboxProofs

LARGEST_BODY: Final = 1024 * 1024  # far above any SAML message or form
MOST_WAITING: Final = 20
# One check a second: the moment of a check then reveals nothing about its result.
CHECK_EVERY_S: Final = 1.0


def create_app(settings: Config | None = None) -> Flask:
    """Return the broker as a WSGI application; it starts no thread.

    ``settings`` are read from the environment if None. Raises ConfigurationFaults with all faults,
    also under ``python -O``, which removes checks of pysaml2 (docs/reference/attacks.md#34).

    Source: docs/reference/design.md#waiting.
    """
    if not __debug__:
        fix = "start it without -O and PYTHONOPTIMIZE"
        raise ConfigurationFaults([Fault("python", "runs with -O", fix)])
    application_log.configure()
    parts = assemble(settings or configuration())
    config = parts.config
    app = Flask("broker.adapters.web", static_url_path="/static")
    if config.serve.proxies:
        # Believe only what the counted proxies added: a client can write the rest of the header.
        behind_proxies = ProxyFix(app.wsgi_app, x_for=config.serve.proxies, x_proto=0)
        app.wsgi_app = behind_proxies  # type: ignore[method-assign]
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.extensions["broker"] = parts
    proxies = UncountedProxies(now, parts.tell)
    _time_requests(app, parts, proxies)
    pictures = Pictures.read(config.base_url, config.pictures(), config.colour)
    imprint = configured_texts.make_imprint(config, pictures)
    page_layout.install(app, imprint, config.base_url, config.language)
    ports = _make_web_ports(parts, pictures)
    app.register_blueprint(public_pages.picture_pages(pictures))
    for blueprint in _make_blueprints(parts, ports):
        app.register_blueprint(blueprint)
    health = public_pages.metadata_and_health(
        partial(_write_idp_descriptor, parts),
        {name: partial(_write_sp_descriptor, parts, name) for name in parts.saml_upstreams},
        partial(readiness, parts),
        lambda: {**notes(parts), **proxies.notes()},
    )
    app.register_blueprint(health)
    error_pages.install(app, ports)
    return app


def _time_requests(app: Flask, parts: Parts, proxies: UncountedProxies) -> None:
    """Count and time every request, also error pages; the lines of its log carry its id."""

    def begin() -> None:
        g.began = time.perf_counter()
        application_log.set_request_id(find_request_id(request))
        proxies.report_if_uncounted()

    def end(response: Response) -> Response:
        seconds = time.perf_counter() - g.began
        parts.metrics.request(request.endpoint or "none", response.status_code, seconds)
        return response

    app.before_request(begin)
    app.after_request(end)
    app.teardown_request(lambda _: application_log.set_request_id(None))


def _make_web_ports(parts: Parts, pictures: Pictures) -> WebPorts:
    config, person_lookup = parts.config, parts.person_lookup
    base_url = config.base_url
    index = parts.keys.index
    shared_networks = tuple(map(ip_network, config.shared_networks))
    broker = LoginFlow(
        parts.store, index, person_lookup.rules, person_lookup, config.sign_up.service
    )
    cookies = BrowserCookies(index, config.uses_https, urlsplit(base_url).path or "/")
    library_accounts = (name for name, upstream in parts.upstreams.items() if upstream.local)
    sp_entity_ids = [each.sp_entity_id for each in parts.saml_upstreams.values()]
    own_entity_ids = frozenset((config.idp_entity_id, *sp_entity_ids))
    table = config.limits
    campuses = [Campus(ip_network(name), most) for name, most in table.campuses.items()]
    return WebPorts(
        login_flow=broker,
        idp_role=IdentityProvider(
            base_url,
            config.idp_entity_id,
            parts.keys.idp.load_signing_key(),
            parts.metadata,
            services={service.entity_id: service for service in parts.services.values()},
            maps=parts.maps.maps,
            own_entity_ids=own_entity_ids,
        ),
        sp_role=ServiceProvider(
            base_url,
            parts.keys.sp.load_signing_key(),
            parts.keys.sp.load_decryption_keys(),
            parts.metadata,
            upstreams=parts.saml_upstreams,
            own_entity_ids=own_entity_ids,
        ),
        messages=MessageRecorder(parts.messages, config.message_log_upstreams(), now),
        cookies=cookies,
        forms=FormTokens(index, base_url, now),
        now=now,
        tell=parts.tell,
        services=parts.services,
        upstreams=parts.upstreams,
        labels=parts.maps.labels,
        base_url=base_url,
        log_unexpected=application_log.log_unexpected,
        shared=lambda: is_within(request, shared_networks) or cookies.is_marked_shared(),
        network=lambda: find_network(request),
        limits=NetworkLimits(
            table.beginnings, campuses, lambda: cookies.login_mark(now()), now, parts.tell
        ),
        submit=AccountChecks().submit,
        library_name=configured_texts.library_name_in_sentence(config),
        cpr_cards=config.library.settings.get("card_number") != "system",
        sign_up=configured_texts.find_sign_up_url(config),
        logo=lambda service: pictures.url(f"service-{service}"),
        library_account=next(library_accounts, None),
    )


def _make_blueprints(parts: Parts, ports: WebPorts) -> Iterator[Blueprint]:
    """Yield the blueprints of logins, account pages, sign-up pages and metrics."""
    if staff_pages := staff_view.make_blueprint(parts, ports):
        yield staff_pages
    codes, outbox = parts.codes, parts.outbox
    claims = BorrowerClaims(parts.borrower_finder, codes, outbox)
    proof = MailboxProofs(parts.persons, codes, outbox)
    given_consents = GivenConsents(parts.persons, parts.keys.index, parts.services)
    yield login.blueprint(login.LoginEndpoints(ports))
    yield step_answers.blueprint(ports)
    yield public_pages.service_error_page(ports)
    yield public_pages.start_page(ports.base_url, ports.cookies, ports.upstreams)
    yield claim.ClaimPages(ports, claims).routes()
    yield mailbox_proof.MailboxProofPages(ports, proof, parts.person_lookup).routes()
    yield my_choices.MyChoices(ports, parts.stored_data, given_consents).routes()
    yield library_login.LibraryLoginPages(ports, parts.library_logins).routes()
    yield pin.PinPages(ports, parts.pins).routes()
    role = LogoutService(
        ports.base_url,
        parts.config.idp_entity_id,
        parts.keys,
        parts.metadata,
        services=parts.services,
        upstreams=parts.saml_upstreams,
    )
    sessions = Sessions(parts.store, parts.keys.index)
    logouts = LogoutFlow(
        parts.store, sessions, parts.services, parts.saml_upstreams, role.can_reach
    )
    yield logout.blueprint(ports, role, logouts)
    sign_up = configured_texts.make_sign_up(parts.config, parts.services)
    if sign_up:
        yield sign_up_pages.blueprint(parts.texts, sign_up, parts.config.base_url)
    token = parts.config.serve.metrics_token
    yield public_pages.metrics_endpoint(
        lambda: parts.metrics.page(list(list_gauges(parts))),
        token.get_secret_value() if token else None,
    )


def _write_idp_descriptor(parts: Parts) -> bytes:
    config = parts.config
    scopes = [config.idp.scope] if config.idp.scope else []
    for upstream in parts.upstreams.values():
        for institution in upstream.institutions:
            scopes.extend(institution.scopes)
    texts = configured_texts.describe_role(config)
    return own_metadata.write_idp_descriptor(texts, parts.keys.idp, scopes, now())


def _write_sp_descriptor(parts: Parts, name: str) -> bytes:
    upstream = parts.upstreams[name]
    texts = configured_texts.describe_role(parts.config)
    return own_metadata.write_sp_descriptor(upstream, texts, parts.keys.sp, now())


class AccountChecks:
    """Checks of library accounts after the page was answered: in order, one a second.

    The thread starts with the first check.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._places = BoundedSemaphore(MOST_WAITING)

    def submit(self, check: Callable[[], None]) -> bool:
        """Queue a check; False if twenty checks wait."""
        if not self._places.acquire(blocking=False):
            return False
        self._thread.submit(self._run, check)
        return True

    def _run(self, check: Callable[[], None]) -> None:
        self._places.release()
        began = time.monotonic()
        try:
            check()
        except Exception as error:  # noqa: BLE001 - one check must not end the others
            application_log.log_unexpected(error, "account check")
        time.sleep(max(0.0, began + CHECK_EVERY_S - time.monotonic()))
