"""The settings of a Koha in [library]; the secret stays secret."""

from collections.abc import Callable

import pytest

from broker.adapters.library_systems.koha.koha_library import KohaSettings
from broker.core.errors import ConfigurationFaults

Settings = Callable[..., dict[str, object]]
URL = "https://koha.library.example"


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"url": "http://koha.library.example"}, "library.url"),
        ({"url": "http://127.0.0.1.evil.example"}, "library.url"),
        ({"url": "https://user:secret@koha.library.example"}, "library.url"),
        ({"url": "https://koha.library.example/api/v1"}, "library.url"),
        ({"url": "https://koha.library.example/?x=1"}, "library.url"),
        ({"url": "ftp://koha.library.example"}, "library.url"),
        ({"unique_field": "CPR"}, "library.unique_field"),
        ({"mark_field": "surname"}, "library.mark_field"),
        ({"card_number": "always"}, "library.card_number"),
        ({"card_number": ""}, "library.card_number"),
        ({"card_number": "system", "unique_field": "cardnumber"}, "library.card_number"),
        ({"sip2": {"host": "192.0.2.7", "login": "m", "password": "p"}}, "library.sip2"),
        ({"sip2": {"host": "127.0.0.1", "login": "m|CO", "password": "p"}}, "library.sip2.login"),
        ({"sip2": {"host": "127.0.0.1", "login": "m", "password": "p", "port": 0}}, "library.sip2.port"),
        ({"sip2": {"host": "127.0.0.1", "login": "m"}}, "library.sip2.password"),
        ({"cpr_attribute": "a b"}, "library.cpr_attribute"),
        ({"cpr_fields": ["surname"]}, "library.cpr_fields.0"),
        ({"cpr_fields": []}, "library.cpr_fields"),
        ({"cpr_fields": ["cardnumber"]}, "library.cpr_fields"),
        ({"cpr_fields": ["userid"], "unique_field": "cardnumber"}, "library.cpr_fields"),
        ({"cpr_fields": ["userid"], "card_number": "cpr"}, "library.cpr_fields"),
        ({"timeout": 0}, "library.timeout"),
        ({"timeout": 3600}, "library.timeout"),
        ({"client_secret": ""}, "library.client_secret"),
        ({"verify": False}, "library.verify"),
    ],
)
def test_a_faulty_key_is_named(settings: Settings, more: dict[str, object], where: str) -> None:
    """Plain http, an attribute as the unique field, or TLS without verification cannot be configured."""
    with pytest.raises(ConfigurationFaults) as caught:
        KohaSettings.read(settings(URL) | more)
    assert [fault.where for fault in caught.value.faults] == [where]


def test_the_card_number_has_no_default(settings: Settings) -> None:
    """Without a card number no PIN of the borrower works: the administrator says where it comes from."""
    keys = settings(URL)
    del keys["card_number"]
    with pytest.raises(ConfigurationFaults) as caught:
        KohaSettings.read(keys)
    (fault,) = caught.value.faults
    assert fault.where == "library.card_number"
    assert '"cpr"' in fault.fix
    assert '"system"' in fault.fix


def test_environment_texts_are_read(settings: Settings) -> None:
    """A number from the environment comes as text."""
    assert KohaSettings.read(settings(URL + "/", timeout="2.5")).timeout == 2.5
    assert KohaSettings.read(settings(URL + "/")).url == URL


def test_no_policy_field_reaches_key_mark_or_rights(settings: Settings) -> None:
    """A policy cannot write what makes a borrower unique, ours, or of a category and branch."""
    reserved = {"userid", "cardnumber", "statistics_1", "statistics_2", "category_id", "library_id", "patron_id"}
    fields = KohaSettings.read(settings(URL)).fields
    assert "surname" in fields
    assert not fields & (reserved | {"expiry_date", "extended_attributes", "password", "privacy"})
