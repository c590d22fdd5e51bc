"""The national eID logs everybody in afresh: we publish a logout, so nobody else demands it.

Source: docs/reference/wayf.md#force-authn.
"""

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from broker.adapters.saml.xml_security import http_bindings
from broker.configuration.settings.federation_tables import UpstreamTable
from broker.demo.people.persona import NEMLOGIN, NEMLOGIN_BIRK
from tests.plugins.deployment import Deployment
from tests.plugins.eid_deployment import DIRECT, restart_with

OTHER: Final = "https://idp.other.example"
BY_BIRK: Final = {
    "BROKER_UPSTREAMS__NEMID__INSTITUTIONS": json.dumps(
        [{"entity_id": NEMLOGIN_BIRK, "scopes": ["sikker-adgang.dk"], "may_assert": ["cpr"]}]
    )
}


def is_forced(url: str) -> bool:
    """Say whether the AuthnRequest in an address demands a fresh login."""
    return b'ForceAuthn="true"' in http_bindings.read_redirect(urlsplit(url).query, "SAMLRequest").xml


@pytest.mark.parametrize("environ", [{}, DIRECT, BY_BIRK], ids=["as shipped", "direct", "birk"])
def test_the_national_eid_is_asked_for_a_fresh_login(shared_deployment: Deployment, environ: Mapping[str, str]) -> None:
    """By both routes, although no service asks for it; with the second request of a login, by Back, too."""
    person = restart_with(shared_deployment, environ).person()
    chooser = person.ask()
    assert is_forced(person.choose(chooser, "nemid"))
    assert is_forced(person.choose(person.get(chooser.request.path), "nemid"))
    assert not is_forced(person.choose(person.ask(), "wayf"))


@pytest.mark.parametrize(
    ("table", "forces"),
    [
        ({"institutions": [{"entity_id": NEMLOGIN}]}, True),
        ({"institutions": [{"entity_id": NEMLOGIN_BIRK}]}, True),
        ({"institutions": [{"entity_id": OTHER, "aliases": [NEMLOGIN_BIRK]}]}, True),
        ({"institutions": [{"entity_id": "HTTPS://BIRK.wayf.dk/birk.php/Nemlogin.WAYF.dk"}]}, True),
        ({"profile": "saml", "entity_id": "https://saml.nemlog-in.dk"}, True),
        ({"profile": "oiosaml3", "entity_id": "https://idp.example"}, True),
        ({"institutions": [{"entity_id": "https://nemlogin.wayf.dk.example"}]}, False),
        ({"profile": "saml", "entity_id": "https://idp.example/?nemlog-in"}, False),
    ],
)
def test_the_national_eid_goes_by_many_names(table: dict[str, Any], forces: bool) -> None:
    """Its own, WAYF's for it, and the BIRK entity of that, wherever it stands; a name that looks alike is another's."""
    plain = {"profile": "wayf", "entity_id": "https://wayf.wayf.dk", "label": {"en": "x", "da": "x"}}
    assert UpstreamTable.model_validate({**plain, **table}).national is forces
