"""The checks of one attribute value: pattern, scope, level, affiliation, cap, no CPR number.

Sources: REFEDS Assurance Framework 1.0 and 2.0, saml-authn-context 3.4, eduPerson 2.2.1,
docs/saml.md#what-is-believed.
"""

import re
from collections.abc import Collection, Mapping
from string import ascii_lowercase, ascii_uppercase
from typing import Final

from broker.core.entities import UNSPECIFIED_CLASS, Assurance, Names

# Lower case only, no empty label, nothing after the last one: "au.dk." is another name.
_DOMAIN: Final = re.compile(
    r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+"
)
_SMALL: Final = str.maketrans(ascii_uppercase, ascii_lowercase)
NSIS: Final = "https://data.gov.dk/concept/core/nsis/"
_NSIS_PARTS: Final = frozenset({"", "loa", "ial", "aal"})
_LEVELS: Final = {
    "1": Assurance.SELF_ASSERTED,
    "2": Assurance.LOW,
    "3": Assurance.SUBSTANTIAL,
    "4": Assurance.HIGH,
    "low": Assurance.LOW,
    "substantial": Assurance.SUBSTANTIAL,
    "high": Assurance.HIGH,
}
# Authentication context classes outside NSIS, with the least assurance that they stand for.
_CLASSES: Final = {
    "https://refeds.org/profile/mfa": Assurance.SUBSTANTIAL,
    "http://schemas.microsoft.com/claims/multipleauthn": Assurance.SUBSTANTIAL,
    "http://eidas.europa.eu/LoA/low": Assurance.LOW,
    "http://eidas.europa.eu/LoA/substantial": Assurance.SUBSTANTIAL,
    "http://eidas.europa.eu/LoA/high": Assurance.HIGH,
}


def is_match(value: str, pattern: str | None) -> bool:
    """Return whether the whole ``value`` matches ``pattern``, or there is no pattern.

    With ``$`` in place of a full match a newline could follow.
    """
    if pattern is None:
        return True
    return re.fullmatch(pattern, value) is not None


def is_in_scope(value: str, kind: str | None, scopes: Collection[str]) -> bool:
    """Return whether the scope of ``value`` is in ``scopes``, or below one where ``kind`` is "sub".

    The scope is what follows the one "@", or the whole of a value without one (a home
    organisation). ``kind`` None: the value carries no scope.
    """
    if kind is None:
        return True
    if value.count("@") > 1:
        return False
    scope = value.rpartition("@")[2]
    if not _DOMAIN.fullmatch(scope):
        return False
    if scope in scopes:
        return True
    if kind != "sub":
        return False
    return any(scope.endswith(f".{parent}") for parent in scopes if parent)


def lower_scope(value: str) -> str:
    """Return a scoped value with its scope in lower case: a domain has no case (RFC 4343).

    Only ASCII is changed, because a capital of another alphabet is another name. Policies and
    services compare exactly, so that the value has one spelling from here on.
    """
    local, at, scope = value.rpartition("@")
    return f"{local}{at}{scope.translate(_SMALL)}"


def find_class_assurance(authn_class: str) -> Assurance | None:
    """Return the least level that an authentication context class stands for; None for no level."""
    return _CLASSES.get(authn_class) or read_level(authn_class)


def read_level(value: str) -> Assurance | None:
    """Return the level of WAYF's 1-4, an NSIS level, or an NSIS URL of one; else None.

    The URL may contain no other text, because it is passed on. Source:
    docs/reference/design.md#assurance.
    """
    if value.startswith(NSIS):
        value = value.removeprefix(NSIS)
        part, _, named = value.rpartition("/")
        value = named if part in _NSIS_PARTS else ""
    return _LEVELS.get(value.lower())


