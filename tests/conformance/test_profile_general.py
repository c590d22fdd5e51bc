"""What holds for every message and name, where no room's own test shows it.

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
    """Ours and our peers': anything else is a fault at the start, and not at a peer one day."""
    with pytest.raises(ConfigurationFaults, match=key):
        load(setting.config, {key: name})


@pytest.mark.profile(3)
@pytest.mark.parametrize("name", [LONGEST, "urn:mace:example:idp", "https://saml.library.example"])
def test_row_3_the_longest_and_the_plainest_are_taken(setting: Setting, name: str) -> None:
    """256 characters, a URN, an address."""
    assert load(setting.config, {"BROKER_IDP__ENTITY_ID": name}).idp_entity_id == name


@pytest.mark.profile(3, 9)
def test_row_9_every_address_that_we_publish_answers(deployment: Deployment) -> None:
    """Each Location of each descriptor is a route of ours that does not say 404 (SDP-MD04)."""
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
