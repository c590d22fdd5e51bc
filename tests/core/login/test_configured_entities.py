"""From a verified authentication to a decision, with the reasons of withheld values."""

from dataclasses import replace
from pathlib import Path

import pytest

from broker.configuration import attribute_maps
from broker.core.entities import Assurance, Controller, Institution, Service, Text, Upstream
from broker.core.errors import (
    INVALID_NAME_ID_POLICY,
    NO_AUTHN_CONTEXT,
    NO_AVAILABLE_IDP,
    NO_SUPPORTED_IDP,
    AttributesRefused,
    RequestRefused,
    Status,
)
from broker.core.identity.canonical_attributes import AttributeMap, AttributeReading, Attributes, MapRow, WireAttribute
from broker.core.login.authentication_reading import read_authentication
from broker.core.login.configured_entities import ConfiguredEntities
from broker.core.login.transaction import Authentication, AuthnRequest, LoginPurpose
from broker.core.policy.model import PolicySet
from tests.plugins.core_values import (
    NOW,
    REQUEST,
    WORDS,
    make_authentication,
    make_policy,
    make_release,
    make_transaction,
)
from tests.plugins.eid_messages import NSIS, eid_attributes

AU = Institution("https://idp.au.example", scopes=("au.dk",), may_assert=frozenset({"cpr"}))
MAP = AttributeMap(
    "wayf",
    (
        MapRow("scoped", "eduPersonScopedAffiliation"),
        MapRow("primary", "eduPersonPrimaryAffiliation"),
        MapRow("assurance", "eduPersonAssurance"),
        MapRow("mail", "mail"),
        MapRow("number", "cpr"),
    ),
)
RULES = ConfiguredEntities(
    {"my-loans": Service("my-loans", "https://loans.example", WORDS, ("wayf",))},
    {"wayf": Upstream("wayf", "wayf", "https://wayf.example", "https://sp.example", "wayf", WORDS, (AU,))},
    {"wayf": MAP},
    lambda: PolicySet((), "d"),
)
CAME = make_authentication(authn_context="x")


def read(rules: ConfiguredEntities, came: Authentication) -> AttributeReading:
    """Read an authentication by the upstream that is configured."""
    return read_authentication(came, rules.upstreams[came.upstream], rules.maps, NOW)


LEVEL = f"{NSIS}loa/"
EID = Institution("https://eid.example", may_assert=frozenset({"cpr"}), national_eid=True)
NEMLOGIN = Upstream(
    "nemid", "oiosaml3", EID.entity_id, "https://sp.example", "oiosaml3", WORDS, (EID,), least=Assurance.SELF_ASSERTED
)
MAPS = attribute_maps.load(Path(__file__).resolve().parents[3] / "attribute_maps").maps


def make_eid_upstream(
    values: dict[str, str], upstream: Upstream = NEMLOGIN
) -> tuple[ConfiguredEntities, Authentication]:
    """Give rules with a national eID, and an authentication by it, of the class that says most."""
    attributes = tuple(WireAttribute(name, (value,)) for name, value in values.items())
    came = replace(
        CAME, upstream="nemid", institution=EID.entity_id, attributes=attributes, authn_context=f"{LEVEL}High"
    )
    return replace(RULES, upstreams={"nemid": upstream}, maps=MAPS), came


def class_of(rules: ConfiguredEntities, came: Authentication) -> str | None:
    """Give the class of an authentication; None where its attributes are refused."""
    try:
        return rules.authn_context(came, read(rules, came))
    except AttributesRefused:
        return None


@pytest.mark.parametrize("cap", list(Assurance))
@pytest.mark.parametrize(
    ("values", "level"),
    [
        ({"loa": "High"}, "High"),
        ({"loa": "High", f"{NSIS}ial": "Low"}, "Low"),
        ({"loa": "Low", f"{NSIS}ial": "High", f"{NSIS}aal": "High"}, "Low"),
        ({"loa": "Sure"}, None),
        ({"loa": None}, None),
    ],
)
def test_the_class_of_the_national_eid_is_the_level_that_was_read(
    values: dict[str, str | None], level: str | None, cap: Assurance
) -> None:
    """The lowest of its parts counts, at most the cap. Without a level there is no class."""
    rules, came = make_eid_upstream(
        eid_attributes(**values), replace(NEMLOGIN, institutions=(replace(EID, max_assurance=cap),))
    )
    told = min(cap, Assurance.parse(level)) if level else Assurance.SELF_ASSERTED
    expected = None if told is Assurance.SELF_ASSERTED else f"{LEVEL}{told.name.capitalize()}"
    assert class_of(rules, came) == expected


