"""The composition root: parts in, Flask application out; the only place that knows every room."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from flask import Blueprint, Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from broker.adapters.saml.faces import own_metadata
from broker.adapters.saml.faces.identity_provider import IdentityProviderFace
from broker.adapters.saml.faces.service_provider import ServiceProviderFace
from broker.adapters.saml.faces.single_logout import SingleLogout
from broker.adapters.telling import application_log
from broker.adapters.web import metadata_and_health, metrics_endpoint, page_layout
from broker.adapters.web.account import my_choices, pin
from broker.adapters.web.client_address import ClientAddresses
from broker.adapters.web.login import consent, login, logout, mailbox_proof, pin_login
from broker.adapters.web.login.message_logging import LoggedLogoutFace, LoggedUpstreamFace
from broker.adapters.web.pages import error_pages, error_url_page
from broker.adapters.web.pages.cookies import BrowserCookies
from broker.adapters.web.pages.form_tokens import FormTokens
from broker.adapters.web.pages.step_pages import StepPages
from broker.adapters.web.pages.web_ports import WebPorts
from broker.adapters.web.signup import begin_sign_up, sign_up_pages
from broker.app import library_texts as wording
from broker.app.assembly import Parts, assemble, now, read_config
from broker.app.inspection import notes, readiness
from broker.app.metric_gauges import gauges
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.ports import LogoutFace, UpstreamFace
from broker.files.settings.config import Config
from broker.flows.consents.given_consents import GivenConsents
from broker.flows.login.login import LoginFlow
from broker.flows.login.person_lookup import PersonLookup
from broker.flows.logout.sessions import Sessions
from broker.flows.logout.single_logout import SingleLogoutFlow

# One megabyte is far above any message or form of ours.
_LARGEST_BODY: Final = 1024 * 1024


def create_app(settings: Config | None = None) -> Flask:
    """Give the broker as a WSGI application, mounted where base_url says; it starts no thread (design 4c).

    ``ConfigurationFaults`` under ``python -O``, whatever server brought it there: it takes out the
    assertions that are checks in pysaml2 (attacks.md row 34).
    """
    if not __debug__:
        raise ConfigurationFaults(
            [Fault("python", "runs with -O", "start it without -O and PYTHONOPTIMIZE")]
        )
    application_log.configure()
    parts = assemble(settings or read_config())
    app = Flask("broker.adapters.web", static_url_path="/static")
    if parts.config.serve.proxies:
        # Only what the proxies we count have added is believed: whoever asks may write the rest of
        # the header.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=parts.config.serve.proxies, x_proto=0)  # type: ignore[method-assign]
    app.config["MAX_CONTENT_LENGTH"] = _LARGEST_BODY
    app.extensions["broker"] = parts
    page_layout.install(
        app, wording.imprint(parts.config), parts.config.base_url, parts.config.language
    )
    lookup = parts.person_lookup()
    ports = _ports(parts, lookup)
    pages = StepPages(ports)
    for room in _rooms(parts, ports, pages, lookup):
        app.register_blueprint(room)
    error_pages.install(app, ports, pages)
    return app


def _ports(parts: Parts, lookup: PersonLookup) -> WebPorts:
    base_url, index = parts.config.base_url, parts.keys.index
    callers = ClientAddresses.of(parts.config.shared_networks)
    broker = LoginFlow(parts.store, index, lookup.rules, lookup, parts.config.sign_up.service)
    return WebPorts(
        broker=broker,
        service_face=_service_face(parts),
        upstream_face=_kept(parts, broker, _upstream_face(parts)),
        cookies=BrowserCookies(index, parts.config.secure, urlsplit(base_url).path or "/"),
        forms=FormTokens(index, base_url),
        now=now,
        tell=parts.tell,
        services=parts.services,
        upstreams=parts.upstreams,
        labels=parts.maps.labels,
        base_url=base_url,
        unexpected=application_log.unexpected,
        shared=callers.shared,
        network=callers.network,
        library=wording.called(parts.config),
        sign_up=wording.sign_up_url(parts.config),
        local=next((name for name, each in parts.upstreams.items() if each.local), None),
    )


def _rooms(
    parts: Parts, ports: WebPorts, pages: StepPages, lookup: PersonLookup
) -> Iterator[Blueprint]:
    entry = login.LoginEndpoints(ports, pages)
    yield login.blueprint(entry)
    yield consent.blueprint(ports, pages, entry)
    yield begin_sign_up.blueprint(ports, pages, entry)
    yield error_url_page.blueprint(ports, pages)
    yield mailbox_proof.blueprint(ports, pages, entry, parts.proving, lookup)
    yield my_choices.blueprint(
        ports, pages, entry, GivenConsents(parts.store, parts.keys.index, parts.services)
    )
    yield pin_login.blueprint(ports, pages, entry, parts.guesses)
    yield pin.blueprint(ports, pages, entry, parts.pin_letters)
    face = _logout_face(parts)
    sessions = Sessions(parts.store, parts.keys.index)
    yield logout.blueprint(
        ports,
        face,
        SingleLogoutFlow(parts.store, sessions, parts.services, parts.federated, face.reaches),
    )
    setting = wording.sign_up(parts.config, parts.services)
    if setting:
        yield sign_up_pages.blueprint(parts.texts, setting, parts.config.base_url)
    sps = {name: partial(_sp_descriptor, parts, name) for name in parts.federated}
    yield metadata_and_health.blueprint(
        partial(_idp_descriptor, parts), sps, partial(readiness, parts), partial(notes, parts)
    )
    token = parts.config.serve.metrics_token
    yield metrics_endpoint.blueprint(
        lambda: parts.metrics.page(list(gauges(parts))), token.get_secret_value() if token else None
    )


def _service_face(parts: Parts) -> IdentityProviderFace:
    return IdentityProviderFace.of(
        parts.config.base_url,
        parts.config.idp_entity_id,
        parts.keys.idp,
        parts.metadata,
        services=parts.services,
        maps=parts.maps.maps,
        sp_entity_ids=[each.sp_entity_id for each in parts.federated.values()],
    )


def _upstream_face(parts: Parts) -> ServiceProviderFace:
    return ServiceProviderFace.of(
        parts.config.base_url,
        parts.keys.sp,
        parts.metadata,
        upstreams=parts.federated,
        idp_entity_id=parts.config.idp_entity_id,
    )


def _logout_face(parts: Parts) -> LogoutFace:
    face = SingleLogout.of(
        parts.config.base_url,
        parts.config.idp_entity_id,
        parts.keys,
        parts.metadata,
        services=parts.services,
        upstreams=parts.federated,
    )
    kept = parts.config.message_log_upstreams()
    return (
        LoggedLogoutFace(face, parts.messages, kept, ClientAddresses.address)
        if parts.messages
        else face
    )


def _kept(parts: Parts, broker: LoginFlow, face: ServiceProviderFace) -> UpstreamFace:
    """Put the message log beside the face, where there is one."""
    if parts.messages is None:
        return face

    def reference(request_id: str, moment: datetime) -> str:
        return broker.read(request_id[1:33], moment).transaction.reference

    return LoggedUpstreamFace(
        face,
        parts.messages,
        parts.config.message_log_upstreams(),
        reference,
        ClientAddresses.address,
    )


def _idp_descriptor(parts: Parts) -> bytes:
    institutions = [each for upstream in parts.upstreams.values() for each in upstream.institutions]
    own = [parts.config.idp.scope] if parts.config.idp.scope else []
    scopes = [*own, *(scope for each in institutions for scope in each.scopes)]
    return own_metadata.idp(
        wording.own_descriptor_texts(parts.config, parts.config.idp_entity_id),
        parts.keys.idp,
        scopes,
        now(),
    )


def _sp_descriptor(parts: Parts, name: str) -> bytes:
    upstream = parts.upstreams[name]
    return own_metadata.sp(
        upstream,
        wording.own_descriptor_texts(parts.config, upstream.sp_entity_id),
        parts.keys.sp,
        now(),
    )