SCOPED_AFFILIATION: Final = "eduPersonScopedAffiliation"
AFFILIATIONS: Final = (SCOPED_AFFILIATION, "eduPersonAffiliation", "eduPersonPrimaryAffiliation")
# eduPerson 2.2.1; the values differ by case in no meaning.
VOCABULARY: Final = frozenset(
    {"faculty", "student", "staff", "alum", "member", "affiliate", "employee", "library-walk-in"}
)


def read_role(value: str) -> str:
    """Return the word of an affiliation, in small letters, without the scope it may have."""
    return value.partition("@")[0].lower()


def is_known_affiliation(value: str, named: Collection[str]) -> bool:
    """Return whether an affiliation is in the vocabulary, or one of the values ``named``.

    An institution gives another word its own meaning, and a service may understand it differently.
    """
    return read_role(value) in VOCABULARY or value in named


_REFEDS: Final = "https://refeds.org/assurance"
# These values are only passed on, and not above a cap. No rule uses them.
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


def _list_classes(prefix: str, names: str) -> Names:
    return tuple(prefix + name for name in names.split())


# One factor or none: within every cap, because every account has as much.
PLAIN_CLASSES: Final = frozenset(
    {
        UNSPECIFIED_CLASS,
        "https://refeds.org/profile/sfa",
        "urn:federation:authentication:windows",
        *_list_classes(_MICROSOFT, "password windows"),
        *_list_classes(
            _SAML,
            "InternetProtocol InternetProtocolPassword Kerberos Password"
            " PasswordProtectedTransport PreviousSession SecureRemotePassword Telephony"
            " NomadTelephony PersonalTelephony AuthenticatedTelephony",
        ),
    }
)
_CLASSES_OF_LEVEL: Final = {
    Assurance.LOW: _list_classes(_SAML, "MobileOneFactorUnregistered MobileOneFactorContract"),
    Assurance.SUBSTANTIAL: (
        *_list_classes(_MICROSOFT, "x509 tlsclient"),
        *_list_classes(
            _SAML,
            "MobileTwoFactorUnregistered MobileTwoFactorContract TimeSyncToken TLSClient X509 PGP"
            " SPKI XMLDSig SoftwarePKI",
        ),
    ),
    Assurance.HIGH: (
        *_list_classes(_MICROSOFT, "smartcard smartcardpki"),
        *_list_classes(_SAML, "Smartcard SmartcardPKI"),
    ),
}
_MOST_OF_CLASS: Final = {
    authn_class: level for level, classes in _CLASSES_OF_LEVEL.items() for authn_class in classes
}


def is_value_within(value: str, cap: Assurance) -> bool:
    """Return whether a value of eduPersonAssurance says nothing above ``cap``.

    The level of an unknown value is unknown: only an institution without a cap may send it.
    """
    if cap is Assurance.HIGH or value in _WITHOUT_LEVEL:
        return True
    most = read_level(value) or _MOST_OF_VALUE.get(value)
    return most is not None and most <= cap


def find_class_fault(authn_class: str, cap: Assurance, meets: Mapping[str, Names]) -> str | None:
    """Return why a service does not get an authentication context class; None if it does.

    ``above_cap``: it stands for more than ``cap``. ``unknown_class``: it is in no table here, nor
    in the upstream's ``authn_contexts`` (``meets``), whose classes stand for what they are
    configured to meet.
    """
    if authn_class in PLAIN_CLASSES:
        return None
    most = find_class_assurance(authn_class) or _MOST_OF_CLASS.get(authn_class)
    if most is None:
        most = _find_configured_level(authn_class, meets)
    if most is None:
        return "unknown_class"
    return "above_cap" if most > cap else None


def _find_configured_level(authn_class: str, meets: Mapping[str, Names]) -> Assurance | None:
    """Return the most that the class is configured to meet; None where it is not configured."""
    levels = []
    for wanted, classes in meets.items():
        if authn_class in classes:
            levels.append(find_class_assurance(wanted) or Assurance.SELF_ASSERTED)
    return max(levels, default=None)
