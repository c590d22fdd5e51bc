"""Texts about the library for pages and SAML descriptors, from the configuration."""

from collections.abc import Mapping
from typing import Final

from broker.adapters.saml.metadata import own_metadata
from broker.adapters.translations.catalogue import make_text
from broker.adapters.web import page_layout
from broker.adapters.web.public_pages import Pictures
from broker.adapters.web.sign_up import sign_up_links
from broker.adapters.web.sign_up.sign_up_pages import SignUp
from broker.configuration.settings.config import Config
from broker.configuration.settings.value_types import optional_text
from broker.core.entities import Service, Text
from broker.core.marked_text import mark as _

# Shown if the configuration has no text.
_NAME: Final = _("The library")
_NAME_IN_A_SENTENCE: Final = _("the library")
_DISPLAY_NAME: Final = _("Library login")
_DESCRIPTION: Final = _("Log in to the library's services with WAYF or MitID.")


def describe_role(settings: Config) -> own_metadata.RoleDescription:
    """Return the texts for the descriptors of our roles."""
    contact, idp = settings.contact, settings.idp
    return own_metadata.RoleDescription(
        base_url=settings.base_url,
        entity_id=settings.idp_entity_id,
        display_name=optional_text(idp.display_name) or make_text(_DISPLAY_NAME),
        description=make_text(_DESCRIPTION),
        organization=_find_name(settings, _NAME),
        technical_contact=contact.email or settings.mail.sender,
        privacy_statement=optional_text(settings.privacy_notice),
    )


def library_name_in_sentence(settings: Config) -> Text:
    """Return the library's name, for use in a sentence."""
    return _find_name(settings, _NAME_IN_A_SENTENCE)


def make_imprint(settings: Config, pictures: Pictures) -> page_layout.Imprint:
    """Return the library's name, contact addresses and links for every page."""
    contact, places = settings.contact, settings.places
    url = find_sign_up_url(settings)
    own_sign_up = Text(url, url) if url else None
    has_sign_up_service = settings.sign_up.service is not None
    return page_layout.Imprint(
        name=_find_name(settings, _NAME),
        mail=contact.email,
        phone=contact.phone,
        contact=optional_text(contact.page),
        service_locations=optional_text(places.service_locations),
        sign_up=optional_text(places.sign_up) or own_sign_up,
        e_resources=optional_text(places.e_resources),
        my_loans=_find_my_loans(settings),
        loan_terms=optional_text(places.loan_terms),
        start=f"{settings.base_url}/",
        pin=f"{settings.base_url}{sign_up_links.PIN}" if has_sign_up_service else "",
        choices=f"{settings.base_url}{sign_up_links.CHOICES}" if has_sign_up_service else "",
        help=f"{settings.base_url}{sign_up_links.FAQ}" if own_sign_up else "",
        logo=pictures.url("logo"),
        favicon=pictures.url("favicon"),
        colours=pictures.url("colours"),
        privacy=optional_text(settings.privacy_notice),
        accessibility=settings.accessibility_statement or "",
        dpo=contact.dpo,
    )


def _find_my_loans(settings: Config) -> Text | None:
    """Return the start page of the service that people sign up for."""
    service = settings.services.get(settings.sign_up.service or "")
    return optional_text(service.url) if service else None


def make_sign_up(settings: Config, services: Mapping[str, Service]) -> SignUp | None:
    """Return the settings of the sign-up pages, or None if nobody can sign up."""
    table = settings.sign_up
    if not (table.service and table.university and table.national_eid):
        return None
    return SignUp(
        university=table.university,
        national_eid=table.national_eid,
        eid_name=settings.upstreams[table.national_eid].label.text(),
        library=library_name_in_sentence(settings),
        services={name: service.label for name, service in services.items()},
        links=_collect_links(settings),
    )


def find_sign_up_url(settings: Config) -> str | None:
    """Return the address of our sign-up pages, or None if there are none."""
    if make_sign_up(settings, {}) is None:
        return None
    return settings.base_url + sign_up_links.SIGN_UP


def _collect_links(settings: Config) -> dict[str, Text]:
    own = {
        "service_locations": optional_text(settings.places.service_locations),
        "my_loans": _find_my_loans(settings),
    }
    links = {name: address for name, address in own.items() if address}
    return links | {name: address.text() for name, address in settings.sign_up.links.items()}


def _find_name(settings: Config, otherwise: str) -> Text:
    return settings.contact.library_name() or make_text(otherwise)
