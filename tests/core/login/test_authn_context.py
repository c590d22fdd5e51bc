"""The class that a service gets, the classes and the level that an upstream is asked for, and what overstates one."""

import pytest

from broker.core.entities import Assurance
from broker.core.login.authn_context import class_for_service, classes_to_request, is_overstated, level_to_request
from broker.core.login.transaction import AuthnRequest

LOA = "https://data.gov.dk/concept/core/nsis/loa"
LOW, SUBSTANTIAL, HIGH = f"{LOA}/Low", f"{LOA}/Substantial", f"{LOA}/High"
MFA, SFA = "https://refeds.org/profile/mfa", "https://refeds.org/profile/sfa"
CLASSES = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
PASSWORD, TRANSPORT = f"{CLASSES}Password", f"{CLASSES}PasswordProtectedTransport"
AS_GOOD = {MFA: (SUBSTANTIAL, HIGH)}


def request(*classes: str, comparison: str = "exact") -> AuthnRequest:
    """Give a request for these classes."""
    return AuthnRequest("_1", "s", "e", "a", authn_contexts=classes, comparison=comparison)


@pytest.mark.profile(15, 28, 49)
@pytest.mark.parametrize(
    ("wanted", "comparison", "came", "told"),
    [
        ((), "exact", "urn:any", "urn:any"),
        ((), "exact", None, ""),
        ((PASSWORD,), "exact", PASSWORD, PASSWORD),
        ((PASSWORD,), "exact", None, None),
        ((PASSWORD,), "exact", LOW, None),
        ((PASSWORD,), "exact", HIGH, PASSWORD),
        ((MFA,), "exact", MFA, MFA),
        ((MFA,), "exact", SUBSTANTIAL, MFA),
        ((MFA,), "exact", LOW, None),
        ((MFA,), "exact", PASSWORD, None),
        ((MFA,), "exact", None, None),
        ((PASSWORD, MFA), "exact", SUBSTANTIAL, MFA),
        ((SUBSTANTIAL,), "exact", HIGH, None),
        ((MFA,), "minimum", HIGH, MFA),
        ((MFA,), "better", HIGH, None),
        ((SUBSTANTIAL,), "minimum", HIGH, HIGH),
        ((SUBSTANTIAL, HIGH), "minimum", LOW, None),
        ((SUBSTANTIAL,), "better", SUBSTANTIAL, None),
        ((LOW, SUBSTANTIAL), "better", HIGH, HIGH),
        ((LOW, SUBSTANTIAL), "maximum", HIGH, None),
        ((SUBSTANTIAL, HIGH), "maximum", LOW, LOW),
        ((SUBSTANTIAL,), "maximum", PASSWORD, None),
        ((SUBSTANTIAL, PASSWORD), "minimum", LOW, None),  # a password has no place in the order
        ((SUBSTANTIAL, PASSWORD), "minimum", HIGH, HIGH),
    ],
)
def test_the_service_gets_what_came_or_what_it_meets(
    wanted: tuple[str, ...], comparison: str, came: str | None, told: str | None
) -> None:
    """Never a class because it was asked for; only NSIS levels have an order (saml-core 3.3.2.2.1)."""
    assert class_for_service(request(*wanted, comparison=comparison), came, AS_GOOD) == told


@pytest.mark.profile(15)
def test_an_upstream_is_asked_in_its_own_words() -> None:
    """A configured class by what meets it, each once and in order; any other as it stands."""
    assert classes_to_request(request(MFA, PASSWORD, SUBSTANTIAL), AS_GOOD) == (SUBSTANTIAL, HIGH, PASSWORD)
    assert classes_to_request(request(), AS_GOOD) == ()


@pytest.mark.parametrize(
    ("wanted", "comparison", "least", "level"),
    [
        ((), "exact", Assurance.SUBSTANTIAL, Assurance.SUBSTANTIAL),
        ((), "exact", Assurance.SELF_ASSERTED, Assurance.LOW),
        ((HIGH,), "exact", Assurance.LOW, Assurance.HIGH),
        ((LOW,), "exact", Assurance.SUBSTANTIAL, None),
        ((LOW,), "minimum", Assurance.SUBSTANTIAL, Assurance.SUBSTANTIAL),
        ((SUBSTANTIAL,), "better", Assurance.LOW, Assurance.HIGH),
        ((MFA,), "exact", Assurance.LOW, Assurance.SUBSTANTIAL),
        ((PASSWORD,), "exact", Assurance.LOW, Assurance.SUBSTANTIAL),
        ((f"{CLASSES}Kerberos",), "exact", Assurance.LOW, None),
    ],
)
def test_the_lowest_level_that_meets_the_request_is_demanded(
    wanted: tuple[str, ...], comparison: str, least: Assurance, level: Assurance | None
) -> None:
    """Never one below the configured least, and none where no level would do."""
    assert level_to_request(request(*wanted, comparison=comparison), least, AS_GOOD) is level


WEAK = [
    SFA,
    *(
        f"{CLASSES}{name}"
        for name in (
            "Password", "PasswordProtectedTransport", "InternetProtocol", "InternetProtocolPassword",
            "PreviousSession", "Telephony", "NomadTelephony", "PersonalTelephony", "AuthenticatedTelephony",
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize("weak", WEAK)
@pytest.mark.parametrize(("wanted", "less"), [(MFA, True), (SUBSTANTIAL, True), (LOW, False), (PASSWORD, False)])
def test_a_single_factor_overstates_whatever_needs_two(weak: str, wanted: str, *, less: bool) -> None:
    """A password, an address or a session configured to be as good as two factors is an administrator's mistake."""
    assert is_overstated(wanted, weak) is less


@pytest.mark.parametrize(
    ("wanted", "given", "pin", "less"),
    [
        (HIGH, SUBSTANTIAL, False, True),
        (SUBSTANTIAL, SUBSTANTIAL, False, False),
        (MFA, HIGH, False, False),
        (SUBSTANTIAL, "https://idp.example/two-factors", False, False),  # the administrator's to judge
        ("https://idp.example/two-factors", PASSWORD, False, False),
        (LOW, TRANSPORT, False, False),
        (LOW, TRANSPORT, True, True),
        (LOW, HIGH, True, True),  # whatever four digits are called
        (PASSWORD, TRANSPORT, True, False),
    ],
)
def test_four_digits_are_of_no_level(wanted: str, given: str, *, pin: bool, less: bool) -> None:
    """A PIN stands for less than every level."""
    assert is_overstated(wanted, given, pin=pin) is less
