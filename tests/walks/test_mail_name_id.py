"""A service that knows people by their mail address: shown before it leaves, and only an address that is theirs."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from lxml import etree

from broker.demo.run.demo_folder import Setting
from tests.plugins.deployment import Clock, Deployment, mark, run_deployment
from tests.plugins.login_messages import TO_AU, ask, come_back
from tests.plugins.policy_copies import WHY, release_entry, write_release_entries
from tests.plugins.saml_parties import Change, find_element

pytestmark = pytest.mark.server

MAIL: Final = "saml:Assertion/saml:AttributeStatement/saml:Attribute[@Name='urn:oid:0.9.2342.19200300.100.1.3']"


@pytest.fixture(scope="module")
def knowing(setting: Setting, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Yield a broker whose e-resources know students by their mail address."""
    folder = tmp_path_factory.mktemp("mail")
    written = release_entry("e-resources", ["schacHomeOrganization"], "email", f"    name_id_why: {WHY}\n")
    written = written.replace("legal_basis: public_task", "legal_basis: consent")
    with run_deployment(setting, folder, Clock(), write_release_entries(setting, folder, written)) as found:
        yield found


def mail(*addresses: str) -> Change:
    """Return a change of the addresses that the university passes on."""

    def change(root: Any) -> None:
        attribute = find_element(root, MAIL)
        (value,) = attribute
        for address in addresses:
            another = etree.fromstring(etree.tostring(value))
            another.text = address
            attribute.append(another)
        attribute.remove(value)

    return change


def test_the_address_is_shown_and_is_the_nameid(knowing: Deployment) -> None:
    """On the screen it is a row with its reason, then it is the NameID, and no attribute."""
    person = knowing.person()
    page = come_back(person, ask(person, TO_AU), "asta", mail("asta@post.au.dk"))
    assert mark(page)[0] == "ask"
    text = page.get_data(as_text=True)
    assert "asta@post.au.dk" in text
    assert "Til testen" in text
    assert 'data-attribute="NameID"' not in text  # no number is made, and the page promises none
    landing = knowing.landing(person.agree(page, remember=True))
    assert landing.name_id == "asta@post.au.dk"
    assert "mail" not in landing.attributes


@pytest.mark.parametrize("addresses", [("asta@own.example",), ("asta@evil-au.dk",), ("0101901234@au.dk",)])
def test_an_address_that_is_not_shown_to_be_theirs_ends_the_login(
    knowing: Deployment, addresses: tuple[str, ...]
) -> None:
    """The service would give them whatever belongs to the address."""
    person = knowing.person()
    page = come_back(person, ask(person, TO_AU), "asta", mail(*addresses))
    assert (page.status_code, mark(page)) == (403, ("refuse", "no_verified_address"))
