"""The authentication context class that a service gets, and those that an upstream is asked for."""

from collections.abc import Mapping
from typing import Final

from broker.core.entities import UNSPECIFIED_CLASS, Assurance, Names
from broker.core.identity.attribute_values import PLAIN_CLASSES, find_class_assurance
from broker.core.identity.cpr import mask_numbers
from broker.core.login.contained_classes import is_contained
from broker.core.login.transaction import AuthnRequest

# Of the classes that a service asks for: a line of the log has no end of them.
_MOST_SHOWN: Final = 5
LOA: Final = "https://data.gov.dk/concept/core/nsis/loa"
# From the lowest level to the highest.
_NSIS: Final = {
    f"{LOA}/{assurance.name.capitalize()}": assurance
    for assurance in Assurance
    if assurance is not Assurance.SELF_ASSERTED
}


def is_overstated(wanted: str, given: str, *, pin: bool = False) -> bool:
    """Return whether ``given`` is known to stand for less than ``wanted``.

    ``pin``: ``given`` is of four digits, of no level at all. A class without a known level is the
    administrator's to judge.
    """
    demanded = find_class_assurance(wanted)
    offered = _offered_level(given, pin=pin)
    if demanded is None or offered is None:
        return False
    return offered < demanded


def _offered_level(given: str, *, pin: bool) -> Assurance | None:
    if pin:
        return Assurance.SELF_ASSERTED
    if given in PLAIN_CLASSES:
        return Assurance.LOW
    return find_class_assurance(given)


def nsis_class(level: Assurance) -> str:
    """Return the class of an NSIS level; the lowest one for a self-asserted person."""
    shown = max(level, Assurance.LOW)
    return f"{LOA}/{shown.name.capitalize()}"


# For a class that services ask for, the classes of an upstream that are as good; what nobody
# configured is not.
Meets = Mapping[str, Names]


def class_for_service(request: AuthnRequest, received: str | None, meets: Meets) -> str | None:
    """Return the class for the service, or None where ``received`` is none that it asked for.

    It is the received class, or the class asked for that by ``meets`` is met by it or that it
    contains; never another because it was asked for (saml-core 3.3.2.2.1,
    docs/reference/saml-profiles.md#15, #28 and #49). "" stands for a class that the upstream did
    not name.
    """
    given = received or ""
    if not request.authn_contexts:
        return given
    if given in request.authn_contexts:
        return None if request.comparison == "better" else given
    if request.comparison != "exact" and _in_order(given, request):
        return given
    if request.comparison == "better":
        return None
    for wanted in request.authn_contexts:
        if given in meets.get(wanted, ()):
            return wanted
    return _containing(given, request)


def _containing(given: str, request: AuthnRequest) -> str | None:
    """Return what a service is told of a class that contains one that it asked for.

    By "exact" it is one of those asked for, by "minimum" the stronger one as it is.
    """
    for wanted in request.authn_contexts:
        if is_contained(given, wanted):
            return {"exact": wanted, "minimum": given}.get(request.comparison)
    return None


def describe_unmet(request: AuthnRequest, received: str | None, upstream: str) -> str:
    """Return for the log which classes were asked for, which one came, and what decides."""
    came = received or "no class"
    if came == UNSPECIFIED_CLASS:
        came += " (also in place of one above the institution's max_assurance)"
    setting = f"upstreams.{upstream}.authn_contexts"
    return f"{_asked(request)}; came: {came}; as good as that is only what {setting} lists for it"


def describe_unmet_upstream(request: AuthnRequest, upstream: str) -> str:
    """Return for the log which classes an upstream could not meet, and what decides on them."""
    setting = f"upstreams.{upstream}.authn_contexts"
    return f"{_asked(request)}; {upstream} answered NoAuthnContext; it is asked by {setting}"


def _asked(request: AuthnRequest) -> str:
    """Return the classes asked for: a service may write anything there, even a CPR number."""
    if not request.authn_contexts:
        return "asked for: no class"
    shown = ", ".join(request.authn_contexts[:_MOST_SHOWN])
    if len(request.authn_contexts) > _MOST_SHOWN:
        shown += ", ..."
    return f"asked for: {request.comparison} {mask_numbers(shown, '(a number)')}"


def classes_to_request(request: AuthnRequest, meets: Meets) -> Names:
    """Return the classes to ask an upstream for, in its own words."""
    classes: list[str] = []
    for wanted in request.authn_contexts:
        classes += meets.get(wanted, (wanted,))
    return tuple(dict.fromkeys(classes))


def level_to_request(request: AuthnRequest, least: Assurance, meets: Meets) -> Assurance | None:
    """Return the lowest level, from ``least``, to demand of an upstream with NSIS levels only.

    None where no level meets the request: what a service writes is never passed on as it stands
    (docs/reference/saml-profiles.md#15).
    """
    for name, assurance in _NSIS.items():
        if assurance >= least and class_for_service(request, name, meets) is not None:
            return assurance
    return None


def _in_order(received: str, request: AuthnRequest) -> bool:
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
