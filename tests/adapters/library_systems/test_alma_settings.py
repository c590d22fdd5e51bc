"""The settings of an Alma in [library]; the key stays secret."""

import pytest

from broker.adapters.library_systems.alma.alma_library import AlmaSettings
from broker.core.borrowers.library_setup import LibraryCapability
from broker.core.errors import ConfigurationFaults

KEYS: dict[str, object] = {
    "url": "https://api-eu.hosted.exlibrisgroup.com",
    "api_key": "l8xx-secret",
    "external_id": "SIS",
    "cpr_identifier_type": "CPR",
    "card_number": "cpr",
}
MACHINE = {"host": "127.0.0.1", "login": "m", "password": "p"}


@pytest.mark.parametrize(
    ("more", "where", "says"),
    [
        ({"url": "http://api-eu.hosted.exlibrisgroup.com"}, "library.url", "https"),
        ({"external_id": ""}, "library.external_id", "SIS profile"),
        ({"card_number": "series"}, "library.card_number", '"system"'),
        ({"cpr_identifier_type": "BARCODE", "card_number": "system"}, "library", "card_number"),
        ({"sip2": {**MACHINE, "host": "192.0.2.7"}}, "library.sip2", "tls"),
        ({"client_id": "broker"}, "library.client_id", "api_key"),
    ],
)
def test_a_faulty_key_is_named_with_what_would_do(more: dict[str, object], where: str, says: str) -> None:
    """Each fault has its place and its fix, and none quotes a value."""
    with pytest.raises(ConfigurationFaults) as raised:
        AlmaSettings.read(KEYS | more)
    (fault,) = raised.value.faults
    assert fault.where == where
    assert says in str(fault)
    assert "l8xx" not in str(fault)


@pytest.mark.parametrize(
    ("more", "can"),
    [
        ({}, set()),
        ({"sip2": MACHINE}, {LibraryCapability.PIN_CHECKED}),
        ({"user_name_identifier_type": "INST_ID"}, {LibraryCapability.USER_NAMES}),
    ],
)
def test_the_capabilities_depend_on_the_settings(more: dict[str, object], can: set[LibraryCapability]) -> None:
    """PINs are checked only with a self-service machine, user names only with an identifier type of their own."""
    always = {LibraryCapability.UNIQUE_CPR, LibraryCapability.SETUP_TRIED}
    assert AlmaSettings.read(KEYS | more).open().capabilities == always | can
