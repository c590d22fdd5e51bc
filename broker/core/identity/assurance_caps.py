"""What a capped institution may say: the most that assurance values and classes stand for.

Sources: REFEDS Assurance Framework 1.0 and 2.0, saml-authn-context 3.4,
docs/saml.md#what-is-believed.
"""

from collections.abc import Mapping
from typing import Final

from broker.core.entities import UNSPECIFIED_CLASS, Assurance, Names
from broker.core.identity.attribute_values import assurance_of_class, level

_REFEDS: Final = "https://refeds.org/assurance"
# No other rule believes these values: they only are told on, and not above a cap.
_MOST_OF_VALUE: Final = {
    f"{_REFEDS}/IAP/low": Assurance.LOW,
    f"{_REFEDS}/IAP/medium": Assurance.SUBSTANTIAL,
    f"{_REFEDS}/IAP/high": Assurance.HIGH,
    f"{_REFEDS}/profile/cappuccino": Assurance.SUBSTANTIAL,
    f"{_REFEDS}/profile/espresso": Assurance.HIGH,
}
# On how an identifier is made and how old an affiliation may be: of no level.
_WITHOUT_LEVEL: Final = frozenset(
    {
        _REFEDS,
        f"{_REFEDS}/version/2",
        f"{_REFEDS}/ID/unique",
        f"{_REFEDS}/ID/eppn-unique-no-reassign",
        f"{_REFEDS}/ID/eppn-unique-reassign-1y",
        f"{_REFEDS}/ATP/ePA-1m",
        f"{_REFEDS}/ATP/ePA-1d",
    }
)

_SAML: Final = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
_MICROSOFT: Final = "http://schemas.microsoft.com/ws/2008/06/identity/authenticationmethod/"
# One factor or none: within every cap, since whoever has an account has as much.
_PLAIN_CLASSES: Final = frozenset(
    {
        UNSPECIFIED_CLASS,
        "https://refeds.org/profile/sfa",
        "urn:federation:authentication:windows",
        f"{_MICROSOFT}password",
        f"{_MICROSOFT}windows",
        f"{_SAML}InternetProtocol",
        f"{_SAML}InternetProtocolPassword",
        f"{_SAML}Kerberos",
        f"{_SAML}Password",
        f"{_SAML}PasswordProtectedTransport",
        f"{_SAML}PreviousSession",
        f"{_SAML}SecureRemotePassword",
        f"{_SAML}Telephony",
        f"{_SAML}NomadTelephony",
        f"{_SAML}PersonalTelephony",
        f"{_SAML}AuthenticatedTelephony",
    }
)
_MOST_OF_CLASS: Final = {
    f"{_MICROSOFT}x509": Assurance.SUBSTANTIAL,
    f"{_MICROSOFT}tlsclient": Assurance.SUBSTANTIAL,
    f"{_MICROSOFT}smartcard": Assurance.HIGH,
    f"{_MICROSOFT}smartcardpki": Assurance.HIGH,
    f"{_SAML}MobileOneFactorUnregistered": Assurance.LOW,
    f"{_SAML}MobileOneFactorContract": Assurance.LOW,
    f"{_SAML}MobileTwoFactorUnregistered": Assurance.SUBSTANTIAL,
    f"{_SAML}MobileTwoFactorContract": Assurance.SUBSTANTIAL,
    f"{_SAML}TimeSyncToken": Assurance.SUBSTANTIAL,
    f"{_SAML}TLSClient": Assurance.SUBSTANTIAL,
    f"{_SAML}X509": Assurance.SUBSTANTIAL,
    f"{_SAML}PGP": Assurance.SUBSTANTIAL,
    f"{_SAML}SPKI": Assurance.SUBSTANTIAL,
    f"{_SAML}XMLDSig": Assurance.SUBSTANTIAL,
    f"{_SAML}SoftwarePKI": Assurance.SUBSTANTIAL,
    f"{_SAML}Smartcard": Assurance.HIGH,
    f"{_SAML}SmartcardPKI": Assurance.HIGH,
}


def value_within(value: str, cap: Assurance) -> bool:
    """Return whether a value of eduPersonAssurance says nothing above ``cap``.

    Of a value that no table knows nobody can tell: only an institution without a cap may send it.
    """
    if cap is Assurance.HIGH or value in _WITHOUT_LEVEL:
        return True
    most = level(value) or _MOST_OF_VALUE.get(value)
    return most is not None and most <= cap


def class_fault(authn_class: str, cap: Assurance, meets: Mapping[str, Names]) -> str | None:
    """Return why a service is not told an authentication context class; None where it is.

    ``above_cap``: it stands for more than ``cap``. ``unknown_class``: it stands in no table here,
    nor in the upstream's ``authn_contexts`` (``meets``), whose classes stand for what they are
    configured to meet.
    """
    if authn_class in _PLAIN_CLASSES:
        return None
    most = assurance_of_class(authn_class) or _MOST_OF_CLASS.get(authn_class)
    if most is None:
        most = _configured_level(authn_class, meets)
    if most is None:
        return "unknown_class"
    return "above_cap" if most > cap else None


def _configured_level(authn_class: str, meets: Mapping[str, Names]) -> Assurance | None:
    """Return the most that the class is configured to meet; None where it is not configured."""
    levels = []
    for wanted, classes in meets.items():
        if authn_class in classes:
            levels.append(assurance_of_class(wanted) or Assurance.SELF_ASSERTED)
    return max(levels, default=None)
