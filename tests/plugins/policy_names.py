"""Names that policies can refer to at a library: services, institutions, maps, fields, categories."""

from pathlib import Path

from broker.adapters.library_systems.koha.koha_settings import FIELDS
from broker.configuration import attribute_maps
from broker.configuration.policies.site_checks import NameableInPolicies
from broker.core.entities import Controller, Institution, Service, Text, Upstream

MAPS = attribute_maps.load(Path(__file__).resolve().parents[2] / "attribute_maps")
WORDS = Text("words", "ord")


def service(name: str) -> Service:
    """Return a service as a library configures it."""
    return Service(name, name, WORDS, ("wayf",), Controller(WORDS), encrypts=True)


def upstream(name: str, attribute_map: str, *institutions: Institution) -> Upstream:
    """Return a way to log in by these institutions."""
    return Upstream(name, "wayf", name, name, attribute_map, WORDS, institutions)


SERVICES = {name: service(name) for name in ("my-loans", "myprint", "e-resources")}
AARHUS = Institution("https://idp.au.example", scopes=("au.dk",), may_assert=frozenset({"cpr"}))
NAMES = NameableInPolicies(
    SERVICES,
    MAPS.attributes,
    MAPS.maps,
    {
        "wayf": upstream("wayf", "wayf", AARHUS),
        "nemid": upstream("nemid", "oiosaml3", Institution("https://nemlogin.example")),
        "library": upstream("library", "library"),
    },
    FIELDS,
)
