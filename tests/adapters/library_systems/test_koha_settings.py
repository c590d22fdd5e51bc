"""The settings of a Koha in [library]; the secret stays secret."""

import pytest

from broker.adapters.library_systems.koha.koha_library import KohaSettings
from broker.core.errors import ConfigurationFaults
from tests.adapters.library_systems.conftest import make_settings

URL = "https://koha.library.example"


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"url": "http://koha.library.example"}, "library.url"),
        ({"url": "https://user:secret@koha.library.example"}, "library.url"),
        ({"unique_field": "CPR"}, "library.unique_field"),
        ({"card_number": "always"}, "library.card_number"),
        ({"card_number": "system", "unique_field": "cardnumber"}, "library.card_number"),
        ({"sip2": {"host": "192.0.2.7", "login": "m", "password": "p"}}, "library.sip2"),
        ({"cpr_fields": ["cardnumber"]}, "library.cpr_fields"),
        ({"cpr_fields": ["userid"], "unique_field": "cardnumber"}, "library.cpr_fields"),
        ({"cpr_fields": ["userid"], "card_number": "cpr"}, "library.cpr_fields"),
        ({"timeout": 0}, "library.timeout"),
        ({"verify": False}, "library.verify"),
    ],
)
def test_a_faulty_key_is_named(more: dict[str, object], where: str) -> None:
    """Plain http, an attribute as the unique field, or TLS without verification cannot be configured."""
    with pytest.raises(ConfigurationFaults) as caught:
        KohaSettings.read(make_settings(URL) | more)
    assert [fault.where for fault in caught.value.faults] == [where]


def test_the_card_number_has_no_default() -> None:
    """Without a card number no PIN of the borrower works: the administrator says where it comes from."""
    keys = make_settings(URL)
    del keys["card_number"]
    with pytest.raises(ConfigurationFaults) as caught:
        KohaSettings.read(keys)
    (fault,) = caught.value.faults
    assert fault.where == "library.card_number"
    assert '"cpr"' in fault.fix
    assert '"system"' in fault.fix


def test_no_policy_field_reaches_key_mark_or_rights() -> None:
    """A policy cannot write what makes a borrower unique, ours, or of a category and branch."""
    reserved = {"userid", "cardnumber", "statistics_1", "statistics_2", "category_id", "library_id", "patron_id"}
    fields = KohaSettings.read(make_settings(URL)).fields
    assert "surname" in fields
    assert not fields & (reserved | {"expiry_date", "extended_attributes", "password", "privacy"})
