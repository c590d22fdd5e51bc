"""Logins with each value of the setting that says how a service's assertions are encrypted."""

from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from broker.adapters.saml.xml_security import encryption, http_bindings, safe_parser, signature
from broker.adapters.saml.xml_security.xml_names import RESPONSE
from broker.cli.check.checks import find_all
from tests.plugins.deployment import Deployment, forms

pytestmark = pytest.mark.server


def read_assertion(deployment: Deployment, page: TestResponse) -> tuple[Any, Any]:
    """Return the signed Response that a page carries to the service, and its assertion."""
    fields = next(fields for _, fields in forms(page) if "SAMLResponse" in fields)
    root = safe_parser.parse(http_bindings.decode_post(fields["SAMLResponse"]), RESPONSE)
    signature.verify(root, deployment.peer.keys)
    sealed = root.find("{*}EncryptedAssertion")
    if sealed is None:
        return root, root.find("{*}Assertion")
    keys = encryption.DecryptionKeys.load([deployment.setting.library.key.encode()])
    return root, encryption.decrypt(sealed, keys, allow_cbc=True)


GCM: Final = "http://www.w3.org/2009/xmlenc11#aes128-gcm"
CBC: Final = "http://www.w3.org/2001/04/xmlenc#aes256-cbc"


def encryption_setting(mode: str) -> dict[str, str]:
    """Return the environment variable that sets the encryption toward My loans."""
    return {"BROKER_SERVICES__MY_LOANS__ENCRYPTION": mode}


@pytest.mark.parametrize(
    ("environment", "algorithms"),
    [(encryption_setting("gcm"), [GCM]), (encryption_setting("cbc"), [CBC]), (encryption_setting("none"), [])],
)
def test_a_service_gets_the_configured_encryption(deployment: Deployment, algorithms: list[str]) -> None:
    """Response and assertion are signed in every case. Without encryption the CPR number stays here."""
    person = deployment.person()
    root, assertion = read_assertion(deployment, person.agree(person.log_in("asta")))
    signature.verify(assertion, deployment.peer.keys)
    methods = [str(each.get("Algorithm")) for each in root.iter("{*}EncryptionMethod")]
    assert [each for each in methods if "#rsa-" not in each] == algorithms
    names = {each.get("FriendlyName") for each in assertion.iter("{*}Attribute")}
    assert "uid" in names
    assert ("schacPersonalUniqueID" in names) is bool(algorithms)
    named = [each for each in find_all(deployment.parts) if "assertions to my-loans are not encrypted" in each]
    assert bool(named) is not bool(algorithms)
