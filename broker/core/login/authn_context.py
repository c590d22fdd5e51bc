"""Which class of authentication a service is told, and whether the one that came is one that it asked for."""

from collections.abc import Mapping
from typing import Final

from broker.core.entities import Assurance
from broker.core.identity.attribute_values import assurance_of_class
from broker.core.login.transaction import AuthnRequest

LOA: Final = "https://data.gov.dk/concept/core/nsis/loa"
_NSIS: Final = {
    f"{LOA}/" + each.name.capitalize(): each
    for each in Assurance
    if each is not Assurance.SELF_ASSERTED
}

_CLASSES: Final = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
# One factor or none: a password, a line, an address, or that there was a session
# (saml-authn-context 3.4).
_WEAK: Final = frozenset(
    {
        "https://refeds.org/profile/sfa",
        *(
            _CLASSES + each
            for each in (
                "Password",
                "PasswordProtectedTransport",
                "InternetProtocol",
                "InternetProtocolPassword",
                "PreviousSession",
                "Telephony",
                "NomadTelephony",
                "PersonalTelephony",
                "AuthenticatedTelephony",
            )
        ),
    }
)


def overstates(wanted: str, given: str, *, pin: bool = False) -> bool:
    """Return whether ``given`` is known to say less than ``wanted``; ``pin``: it is of four digits, of no level at all.

    A class that nobody has given a level is the administrator's to judge.
    """
    demanded = assurance_of_class(wanted)
    offered = (
        Assurance.SELF_ASSERTED
        if pin
        else Assurance.LOW
        if given in _WEAK
        else assurance_of_class(given)
    )
    return demanded is not None and offered is not None and offered < demanded


def nsis(level: Assurance) -> str:
    """Return the class of an NSIS level; that of the lowest for who is only self-asserted."""
    return f"{LOA}/" + max(level, Assurance.LOW).name.capitalize()


# For a class that services ask for, the classes of an upstream that are as good; what nobody
# configured is not.
Meets = Mapping[str, tuple[str, ...]]


def class_for_service(request: AuthnRequest, came: str | None, meets: Meets) -> str | None:
    """Return the class that the service is told, or None where ``came`` is none that it asked for.

    It is what came, or the class asked for that ``meets`` says is met by it; never another because
    it was asked for (saml-core 3.3.2.2.1, saml_profiles.md rows 15, 28 and 49). "" stands for a
    class that the upstream did not name.
    """
    given = came or ""
    if not request.authn_contexts:
        return given
    if given in request.authn_contexts:
        return None if request.comparison == "better" else given
    if request.comparison != "exact" and _in_order(
        given, request.authn_contexts, request.comparison
    ):
        return given
    if request.comparison == "better":
        return None
    return next((each for each in request.authn_contexts if given in meets.get(each, ())), None)


def meets_request(request: AuthnRequest, meets: Meets) -> tuple[str, ...]:
    """Return the classes to ask an upstream for, in its own words."""
    return tuple(
        dict.fromkeys(
            each for wanted in request.authn_contexts for each in meets.get(wanted, (wanted,))
        )
    )


def classes_to_request(request: AuthnRequest, least: Assurance, meets: Meets) -> Assurance | None:
    """Return the level to demand of an upstream that knows NSIS levels only: the lowest, from ``least``, that will do.

    None where none would: what a service writes is never passed on as it stands (saml_profiles.md
    row 15).
    """
    doing = (
        each for name, each in _NSIS.items() if class_for_service(request, name, meets) is not None
    )
    return min((each for each in doing if each >= least), default=None)


def _in_order(came: str, wanted: tuple[str, ...], comparison: str) -> bool:
    """Compare NSIS levels, the only classes that have an order."""
    levels = [_NSIS.get(each) for each in wanted]
    level = _NSIS.get(came)
    if level is None or not levels or any(each is None for each in levels):
        return False
    known = [each for each in levels if each is not None]
    return {
        "minimum": level >= min(known),
        "maximum": level <= max(known),
        "better": level > max(known),
    }[comparison]