def test_a_login_below_the_minimum_has_no_class() -> None:
    """A level below what is configured satisfies no service, though it be one that it asked for."""
    rules, came = make_eid_upstream(eid_attributes(loa="Low"), replace(NEMLOGIN, least=Assurance.SUBSTANTIAL))
    assert class_of(rules, came) is None
    assert rules.authn_context(came, AttributeReading(Attributes(), None, "none", None)) is None


def test_another_upstreams_class_is_its_own_word() -> None:
    """No map reads the authentication class of an institution."""
    assert RULES.authn_context(CAME, read(RULES, CAME)) == "x"


@pytest.mark.parametrize(
    ("asked", "told"), [((), "Low"), (("Low",), "Low"), (("High",), None), (("Low", "High"), "Low")]
)
def test_a_service_is_told_no_more_than_was_read(asked: tuple[str, ...], told: str | None) -> None:
    """The request of the service and the class of the assertion do not raise the level."""
    rules, came = make_eid_upstream(eid_attributes(loa="High", **{f"{NSIS}ial": "Low"}))
    classes = tuple(LEVEL + each for each in asked)
    request = replace(REQUEST, authn_contexts=classes)
    begun = make_transaction(request=request, upstream="nemid", authentication=came)
    vouched = rules.authentication_for_service(begun, read(rules, came))
    assert (vouched and vouched.authn_context) == (told and LEVEL + told)


LIBRARY = Upstream("library", "library", "", "", "", WORDS)
HOUSES = replace(
    RULES,
    services={
        "my-loans": Service("my-loans", "https://loans.example", WORDS, ("nemid", "wayf", "library")),
        "wayf-only": Service("wayf-only", "https://wayf-only.example", WORDS, ("wayf",)),
        "library-only": Service("library-only", "https://library-only.example", WORDS, ("library",)),
        "none": Service("none", "https://none.example", WORDS, ()),
    },
    upstreams={
        "wayf": replace(RULES.upstreams["wayf"], institutions=(replace(AU, aliases=("https://au-alias.example",)),)),
        "nemid": NEMLOGIN,
        "library": LIBRARY,
    },
)
PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
MFA = "https://refeds.org/profile/mfa"


def asking(service: str = "my-loans", *classes: str, idp_list: tuple[str, ...] = ()) -> AuthnRequest:
    """Give a request of a service."""
    return AuthnRequest("_r1", service, "e", "acs", authn_contexts=classes, idp_list=idp_list)


@pytest.mark.parametrize(
    ("request_", "purpose", "ways"),
    [
        (asking(), LoginPurpose.LOGIN, ("nemid", "wayf", "library")),
        (asking(), LoginPurpose.SIGN_UP, ("nemid", "wayf")),
        (asking(), LoginPurpose.PIN_BY_MAIL, ()),
        (asking("none"), LoginPurpose.LOGIN, ()),
        (asking(idp_list=("https://idp.au.example",)), LoginPurpose.LOGIN, ("wayf",)),
        (asking(idp_list=("https://au-alias.example",)), LoginPurpose.LOGIN, ("wayf",)),
        (asking(idp_list=("https://eid.example", "https://unknown.example")), LoginPurpose.LOGIN, ("nemid",)),
        (asking("wayf-only", idp_list=("https://wayf.example", "https://eid.example")), LoginPurpose.LOGIN, ("wayf",)),
        (asking("my-loans", PASSWORD), LoginPurpose.LOGIN, ("nemid", "wayf", "library")),
        (asking("my-loans", MFA), LoginPurpose.LOGIN, ("nemid", "wayf")),
    ],
)
def test_a_request_may_take_the_ways_of_its_service(
    request_: AuthnRequest, purpose: LoginPurpose, ways: tuple[str, ...]
) -> None:
    """In the service's order; an IDPList and a class narrow them and never widen, and no PIN makes a PIN."""
    assert HOUSES.list_upstreams(request_, purpose) == ways


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (asking(idp_list=("https://unknown.example",)), NO_SUPPORTED_IDP),
        (asking("wayf-only", idp_list=("https://eid.example",)), NO_SUPPORTED_IDP),
        (asking("library-only", MFA), NO_AUTHN_CONTEXT),
    ],
)
def test_a_request_that_no_way_is_left_for_is_refused(request_: AuthnRequest, status: Status) -> None:
    """The service hears which of its requests cannot be met."""
    with pytest.raises(RequestRefused) as refused:
        HOUSES.list_upstreams(request_)
    assert (refused.value.refusal, refused.value.request) == (status, request_)


