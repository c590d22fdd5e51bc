"""The composition root: parts in, Flask application out; the only place that knows every room."""

from functools import partial
from typing import Final
from urllib.parse import urlsplit

from flask import Flask

from broker import audit
from broker.config import Config
from broker.core.entities import Text
from broker.flow import Broker
from broker.inspection import notes, readiness
from broker.learning import Learning
from broker.parts import Parts, assemble, now, read_config
from broker.saml import descriptors
from broker.saml.identity_provider import IdentityProviderFace
from broker.saml.service_provider import ServiceProviderFace
from broker.settings.tables import Links
from broker.traces import Traces
from broker.web import consent, frame, login, public
from broker.web import faults as failing
from broker.web.browser import Cookies
from broker.web.desk import Desk
from broker.web.forms import Forms
from broker.web.pages import Pages

# One megabyte is far above any message or form of ours.
_LARGEST_BODY: Final = 1024 * 1024


def create_app(settings: Config | None = None) -> Flask:
    """Give the broker as a WSGI application, mounted where base_url says; it starts no thread (design 4c)."""
    audit.configure()
    parts = assemble(settings or read_config())
    base_url, ring = parts.config.base_url, parts.keys
    rules = parts.rules()
    learning = Learning(parts.store, ring.index, ring.person, rules, parts.links, parts.enrolments)
    desk = Desk(
        broker=Broker(parts.store, ring.index, rules, learning),
        service_face=_service_face(parts),
        upstream_face=_upstream_face(parts),
        cookies=Cookies(ring.index, parts.config.secure, urlsplit(base_url).path or "/"),
        forms=Forms(ring.index, base_url),
        now=now,
        events=audit.tell,
        traces=Traces(parts.store),
        services=parts.services,
        upstreams=parts.upstreams,
        labels=parts.maps.labels,
        base_url=base_url,
        unexpected=audit.unexpected,
    )
    app = Flask("broker.web", static_url_path="/static")
    app.config["MAX_CONTENT_LENGTH"] = _LARGEST_BODY
    app.extensions["broker"] = parts
    frame.install(app, _imprint(parts.config), base_url, parts.config.language)
    pages = Pages(desk)
    entry = login.Login(desk, pages)
    app.register_blueprint(login.blueprint(entry))
    app.register_blueprint(consent.blueprint(desk, pages, entry))
    sps = {name: partial(_sp_descriptor, parts, name) for name in parts.upstreams}
    app.register_blueprint(
        public.blueprint(partial(_idp_descriptor, parts), sps, partial(readiness, parts), partial(notes, parts))
    )
    failing.install(app, desk, pages)
    return app


def _service_face(parts: Parts) -> IdentityProviderFace:
    return IdentityProviderFace.of(
        parts.config.base_url,
        parts.config.idp_entity_id,
        parts.keys.idp,
        parts.metadata,
        services=parts.services,
        maps=parts.maps.maps,
        sp_entity_ids=[each.sp_entity_id for each in parts.upstreams.values()],
    )


def _upstream_face(parts: Parts) -> ServiceProviderFace:
    return ServiceProviderFace.of(
        parts.config.base_url,
        parts.keys.sp,
        parts.metadata,
        upstreams=parts.upstreams,
        idp_entity_id=parts.config.idp_entity_id,
    )


def _front(settings: Config, entity_id: str) -> descriptors.Front:
    contact = settings.contact
    name = contact.name or "Library"
    return descriptors.Front(
        base_url=settings.base_url,
        entity_id=entity_id,
        display_name=settings.idp.display_name.text(),
        description=settings.idp.description.text(),
        organization=Text(en=name, da=name),
        organization_url=Text(en=settings.base_url, da=settings.base_url),
        technical_contact=contact.email or settings.mail.sender,
        privacy_statement=_text(settings.privacy_notice),
    )


def _idp_descriptor(parts: Parts) -> bytes:
    institutions = [each for upstream in parts.upstreams.values() for each in upstream.institutions]
    scopes = [scope for each in institutions for scope in each.scopes]
    return descriptors.idp(_front(parts.config, parts.config.idp_entity_id), parts.keys.idp, scopes, now())


def _sp_descriptor(parts: Parts, name: str) -> bytes:
    upstream = parts.upstreams[name]
    return descriptors.sp(upstream, _front(parts.config, upstream.sp_entity_id), parts.keys.sp, now())


def _imprint(settings: Config) -> frame.Imprint:
    contact, places = settings.contact, settings.places
    name = contact.name or "Library"
    return frame.Imprint(
        name=Text(en=name, da=name),
        mail=contact.email,
        phone=contact.phone,
        contact=_text(contact.page),
        service_locations=_text(places.service_locations),
        sign_up=_text(places.sign_up),
        e_resources=_text(places.e_resources),
        privacy=_text(settings.privacy_notice),
        accessibility=settings.accessibility_statement or "",
        dpo=contact.dpo,
    )


def _text(links: Links | None) -> Text | None:
    return links.text() if links else None
