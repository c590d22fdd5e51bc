"""Attack: a hub signs spoofed identifiers or names with markup. Tested over HTTP.

Source: docs/reference/attacks.md#21, #22 and #32.
"""

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from lxml import etree

from broker.adapters.saml.xml_security import http_bindings, signature
from broker.adapters.saml.xml_security.xml_names import ASSERTION, SAML, SIGNATURE
from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import HUB
from broker.demo.upstreams import wayf_hub
from tests.plugins.deployment import Deployment, Person, mark

SCRIPT: Final = "</title><script>alert(1)</script>{{7*7}}${7*7}"
EPPN: Final = "urn:oid:1.3.6.1.4.1.5923.1.1.1.6"
SCOPED: Final = "urn:oid:1.3.6.1.4.1.5923.1.1.1.9"
CN: Final = "urn:oid:2.5.4.3"


def _values(root: Any, name: str) -> Iterator[Any]:
    for each in root.iter(f"{{{SAML}}}Attribute"):
        if each.get("Name") == name:
            yield from each


def _answer_with(person: Person, spoil: Any) -> Any:
    """Let the hub sign its Response after the change ``spoil``, and follow the redirect."""
    deployment = person.deployment
    asked = wayf_hub.read(urlsplit(person.choose(person.ask())).query)
    root = etree.fromstring(
        wayf_hub.response(HUB, asked, persona("asta"), deployment.hub_key(), deployment.clock.now())
    )
    for each in list(root.iter(SIGNATURE)):
        each.getparent().remove(each)  # type: ignore[union-attr]
    spoil(root)
    signature.sign(root.find(ASSERTION), deployment.hub_key())  # type: ignore[arg-type]
    arrived = person.deliver(asked.acs, http_bindings.build_post_fields(etree.tostring(root), "SAMLResponse", None))
    assert arrived.status_code == 303
    return person.get(arrived.location)


def _write(name: str, text: str) -> Any:
    def spoil(root: Any) -> None:
        for each in _values(root, name):
            each.text = text

    return spoil


def _again(name: str, text: str) -> Any:
    def spoil(root: Any) -> None:
        (value, *_) = _values(root, name)
        other = etree.fromstring(etree.tostring(value.getparent()))
        other[0].text = text
        value.getparent().addnext(other)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(_write(EPPN, "asta@ku.dk"), "scope_mismatch", marks=pytest.mark.attack(21)),
        pytest.param(_write(EPPN, "asta@au.dk.evil.example"), "scope_mismatch", marks=pytest.mark.attack(21)),
        pytest.param(_write(EPPN, "asta@au.dk@au.dk"), "bad_value", marks=pytest.mark.attack(21)),
        pytest.param(_again(EPPN, "chief@au.dk"), "several_values", marks=pytest.mark.attack(22)),
        pytest.param(_write(SCOPED, "student@ku.dk"), "no_affiliation", marks=pytest.mark.attack(21)),
        pytest.param(_write(EPPN, "as\u200bta@au.dk"), "bad_characters", marks=pytest.mark.attack(21)),
        pytest.param(_write(EPPN, "as\u00adta@au.dk"), "bad_characters", marks=pytest.mark.attack(21)),
        pytest.param(_write(EPPN, "asta\uff20au.dk"), "bad_characters", marks=pytest.mark.attack(21)),
        pytest.param(_write(SCOPED, "superuser@au.dk"), "no_affiliation", marks=pytest.mark.attack(21)),
    ],
    ids=[
        "another's scope",
        "a longer scope",
        "two scopes",
        "two names",
        "another's affiliation",
        "a zero-width space",
        "a soft hyphen",
        "a fullwidth at",
        "a role of no vocabulary",
    ],
)
def test_a_spoofed_name_ends_the_login(
    shared_deployment: Deployment, spoil: Any, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A spoofed identifier refuses the login although the hub signed it. No data leave, and the log omits the value."""
    page = _answer_with(shared_deployment.person(), spoil)
    assert page.status_code == 403
    assert mark(page)[1] == reason
    logged = capsys.readouterr().out
    assert "asta@" not in logged
    assert "chief@" not in logged


@pytest.mark.attack(32)
@pytest.mark.parametrize("name", [CN, "urn:oid:2.16.840.1.113730.3.1.241", "urn:oid:0.9.2342.19200300.100.1.3"])
def test_an_attribute_is_never_code(shared_deployment: Deployment, name: str) -> None:
    """A name that is written as a script is shown as text."""
    page = _answer_with(shared_deployment.person(), _write(name, SCRIPT)).get_data(as_text=True)
    assert "<script>alert" not in page
    assert "</title><script" not in page
    assert "$49" not in page


@pytest.mark.attack(21, 22, 32, control=True)
def test_the_genuine_name_is_accepted(shared_deployment: Deployment) -> None:
    """Control: the same Response without a change leads to the consent page."""
    assert mark(_answer_with(shared_deployment.person(), lambda _: None))[0] == "ask"
