"""Which authentication context class contains which: what the default of two libraries gets from each."""

from typing import Final

import pytest

from broker.core.login.authn_context import (
    CONTAINED,
    class_for_service,
    describe_unmet,
    describe_unmet_upstream,
    is_contained,
)
from broker.core.login.transaction import AuthnRequest

CLASSES: Final = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
MICROSOFT: Final = "http://schemas.microsoft.com/ws/2008/06/identity/authenticationmethod/"
NSIS: Final = "https://data.gov.dk/concept/core/nsis/loa/"
EIDAS: Final = "http://eidas.europa.eu/LoA/"
REFEDS: Final = "https://refeds.org/profile/"
TRANSPORT: Final = f"{CLASSES}PasswordProtectedTransport"  # passport-saml and python3-saml ask for it, exactly
# What an upstream says, and whether that is a password over a protected session and more.
SAID: Final = {
    f"{REFEDS}mfa": True,
    "http://schemas.microsoft.com/claims/multipleauthn": True,
    f"{CLASSES}SmartcardPKI": True,
    f"{CLASSES}MobileTwoFactorContract": True,
    f"{CLASSES}MobileTwoFactorUnregistered": True,
    f"{NSIS}Substantial": True,
    f"{NSIS}High": True,
    f"{EIDAS}substantial": True,
    f"{EIDAS}high": True,
    TRANSPORT: True,
    # One factor that may be another one
    f"{REFEDS}sfa": False,
    f"{NSIS}Low": False,
    f"{EIDAS}low": False,
    f"{CLASSES}X509": False,
    f"{CLASSES}TLSClient": False,
    f"{CLASSES}Smartcard": False,
    f"{CLASSES}TimeSyncToken": False,
    f"{CLASSES}MobileOneFactorContract": False,
    f"{CLASSES}Password": False,
    # An earlier login at the computer, possibly by another person
    f"{CLASSES}Kerberos": False,
    "urn:federation:authentication:windows": False,
    f"{MICROSOFT}windows": False,
    f"{CLASSES}PreviousSession": False,
    # No statement about the login
    f"{CLASSES}unspecified": False,
    "https://idp.example/two-factors": False,
    "": False,
}


def request(*classes: str, comparison: str = "exact") -> AuthnRequest:
    """Give a request for these classes."""
    return AuthnRequest("_1", "s", "e", "a", authn_contexts=classes, comparison=comparison)


@pytest.mark.profile(15, 28, 49)
@pytest.mark.parametrize("said", SAID)
def test_the_default_of_two_libraries_is_met_by_what_contains_it(said: str) -> None:
    """Two factors are more than a password; one other factor, a Windows session and "unspecified" are not one."""
    assert class_for_service(request(TRANSPORT), said, {}) == (TRANSPORT if SAID[said] else None)


@pytest.mark.parametrize("comparison", ["exact", "minimum", "better", "maximum"])
def test_a_service_is_told_what_the_comparison_allows(comparison: str) -> None:
    """By "exact" the class it asked for, by "minimum" the stronger one that came; by the others nothing."""
    told = {"exact": TRANSPORT, "minimum": f"{REFEDS}mfa"}.get(comparison)
    assert class_for_service(request(TRANSPORT, comparison=comparison), f"{REFEDS}mfa", {}) == told


def test_no_class_contains_a_stronger_one() -> None:
    """Containment has no cycle, and one factor never counts as two."""
    for stronger, weaker in CONTAINED.items():
        assert not any(is_contained(each, stronger) for each in weaker)
    assert not any(is_contained(each, f"{REFEDS}mfa") for each in SAID)


def test_the_log_says_what_was_asked_what_came_and_what_decides() -> None:
    """All in one sentence, a number in what the service wrote blotted out, and of many classes the first five."""
    told = describe_unmet(request(TRANSPORT), "urn:federation:authentication:windows", "au")
    for part in (TRANSPORT, "exact", "came: urn:federation:authentication:windows", "upstreams.au.authn_contexts"):
        assert part in told
    assert "max_assurance" in describe_unmet(request(TRANSPORT), f"{CLASSES}unspecified", "au")
    assert "came: no class" in describe_unmet(request(TRANSPORT), None, "au")
    assert "1111024568" not in describe_unmet(request("urn:1111024568"), None, "au")
    assert "urn:f" not in describe_unmet(request(*(f"urn:{each}" for each in "abcdef")), None, "au")
    assert "au answered NoAuthnContext" in describe_unmet_upstream(request(TRANSPORT), "au")
