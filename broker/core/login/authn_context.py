"""The authentication context class that a service gets, and those requested from an upstream."""

from collections.abc import Mapping
from typing import Final

from broker.core.entities import UNSPECIFIED_CLASS, Assurance, Names
from broker.core.identity.attribute_values import PLAIN_CLASSES, find_class_assurance
from broker.core.identity.cpr import mask_numbers
from broker.core.login.transaction import AuthnRequest

_MOST_SHOWN: Final = 5  # requested classes in a line of the log
LOA: Final = "https://data.gov.dk/concept/core/nsis/loa"
# From the lowest level to the highest.
_NSIS: Final = {
    f"{LOA}/{assurance.name.capitalize()}": assurance
    for assurance in Assurance
    if assurance is not Assurance.SELF_ASSERTED
}
_CLASSES: Final = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
_PASSWORD: Final = f"{_CLASSES}Password"
_TRANSPORT: Final = f"{_CLASSES}PasswordProtectedTransport"
_SMARTCARD: Final = f"{_CLASSES}Smartcard"
_EIDAS: Final = "http://eidas.europa.eu/LoA"

# A class counts only by what its definition guarantees for every login (saml-authn-context 3.4,
# REFEDS MFA 1.2, NSIS 2.0, Implementing Regulation (EU) 2015/1502).
# docs/interop.md#requestedauthncontext says which classes are not in the table, and why.
# Two factors of different kinds over a protected session: at least what one factor is good for.
_ONE_FACTOR: Final = frozenset({"https://refeds.org/profile/sfa", _TRANSPORT, _PASSWORD})
CONTAINED: Final[Mapping[str, frozenset[str]]] = {
    "https://refeds.org/profile/mfa": _ONE_FACTOR,
    "http://schemas.microsoft.com/claims/multipleauthn": _ONE_FACTOR,
    f"{LOA}/Substantial": _ONE_FACTOR,
    f"{LOA}/High": _ONE_FACTOR,
    f"{_EIDAS}/substantial": _ONE_FACTOR,
    f"{_EIDAS}/high": _ONE_FACTOR,
    f"{_CLASSES}MobileTwoFactorContract": _ONE_FACTOR,
    f"{_CLASSES}MobileTwoFactorUnregistered": _ONE_FACTOR,
    # A card with a key, and the PIN that opens it.
    f"{_CLASSES}SmartcardPKI": _ONE_FACTOR | {_SMARTCARD},
    _TRANSPORT: frozenset({_PASSWORD}),
}


def is_contained(received: str, wanted: str) -> bool:
    """Return whether every login of the class ``received`` is also one of the class ``wanted``."""
    return wanted in CONTAINED.get(received, ())


def is_overstated(wanted: str, given: str, *, pin: bool = False) -> bool:
    """Return whether ``given`` is known to guarantee less than ``wanted``.

    With ``pin``, the login was by a PIN, which has no level. The function returns False for classes
    without a known level: only the administrator can compare these.
    """
    demanded = find_class_assurance(wanted)
    offered = _find_offered_level(given, pin=pin)
    if demanded is None or offered is None:
        return False
    return offered < demanded


def _find_offered_level(given: str, *, pin: bool) -> Assurance | None:
    if pin:
        return Assurance.SELF_ASSERTED
    if given in PLAIN_CLASSES:
        return Assurance.LOW
    return find_class_assurance(given)


def nsis_class(level: Assurance) -> str:
    """Return the class of an NSIS level; the lowest one for a self-asserted person."""
    shown = max(level, Assurance.LOW)
    return f"{LOA}/{shown.name.capitalize()}"


# For each class that services ask for, the classes of an upstream that are configured as good
# enough.
Meets = Mapping[str, Names]


def class_for_service(request: AuthnRequest, received: str | None, meets: Meets) -> str | None:
    """Return the class for the service; None if the received class does not meet the request.

    It is the received class, or a requested class that the received one meets (by ``meets``) or
    contains. The broker never asserts a class only because it was requested (saml-core 3.3.2.2.1,
    docs/reference/saml-profiles.md#15, #28 and #49). "" means that the upstream named no class.
    """
    given = received or ""
    if not request.authn_contexts:
        return given
    if given in request.authn_contexts:
        return None if request.comparison == "better" else given
    if request.comparison != "exact" and _is_met_by_order(given, request):
        return given
    if request.comparison == "better":
        return None
    for wanted in request.authn_contexts:
        if given in meets.get(wanted, ()):
            return wanted
    return _find_containing(given, request)


def _find_containing(given: str, request: AuthnRequest) -> str | None:
    """Return the class for a service whose requested class is contained in the received one.

    With "exact" it is the requested class, with "minimum" the received, stronger one.
    """
    for wanted in request.authn_contexts:
        if is_contained(given, wanted):
            return {"exact": wanted, "minimum": given}.get(request.comparison)
    return None


def describe_unmet(request: AuthnRequest, received: str | None, upstream: str) -> str:
    """Return for the log the requested classes, the received one, and the setting that decides."""
    came = received or "no class"
    if came == UNSPECIFIED_CLASS:
        came += " (also in place of one above the institution's max_assurance)"
    setting = f"upstreams.{upstream}.authn_contexts"
    asked = _describe_request(request)
    return f"{asked}; came: {came}; as good as that is only what {setting} lists for it"


def describe_unmet_upstream(request: AuthnRequest, upstream: str) -> str:
    """Return for the log which classes an upstream could not meet, and the setting."""
    setting = f"upstreams.{upstream}.authn_contexts"
    asked = _describe_request(request)
    return f"{asked}; {upstream} answered NoAuthnContext; it is asked by {setting}"


def _describe_request(request: AuthnRequest) -> str:
    """Return the requested classes; numbers are masked, because a service may write anything."""
    if not request.authn_contexts:
        return "asked for: no class"
    shown = ", ".join(request.authn_contexts[:_MOST_SHOWN])
    if len(request.authn_contexts) > _MOST_SHOWN:
        shown += ", ..."
    return f"asked for: {request.comparison} {mask_numbers(shown, '(a number)')}"


def classes_to_request(request: AuthnRequest, meets: Meets) -> Names:
    """Return the classes to request from an upstream, by the upstream's own names."""
    classes: list[str] = []
    for wanted in request.authn_contexts:
        classes += meets.get(wanted, (wanted,))
    return tuple(dict.fromkeys(classes))


def level_to_request(request: AuthnRequest, least: Assurance, meets: Meets) -> Assurance | None:
    """Return the lowest level, at least ``least``, to request from an upstream with NSIS levels.

    None if no level meets the request. The text of a service is never passed on
    (docs/reference/saml-profiles.md#15).
    """
    for name, assurance in _NSIS.items():
        if assurance >= least and class_for_service(request, name, meets) is not None:
            return assurance
    return None


def _is_met_by_order(received: str, request: AuthnRequest) -> bool:
    """Compare NSIS levels, the only classes that have an order."""
    level = _NSIS.get(received)
    wanted = [_NSIS[name] for name in request.authn_contexts if name in _NSIS]
    if level is None or not wanted:
        return False
    if len(wanted) < len(request.authn_contexts):
        return False
    return {
        "minimum": level >= min(wanted),
        "maximum": level <= max(wanted),
        "better": level > max(wanted),
    }[request.comparison]
