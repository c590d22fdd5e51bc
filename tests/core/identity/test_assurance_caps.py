"""The assurance values and authentication classes that a capped institution may send."""

import pytest

from broker.core.entities import Assurance
from broker.core.identity.attribute_values import NSIS, find_class_fault, is_value_within

REFEDS = "https://refeds.org/assurance"
SAML = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
MICROSOFT = "http://schemas.microsoft.com/ws/2008/06/identity/authenticationmethod/"
MFA = "https://refeds.org/profile/mfa"
LOW, SUBSTANTIAL, HIGH = Assurance.LOW, Assurance.SUBSTANTIAL, Assurance.HIGH


@pytest.mark.attack(21)
@pytest.mark.parametrize(
    ("value", "cap", "within"),
    [
        (f"{REFEDS}/IAP/high", LOW, False),
        (f"{REFEDS}/IAP/high", SUBSTANTIAL, False),
        (f"{REFEDS}/IAP/high", HIGH, True),
        (f"{REFEDS}/IAP/medium", LOW, False),
        (f"{REFEDS}/IAP/medium", SUBSTANTIAL, True),
        (f"{REFEDS}/IAP/low", LOW, True),
        (f"{REFEDS}/IAP/low", Assurance.SELF_ASSERTED, False),
        (f"{REFEDS}/profile/espresso", SUBSTANTIAL, False),
        (f"{REFEDS}/profile/cappuccino", LOW, False),
        (REFEDS, Assurance.SELF_ASSERTED, True),
        (f"{REFEDS}/ID/unique", LOW, True),
        (f"{REFEDS}/ATP/ePA-1m", LOW, True),
        ("https://other.example/loa4", LOW, False),
        ("https://other.example/loa4", SUBSTANTIAL, False),
        ("https://other.example/loa4", HIGH, True),
        ("High", SUBSTANTIAL, False),
        ("3", SUBSTANTIAL, True),
    ],
)
def test_a_value_says_nothing_above_the_cap(value: str, cap: Assurance, within: bool) -> None:
    """Only an institution without a cap may send an unknown value."""
    assert is_value_within(value, cap) is within


@pytest.mark.attack(21)
@pytest.mark.parametrize(
    ("authn_class", "cap", "fault"),
    [
        (f"{SAML}SmartcardPKI", LOW, "above_cap"),
        (f"{SAML}SmartcardPKI", SUBSTANTIAL, "above_cap"),
        (f"{SAML}SmartcardPKI", HIGH, None),
        (f"{MICROSOFT}smartcard", LOW, "above_cap"),
        (f"{SAML}X509", LOW, "above_cap"),
        (f"{SAML}X509", SUBSTANTIAL, None),
        (f"{SAML}MobileTwoFactorContract", LOW, "above_cap"),
        (MFA, LOW, "above_cap"),
        (f"{SAML}PasswordProtectedTransport", Assurance.SELF_ASSERTED, None),
        (f"{SAML}Kerberos", LOW, None),
        ("urn:federation:authentication:windows", LOW, None),
        ("urn:x:anything", HIGH, "unknown_class"),
        ("x" * 20_000, HIGH, "unknown_class"),
        (f"{NSIS}{'x' * 20_000}/Low", HIGH, "unknown_class"),
        (f"{NSIS}loa/by a clerk\u202e/Low", LOW, "unknown_class"),
        (f"{NSIS}loa/\u017fubstantial", HIGH, "unknown_class"),
        (f"{NSIS}loa/Substantial", SUBSTANTIAL, None),
        ("urn:x:anything", LOW, "unknown_class"),
    ],
)
def test_a_class_is_known_and_within_the_cap(authn_class: str, cap: Assurance, fault: str | None) -> None:
    """A class in no table is nobody's to pass on, whatever its length."""
    assert find_class_fault(authn_class, cap, {}) == fault


@pytest.mark.parametrize(
    ("meets", "cap", "fault"),
    [
        ({MFA: ("urn:x:strong",)}, HIGH, None),
        ({MFA: ("urn:x:strong",)}, SUBSTANTIAL, None),
        ({MFA: ("urn:x:strong",)}, LOW, "above_cap"),
        ({MFA: ("urn:x:other",)}, HIGH, "unknown_class"),
        ({"urn:y": ("urn:x:strong",)}, LOW, None),
        ({"urn:y": ("urn:x:strong",), MFA: ("urn:x:strong",)}, LOW, "above_cap"),
    ],
)
def test_a_configured_class_stands_for_what_it_meets(
    meets: dict[str, tuple[str, ...]], cap: Assurance, fault: str | None
) -> None:
    """The most of it: an administrator who calls a class as good as MFA has said how good it is."""
    assert find_class_fault("urn:x:strong", cap, meets) == fault
