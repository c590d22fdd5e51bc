"""Random policies and random logins of a small site. Each login is read as a live one is."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

from broker.configuration import attribute_maps
from broker.core.borrowers.borrower import Borrower
from broker.core.entities import Assurance, Controller, Institution, Service, Upstream
from broker.core.errors import AttributesRefused, ConfigurationFaults
from broker.core.identity.attribute_values import NSIS
from broker.core.identity.canonical_attributes import WireAttribute
from broker.core.identity.mailbox_proofs import MailboxProof
from broker.core.login.authentication_reading import make_pin_authentication, read_authentication
from broker.core.login.described_login import DescribedBorrower
from broker.core.login.given_facts import DescribedLogin
from broker.core.login.site import Site
from broker.core.login.transaction import Authentication
from broker.core.policy.model import PolicySet
from tests.core.policy_analysis.key_changes import CHANGES, FILES, load_policies
from tests.plugins.core_values import NOW, WORDS, make_authentication

MAPS: Final = attribute_maps.load(Path(__file__).parents[3] / "attribute_maps").maps
LOCAL: Final = frozenset({"library"})
CATEGORIES: Final = ("STUDENT", "PRIVATE", "STAFF")

UNIVERSITY: Final = Institution("https://au.example", scopes=("au.dk",), may_assert=frozenset({"cpr", "alumni_cpr"}))
COLLEGE: Final = Institution("https://via.example", scopes=("via.dk",), max_assurance=Assurance.LOW)
EID: Final = Institution("https://eid.example", may_assert=frozenset({"cpr"}), national_eid=True)
UPSTREAMS: Final = {
    "wayf": Upstream("wayf", "wayf", "w", "s", "wayf", WORDS, (UNIVERSITY, COLLEGE)),
    "nemid": Upstream("nemid", "oiosaml3", "n", "s", "oiosaml3", WORDS, (EID,), least=Assurance.LOW),
    "library": Upstream("library", "library", "", "", "", WORDS),
}
SERVICES: Final = (
    Service("my-loans", "l", WORDS, tuple(UPSTREAMS), Controller(WORDS), encrypts=True),
    Service("e-resources", "e", WORDS, tuple(UPSTREAMS)),
)
SITE: Final = Site({each.name: each for each in SERVICES}, UPSTREAMS, MAPS)

_WIRE: Final = {
    "role": (
        "urn:oid:1.3.6.1.4.1.5923.1.1.1.9",
        (
            *("student@au.dk", "employee@au.dk", "affiliate@au.dk", "alum@au.dk", "guest@au.dk", "member@lib.au.dk"),
            *("studying@au.dk", "Student@au.dk", "staff@via.dk", "alum@x.au.dk", "student@ku.dk"),
        ),
    ),
    "primary": ("urn:oid:1.3.6.1.4.1.5923.1.1.1.5", ("student", "affiliate", "alum")),
    "home": ("urn:oid:1.3.6.1.4.1.25178.1.2.9", ("au.dk", "via.dk", "ku.dk")),
    "mail": ("urn:oid:0.9.2342.19200300.100.1.3", ("a@au.dk", "b@post.example")),
    "sn": ("urn:oid:2.5.4.4", ("Ravn",)),
    "cpr": ("urn:oid:1.3.6.1.4.1.25178.1.2.15", ("1403044004", "0101504003", "7403044005", "140304A1B4", "9999999999")),
    "level": ("urn:oid:1.3.6.1.4.1.5923.1.1.1.11", ("1", "2", "3", "4", "x")),
    "entitled": ("urn:oid:1.3.6.1.4.1.5923.1.1.1.7", ("urn:x:lib", "urn:x:print")),
    "ours": ("borrower_category", CATEGORIES),
    "ours too": ("kaldemail_domain", ("auh.rm.dk",)),
}
_EID_WIRE: Final = {
    "mail": ("https://data.gov.dk/model/core/eid/email", ("a@auh.rm.dk", "b@post.example")),
    "sn": ("https://data.gov.dk/model/core/eid/lastName", ("Ravn",)),
    "cpr": ("https://data.gov.dk/model/core/eid/cprNumber", _WIRE["cpr"][1]),
    "role": _WIRE["role"],
}
RELEASED: Final = (
    "cpr",
    "borrower_number",
    "borrower_category",
    "sn",
    "eduPersonScopedAffiliation",
    "kaldemail_domain",
)


@dataclass(frozen=True)
class RandomLogin:
    """A login from one source: its upstream's message, what was proved, and whether there is a borrower."""

    described: DescribedLogin
    message: Authentication
    proofs: tuple[MailboxProof, ...]

    def read(self, *sets: PolicySet) -> DescribedLogin:
        """Read the message as where these sets are in force: some know affiliations that others withhold."""
        named = frozenset[str]().union(*(policies.affiliation_names for policies in sets))
        upstream = UPSTREAMS[self.message.upstream]
        reading = read_authentication(self.message, upstream, MAPS, NOW, self.proofs, named_affiliations=named)
        return replace(self.described, reading=reading.mask_cpr())


