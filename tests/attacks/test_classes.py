"""Every check of a SAML message belongs to a class of attack."""

import pytest

from broker.adapters.saml.idp import authn_requests
from broker.adapters.saml.logout import logout_messages
from broker.adapters.saml.sp.assertion_checks import ASSERTION_CHECKS
from broker.adapters.saml.sp.response_checks import RESPONSE_CHECKS
from broker.adapters.saml.xml_security import encryption, signature_profile, xml_structure_checks
from tests.attacks.messages import defences


@pytest.mark.parametrize(
    ("tables", "known"),
    [
        ([xml_structure_checks.OCTETS, xml_structure_checks.TREE, xml_structure_checks.LAST], defences.XML_CHECKS),
        ([signature_profile.SHAPE], defences.SHAPE),
        ([encryption.METHODS], defences.METHODS),
        ([RESPONSE_CHECKS], defences.RESPONSE),
        ([ASSERTION_CHECKS], defences.ASSERTION),
        ([authn_requests.UNANSWERABLE_CHECKS], defences.REQUEST),
        ([authn_requests.ANSWERED_CHECKS], defences.LIMITS),
        ([logout_messages.LOGOUT_REQUEST_CHECKS, logout_messages.LOGOUT_RESPONSE_CHECKS], defences.LOGOUT),
    ],
)
def test_every_check_belongs_to_a_class(tables: list[dict[str, object]], known: dict[str, int]) -> None:
    """Each check in the tables names the attack that it defends against."""
    assert {name for table in tables for name in table} == known.keys()
