"""The library's own names, addresses and links, from the configuration to pages and descriptors."""

from collections.abc import Mapping

from broker.adapters.saml.faces import error_urls, own_metadata
from broker.adapters.web import page_layout
from broker.adapters.web.signup import wizard
from broker.adapters.web.signup.sign_up_pages import SignUp
from broker.core.entities import Service, Text
from broker.files.settings.config import Config
from broker.files.settings.tables import AddressPerLanguage

# The pages of a library that the texts of the sign-up pages may link to; named alike in [places].
_PLACES = (
    "service_locations",
    "my_loans",
    "search_engine",
    "subject_guides",
    "databases",
    "faq_hospital_da",
)


def own_descriptor_texts(settings: Config, entity_id: str) -> own_metadata.Front:
    """Return the texts of our own descriptor with the entity id ``entity_id``."""
    contact = settings.contact
    return own_metadata.Front(
        base_url=settings.base_url,
        entity_id=entity_id,
        display_name=settings.idp.display_name.text(),
        description=settings.idp.description.text(),
        organization=name(settings),
        organization_url=Text(en=settings.base_url, da=settings.base_url),
        technical_contact=contact.email or settings.mail.sender,
        privacy_statement=_text(settings.privacy_notice),
        error_url=error_urls.published_error_url(settings.base_url),
    )


def name(settings: Config) -> Text:
    """Return the library's name as it stands alone."""
    own = settings.contact.name
    return Text(en=own or "The library", da=own or "Biblioteket")


def called(settings: Config) -> Text:
    """Return the library's name within a sentence."""
    own = settings.contact.name
    return Text(en=own or "the library", da=own or "biblioteket")


def imprint(settings: Config) -> page_layout.Imprint:
    """Return the library behind the pages: its name, contacts and links."""
    contact = settings.contact
    places = settings.places
    sign_up_page = _text(places.sign_up)
    wayf_help = ""
    own = sign_up_url(settings)
    if own is not None:
        sign_up_page = sign_up_page or Text(own, own)
        wayf_help = f"{settings.base_url}{wizard.FAQ}#wayf"
    return page_layout.Imprint(
        name=name(settings),
        mail=contact.email,
        phone=contact.phone,
        contact=_text(contact.page),
        service_locations=_text(places.service_locations),
        sign_up=sign_up_page,
        e_resources=_text(places.e_resources),
        my_loans=_text(places.my_loans),
        wayf=wayf_help,
        privacy=_text(settings.privacy_notice),
        accessibility=settings.accessibility_statement or "",
        dpo=contact.dpo,
    )


def sign_up(settings: Config, services: Mapping[str, Service]) -> SignUp | None:
    """Return the settings of the sign-up pages, or None where nobody can sign up."""
    table = settings.sign_up
    if not (table.service and table.university and table.national_eid):
        return None
    links: dict[str, Text] = {}
    for place in _PLACES:
        link = _text(getattr(settings.places, place))
        if link is not None:
            links[place] = link
    return SignUp(
        university=table.university,
        national_eid=table.national_eid,
        eid_name=table.eid_name,
        library=called(settings),
        services={name: service.label for name, service in services.items()},
        links=links,
    )


def sign_up_url(settings: Config) -> str | None:
    """Return the address of our own sign-up pages, or None where there are none."""
    if sign_up(settings, {}) is None:
        return None
    return settings.base_url + wizard.NODES[wizard.START].path


def _text(links: AddressPerLanguage | None) -> Text | None:
    return links.text() if links else None