def edit_keys(draw: Random, many: int) -> dict[str, str]:
    """Return the policy files of the key changes with some of those changes."""
    files = dict(FILES)
    for _, affiliation, old, new, _ in draw.sample(CHANGES, many):
        name = f"{affiliation}.yaml"
        if files[name].count(old) == 1:
            files[name] = files[name].replace(old, new)
    return files


def draw_policies(draw: Random) -> PolicySet:
    """Return the policies of the key changes with up to three changes and up to three more released attributes."""
    while True:
        files = edit_keys(draw, draw.randrange(4))
        for name in draw.sample(RELEASED, draw.randrange(4)):
            files["student.yaml"] += f"      - {name}: {{why: {{en: x, da: x}}}}\n"
        # Some changes exclude each other.
        with TemporaryDirectory() as folder, suppress(ConfigurationFaults):
            return load_policies(Path(folder) / "policies", files)


def _wire(draw: Random, rows: dict[str, tuple[str, tuple[str, ...]]]) -> tuple[WireAttribute, ...]:
    """Draw some of the attributes, each with some of its values."""
    drawn = []
    for wire, known in rows.values():
        many = draw.choice([0, 0, 1, 1, 1, 2, 3])
        if many:
            drawn.append(WireAttribute(wire, tuple(draw.sample(known, min(many, len(known))))))
    return tuple(drawn)


def _authentication(upstream: str, institution: str, wire: tuple[WireAttribute, ...]) -> Authentication:
    return make_authentication(upstream, institution=institution, authorities=(institution,), attributes=wire)


def _eid(wire: tuple[WireAttribute, ...], level: str) -> Authentication:
    fixed = (
        WireAttribute("https://data.gov.dk/model/core/specVersion", ("OIO-SAML-3.0",)),
        WireAttribute(f"{NSIS}loa", (level,)),
    )
    return _authentication("nemid", EID.entity_id, (*fixed, *wire))


def _draw_authentication(draw: Random) -> Authentication:
    """Draw what an upstream says: an institution of the federation, the national eID, or a PIN."""
    match draw.choice(["wayf", "wayf", "wayf", "nemid", "library"]):
        case "wayf":
            institution = draw.choice([UNIVERSITY, UNIVERSITY, COLLEGE])
            return _authentication("wayf", institution.entity_id, _wire(draw, _WIRE))
        case "nemid":
            return _eid(_wire(draw, _EID_WIRE), draw.choice(["Low", "Substantial", "High"]))
        case _:
            return make_pin_authentication("library", Borrower("7", draw.choice([*CATEGORIES, "OTHER"])), NOW)


def _borrower(draw: Random) -> DescribedBorrower | None:
    if draw.choice(["none", "category", "category"]) == "none":
        return None
    return DescribedBorrower(draw.choice([*CATEGORIES, "OTHER"]))


_MAILBOXES: Final = (None, None, "nurse@auh.rm.dk", "nurse@rm.dk", "nurse@other.example")
_INTENTS: Final = (None, "student", "guest", "nobody")


def random_logins(draw: Random, many: int) -> Iterator[RandomLogin]:
    """Draw so many messages, and yield the logins of those whose attributes can be trusted."""
    for _ in range(many):
        login = _login(_draw_authentication(draw), draw.choice(_MAILBOXES), draw.choice(_INTENTS), _borrower(draw))
        if login is not None:
            yield login


def _login(
    authentication: Authentication, mailbox: str | None, intent: str | None, borrower: DescribedBorrower | None
) -> RandomLogin | None:
    """Read a message; None where its attributes cannot be trusted, and no policy is asked."""
    upstream = UPSTREAMS[authentication.upstream]
    proofs = (
        (MailboxProof("kaldemail", mailbox, NOW, NOW + timedelta(days=1)),) if mailbox and not upstream.local else ()
    )
    try:
        reading = read_authentication(authentication, upstream, MAPS, NOW, proofs).mask_cpr()
    except AttributesRefused:
        return None
    there = None if upstream.local else borrower
    described = DescribedLogin(
        authentication.upstream, authentication.institution, reading=reading, intent=intent, borrower=there
    )
    return RandomLogin(described, authentication, proofs)
