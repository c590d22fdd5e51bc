"""What the configuration says of the library, as pages and descriptors show it."""

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


def own_descriptor_texts(settings: Config, entity_id: str) -> own_metadata.FaceDescription:
    """Give what a descriptor of the face ``entity_id`` says of us."""
    contact = settings.contact
    return own_metadata.FaceDescription(
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
    """Give the library's name as it stands alone."""
    own = settings.contact.name
    return Text(en=own or "The library", da=own or "Biblioteket")


def called(settings: Config) -> Text:
    """Give what the library is called in a sentence."""
    own = settings.contact.name
    return Text(en=own or "the library", da=own or "biblioteket")


def imprint(settings: Config) -> page_layout.Imprint:
    """Give who stands behind the pages."""
    contact, places, own = settings.contact, settings.places, sign_up_url(settings)
    return page_layout.Imprint(
        name=name(settings),
        mail=contact.email,
        phone=contact.phone,
        contact=_text(contact.page),
        service_locations=_text(places.service_locations),
        sign_up=_text(places.sign_up) or (Text(own, own) if own else None),
        e_resources=_text(places.e_resources),
        my_loans=_text(places.my_loans),
        wayf=f"{settings.base_url}{wizard.FAQ}#wayf" if own else "",
        privacy=_text(settings.privacy_notice),
        accessibility=settings.accessibility_statement or "",
        dpo=contact.dpo,
    )


def sign_up(settings: Config, services: Mapping[str, Service]) -> SignUp | None:
    """Give what the sign-up pages need to know, or None where nobody can sign up."""
    told = settings.sign_up
    if not (told.service and told.university and told.national_eid):
        return None
    found = {name: _text(getattr(settings.places, name)) for name in _PLACES}
    return SignUp(
        university=told.university,
        national_eid=told.national_eid,
        eid_name=told.eid_name,
        library=called(settings),
        services={name: each.label for name, each in services.items()},
        links={name: text for name, text in found.items() if text},
    )


def _text(links: AddressPerLanguage | None) -> Text | None:
    return links.text() if links else None


def sign_up_url(settings: Config) -> str | None:
    """Give the address of our own sign-up pages, or None where there are none."""
    return settings.base_url + wizard.NODES[wizard.START].path if sign_up(settings, {}) else None