@pytest.mark.parametrize("purpose", [LoginPurpose.LOGIN, LoginPurpose.CHOICES])
def test_the_library_account_is_not_offered_if_pins_cannot_be_checked(purpose: LoginPurpose) -> None:
    """The other upstreams stay. A service without another upstream refuses the request."""
    rules = replace(HOUSES, pins_checked=False)
    assert rules.list_upstreams(asking(), purpose) == ("nemid", "wayf")
    assert rules.list_upstreams(asking("none"), purpose) == ()
    if purpose is LoginPurpose.CHOICES:
        assert rules.list_upstreams(asking("library-only"), purpose) == ()
        return
    with pytest.raises(RequestRefused) as refused:
        rules.list_upstreams(asking("library-only"), purpose)
    assert refused.value.refusal == NO_AVAILABLE_IDP


@pytest.mark.parametrize(
    ("cap", "met"),
    [
        (Assurance.HIGH, {MFA, f"{LEVEL}High", "urn:own"}),
        (Assurance.SUBSTANTIAL, {MFA, "urn:own"}),
        (Assurance.LOW, {"urn:own"}),
    ],
)
def test_an_institution_meets_no_class_above_its_cap(cap: Assurance, met: set[str]) -> None:
    """The configuration of its hub does not raise the cap."""
    meets = {MFA: ("urn:two",), f"{LEVEL}High": ("urn:two",), "urn:own": ("urn:one",)}
    hub = replace(RULES.upstreams["wayf"], meets=meets, institutions=(replace(AU, max_assurance=cap),))
    rules = replace(RULES, upstreams={"wayf": hub})
    assert rules.meets(CAME) == {wanted: meets[wanted] for wanted in met}
    assert set(rules.meets(replace(CAME, institution="https://unknown.example"))) == {"urn:own"}
    assert rules.meets(None) == {}


@pytest.mark.parametrize(
    ("institution", "label", "named"),
    [
        (AU.entity_id, Text("AU", "AU"), Text("AU", "AU")),
        (AU.entity_id, None, WORDS),
        ("https://unknown.example", Text("AU", "AU"), WORDS),
    ],
)
def test_the_giver_is_the_institution_that_answered(institution: str, label: Text | None, named: Text) -> None:
    """By its own name where it has one, else by its hub's; before a login nobody gives anything."""
    hub = replace(RULES.upstreams["wayf"], institutions=(replace(AU, label=label),))
    rules = replace(RULES, upstreams={"wayf": hub})
    assert rules.find_giver(replace(CAME, institution=institution)) == Controller(named)
    assert rules.find_giver(None) is None


TRANSIENT_ENTRY = make_release(name_id="transient")
GIVES = make_policy(releases=(TRANSIENT_ENTRY, make_release("https://refeds.org/category/anonymous")))
FORMATS = "urn:oasis:names:tc:SAML:"


@pytest.mark.parametrize(
    ("wanted", "categories", "given"),
    [
        (None, (), True),
        (f"{FORMATS}2.0:nameid-format:transient", (), True),
        (f"{FORMATS}2.0:nameid-format:persistent", (), False),
        (f"{FORMATS}2.0:nameid-format:persistent", ("https://refeds.org/category/anonymous",), True),
    ],
)
@pytest.mark.profile(40)
def test_a_nameid_format_that_no_policy_gives_is_refused_beforehand(
    wanted: str | None, categories: tuple[str, ...], given: bool
) -> None:
    """By the entries of the service and of its categories: nobody logs in to learn it."""
    service = replace(RULES.services["my-loans"], categories=categories)
    rules = replace(RULES, services={"my-loans": service}, policies=lambda: PolicySet((GIVES,), "d"))
    request = replace(REQUEST, name_id_format=wanted)
    if given:
        rules.check_name_id(request)
        return
    with pytest.raises(RequestRefused) as refused:
        rules.check_name_id(request)
    assert (refused.value.refusal, refused.value.request) == (INVALID_NAME_ID_POLICY, request)


def test_a_service_without_an_entry_is_refused_for_that() -> None:
    """The reason is the missing entry, not the requested NameID format."""
    request = replace(REQUEST, name_id_format="urn:x")
    RULES.check_name_id(request)
