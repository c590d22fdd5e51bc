"""What the configuration says of the library, as pages and descriptors show it."""

from collections.abc import Mapping
from typing import Final

from broker.adapters.saml.messages import addresses
from broker.adapters.saml.metadata import own_metadata
from broker.adapters.translations.catalogue import in_both
from broker.adapters.translations.catalogue import marked as _
from broker.adapters.web import page_layout
from broker.adapters.web.public_pages import Pictures
from broker.adapters.web.sign_up import sign_up_questions
from broker.adapters.web.sign_up.sign_up_pages import SignUp
from broker.configuration.settings.config import Config
from broker.configuration.settings.tables import AddressPerLanguage, Wording
from broker.core.entities import Service, Text

# What is shown where the configuration words nothing of its own.
_NAME: Final = _("The library")
_NAME_IN_A_SENTENCE: Final = _("the library")
_DISPLAY_NAME: Final = _("Library login")
_DESCRIPTION: Final = _("Sign-in to the library's services with WAYF or national eID.")


def own_descriptor_texts(settings: Config, entity_id: str) -> own_metadata.RoleDescription:
    """Return what the descriptor of our role ``entity_id`` says of us."""
    contact, idp = settings.contact, settings.idp
    return own_metadata.RoleDescription(
        base_url=settings.base_url,
        entity_id=entity_id,
        display_name=_configured(idp.display_name) or in_both(_DISPLAY_NAME),
        description=in_both(_DESCRIPTION),
        organization=name(settings),
        organization_url=Text(en=settings.base_url, da=settings.base_url),
        technical_contact=contact.email or settings.mail.sender,
        privacy_statement=_configured(settings.privacy_notice),
        error_url=addresses.error_url(settings.base_url),
    )


def name(settings: Config) -> Text:
    """Return the library's name as it stands alone."""
    return _name_or(settings, _NAME)


def called(settings: Config) -> Text:
    """Return what the library is called in a sentence."""
    return _name_or(settings, _NAME_IN_A_SENTENCE)


def imprint(settings: Config, pictures: Pictures) -> page_layout.Imprint:
    """Return the library behind the pages: its name, and where each question is answered."""
    contact, places = settings.contact, settings.places
    own_sign_up = sign_up_url(settings)
    by_errand = settings.sign_up.service is not None
    return page_layout.Imprint(
        name=name(settings),
        mail=contact.email,
        phone=contact.phone,
        contact=_configured(contact.page),
        service_locations=_configured(places.service_locations),
        sign_up=_configured(places.sign_up) or _alike(own_sign_up),
        e_resources=_configured(places.e_resources),
        my_loans=_my_loans(settings),
        loan_terms=_configured(places.loan_terms),
        start=f"{settings.base_url}/",
        pin=f"{settings.base_url}{sign_up_questions.PIN}" if by_errand else "",
        choices=f"{settings.base_url}{sign_up_questions.CHOICES}" if by_errand else "",
        help=f"{settings.base_url}{sign_up_questions.FAQ}" if own_sign_up else "",
        logo=pictures.url("logo"),
        favicon=pictures.url("favicon"),
        privacy=_configured(settings.privacy_notice),
        accessibility=settings.accessibility_statement or "",
        dpo=contact.dpo,
    )


def _my_loans(settings: Config) -> Text | None:
    """Return where people see their loans: the start page of the service of sign-up."""
    service = settings.services.get(settings.sign_up.service or "")
    return _configured(service.url) if service else None


def sign_up(settings: Config, services: Mapping[str, Service]) -> SignUp | None:
    """Return what the sign-up pages need to know, or None where nobody can sign up."""
    table = settings.sign_up
    if not (table.service and table.university and table.national_eid):
        return None
    return SignUp(
        university=table.university,
        national_eid=table.national_eid,
        eid_name=settings.upstreams[table.national_eid].label.text(),
        library=called(settings),
        services={name: service.label for name, service in services.items()},
        links=_links(settings),
    )


def sign_up_url(settings: Config) -> str | None:
    """Return the address of our own sign-up pages, or None where there are none."""
    if sign_up(settings, {}) is None:
        return None
    return settings.base_url + sign_up_questions.NODES[sign_up_questions.START].path


def _links(settings: Config) -> dict[str, Text]:
    own = {
        "service_locations": _configured(settings.places.service_locations),
        "my_loans": _my_loans(settings),
    }
    links = {name: address for name, address in own.items() if address}
    return links | {name: address.text() for name, address in settings.sign_up.links.items()}


def _configured(written: Wording | AddressPerLanguage | None) -> Text | None:
    return written.text() if written else None


def _alike(text: str | None) -> Text | None:
    if not text:
        return None
    return Text(en=text, da=text)


def _name_or(settings: Config, otherwise: str) -> Text:
    return settings.contact.called() or in_both(otherwise)
