"""Requirements on entityIDs and endpoints that no other test covers.

Source: docs/reference/saml-profiles.md#1 to #11.
"""

from typing import Any

import pytest
from lxml import etree

from broker.configuration.settings.config import load
from broker.core.errors import ConfigurationFaults
from broker.demo.run.demo_folder import Setting
from tests.plugins.deployment import Deployment

LONGEST = "https://" + "x" * 240 + ".example"
NAMES = ["BROKER_IDP__ENTITY_ID", "BROKER_UPSTREAMS__WAYF__SP_ENTITY_ID", "BROKER_UPSTREAMS__WAYF__ENTITY_ID"]


@pytest.mark.profile(3)
@pytest.mark.parametrize("key", [*NAMES, "BROKER_SERVICES__MY_LOANS__ENTITY_ID"])
@pytest.mark.parametrize("name", ["library", "//library.example", "https://library example", LONGEST + "x", ""])
def test_row_3_an_entity_id_is_an_absolute_uri(setting: Setting, key: str, name: str) -> None:
    """Any other value, for the broker or a peer, is a configuration fault at start."""
    with pytest.raises(ConfigurationFaults, match=key):
        load(setting.config, {key: name})


@pytest.mark.profile(3)
@pytest.mark.parametrize("name", [LONGEST, "urn:mace:example:idp", "https://saml.library.example"])
def test_row_3_long_and_short_entity_ids_are_accepted(setting: Setting, name: str) -> None:
    """256 characters, a URN and a URL are valid."""
    assert load(setting.config, {"BROKER_IDP__ENTITY_ID": name}).idp_entity_id == name


@pytest.mark.profile(3, 9)
def test_row_9_every_published_endpoint_answers(deployment: Deployment) -> None:
    """Each Location in the broker's metadata is a route that does not answer 404 (SDP-MD04)."""
    client, base = deployment.app.test_client(), deployment.person().base
    published = [f"/saml/sp/{name}/metadata" for name in deployment.parts.saml_upstreams]
    for path in ["/saml/idp/metadata", *published]:
        root: Any = etree.fromstring(client.get(path).get_data())
        assert root.get("entityID") == base + path
        locations = [str(each) for each in root.xpath("//@Location | //@ResponseLocation")]
        assert locations
        for each in locations:
            assert each.startswith(base + "/")
            answers = {client.open(each.removeprefix(base), method=method).status_code for method in ("GET", "POST")}
            assert 404 not in answers
            assert answers != {405}
