"""Logins with each value of the settings that describe what a product can do."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from broker.adapters.saml.xml_security import encryption, http_bindings, safe_parser, signature
from broker.adapters.saml.xml_security.xml_names import RESPONSE
from broker.cli.check.checks import find_all
from broker.demo.people.personas import AU
from broker.demo.run.demo_folder import Setting
from tests.plugins.deployment import Clock, Deployment, forms, mark, run_deployment
from tests.plugins.login_messages import TO_AU, ask, come_back
from tests.plugins.policy_copies import WHY, release_entry, write_release_entries
from tests.plugins.saml_parties import Change, drop, edit, say

pytestmark = pytest.mark.server

ASSURANCE: Final = "saml:Assertion/saml:AttributeStatement/saml:Attribute[@Name='urn:oid:1.3.6.1.4.1.5923.1.1.1.11']"
MAIL: Final = "saml:Assertion/saml:AttributeStatement/saml:Attribute[@Name='urn:oid:0.9.2342.19200300.100.1.3']/saml:AttributeValue"
NAME_ID: Final = "saml:Assertion/saml:Subject/saml:NameID"
EMAIL: Final = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
NO_ASSURANCE: Final = drop(ASSURANCE)


@contextmanager
def run_broker(setting: Setting, folder: Path, **environment: str) -> Iterator[Deployment]:
    """Run a broker with more settings."""
    with run_deployment(
        setting, folder, Clock(), {f"BROKER_{key}": value for key, value in environment.items()}
    ) as found:
        yield found


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


@pytest.mark.parametrize(("mode", "algorithms"), [("gcm", [GCM]), ("cbc", [CBC]), ("none", [])])
def test_a_service_gets_the_configured_encryption(
    setting: Setting, tmp_path: Path, mode: str, algorithms: list[str]
) -> None:
    """Response and assertion are signed in every case. Without encryption the CPR number stays here."""
    with run_broker(setting, tmp_path, SERVICES__MY_LOANS__ENCRYPTION=mode) as deployment:
        person = deployment.person()
        root, assertion = read_assertion(deployment, person.agree(person.log_in("asta")))
        signature.verify(assertion, deployment.peer.keys)
        methods = [str(each.get("Algorithm")) for each in root.iter("{*}EncryptionMethod")]
        assert [each for each in methods if "#rsa-" not in each] == algorithms
        names = {each.get("FriendlyName") for each in assertion.iter("{*}Attribute")}
        assert "uid" in names
        assert ("schacPersonalUniqueID" in names) is (mode != "none")
        named = [each for each in find_all(deployment.parts) if "assertions to my-loans are not encrypted" in each]
        assert bool(named) is (mode == "none")


def institutions(**changes: str) -> str:
    """Write the demo's university with more keys, as an environment variable has it."""
    university = {"entity_id": AU, "scopes": ["au.dk"], "may_assert": ["cpr"], **changes}
    return json.dumps([university])


def log_in(deployment: Deployment, *changes: Change, service: str) -> TestResponse:
    """Log in at the university with a changed Response, up to the next page."""
    person = deployment.person()
    return come_back(person, ask(person, TO_AU, service=service), "asta", *changes)


@pytest.mark.parametrize(("stated", "page"), [("low", "ask"), ("", "refuse")])
def test_a_mail_address_name_id_is_worth_the_stated_assurance(
    setting: Setting, tmp_path: Path, stated: str, page: str
) -> None:
    """An upstream that sends a mail-address NameID and no assurance, to a service that knows people by address."""
    written = release_entry("e-resources", ["schacHomeOrganization"], "email", f"    name_id_why: {WHY}\n")
    written = written.replace("legal_basis: public_task", "legal_basis: consent")
    own = write_release_entries(setting, tmp_path, written)["BROKER_SITE"]
    university = institutions(**({"assurance": stated} if stated else {}))
    by_address = (NO_ASSURANCE, edit(NAME_ID, Format=EMAIL), say(MAIL, "asta@post.au.dk"))
    with run_broker(setting, tmp_path, SITE=own, UPSTREAMS__WAYF__INSTITUTIONS=university) as deployment:
        found = log_in(deployment, *by_address, service="e-resources")
        assert mark(found)[0] == page
