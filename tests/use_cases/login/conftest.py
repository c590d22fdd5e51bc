"""Logins to three services: by a university, by another upstream, and by the PIN of the library system."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, Final

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.entities import Institution, Profile, Service, Upstream
from broker.core.identity.canonical_attributes import AttributeMap, MapRow, WireAttribute
from broker.core.login.configured_entities import ConfiguredEntities
from broker.core.login.transaction import Authentication, AuthnRequest, Transaction, UpstreamRefusal
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.policy.expiry import Expiry
from broker.core.policy.model import BorrowerRule, Field, MailDomain, PolicySet, ProofRule, Requirement
from broker.use_cases.enrolment.borrower_at_login import BorrowerAtLogin
from broker.use_cases.login.arrival_matching import TransactionAndArrival
from broker.use_cases.login.login import LoginFlow
from broker.use_cases.login.person_at_login import PersonAtLogin
from broker.use_cases.pins.mailbox_proofs import MailboxProofs
from broker.use_cases.pins.mailed_codes import MailedCodes
from broker.use_cases.storage.mail_outbox import MailOutbox
from broker.use_cases.transactions.person_identification import PersonIdentification
from broker.use_cases.transactions.transactions import LoginContext
from tests.plugins.core_values import PLACE, WORDS, make_alternative, make_authentication, make_policy, make_release
from tests.use_cases.conftest import StoredAuditLog
from tests.use_cases.memory_library import AASE

MINUTE: Final = timedelta(minutes=1)
KEY: Final = LookupHmacs("k1", b"k" * 32)
NAMING: Final = LookupHmacs("n1", b"n" * 32)
AU: Final = Institution("https://idp.au.example", scopes=("au.dk",), may_assert=frozenset({"cpr", "alumni_cpr"}))
WIRES: Final = {
    "role": "eduPersonScopedAffiliation",
    "assurance": "eduPersonAssurance",
    "cpr": "cpr",
    "mail": "mail",
    "gn": "gn",
    "sn": "sn",
}
MAP: Final = AttributeMap(
    "map", (MapRow("eppn", "eduPersonPrincipalName"), *(MapRow(wire, name) for wire, name in WIRES.items()))
)


FIELDS: Final = (Field("surname", "sn", "always", PLACE), Field("email", "mail", "create", PLACE))
STUDENTS: Final = make_policy(
    "student",
    make_alternative(eduPersonScopedAffiliation="student@*"),
    precedence=3,
    require=Requirement(cpr=True),
    borrower=BorrowerRule("STUD", ("PRIV",), Expiry(24), FIELDS, "mail", place=PLACE),
    releases=(make_release(borrower="make"), make_release("e-resources")),
)
NURSES: Final = make_policy(
    "nurse",
    make_alternative(upstream="other", kaldemail_domain="auh.rm.dk"),
    precedence=2,
    proofs=(ProofRule("kaldemail", (MailDomain("auh.rm.dk"),), timedelta(days=90)),),
    releases=(make_release(), make_release("e-resources")),
)
BORROWERS: Final = make_policy(
    "borrower", make_alternative(borrower_category="*"), releases=(make_release(borrower="need"),)
)


class Logins:
    """The flow over a real store; ``set`` is the policy set in force."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.set = PolicySet((STUDENTS, NURSES, BORROWERS), "digest")
        services = {
            name: Service(name, f"https://{name}.example", WORDS, methods, scope="library.example")
            for name, methods in {
                "my-loans": ("wayf", "other", "pin"),
                "e-resources": ("wayf",),
                "reading-room": ("pin",),
            }.items()
        }
        profiles: dict[str, Profile] = {"wayf": "wayf", "other": "saml", "pin": "library", "nobody": "saml"}
        upstreams = {
            name: Upstream(name, profile, f"https://{name}.example", "https://sp.example", "map", WORDS, (AU,))
            for name, profile in profiles.items()
        }
        self.rules = ConfiguredEntities(services, upstreams, {"map": MAP}, lambda: self.set)
        self.persons = PersonIdentification(world.ports.hmacs, world.finder.has_borrower)
        codes = MailedCodes(world.store, KEY, world.ports.now)
        outbox = MailOutbox(world.store, KEY, None, world.letters, world.ports.now)
        self.proving = MailboxProofs(world.ports.persons, codes, outbox)
        borrowers = BorrowerAtLogin(world.ports, world.requests, world.finder)
        self.audit_log = StoredAuditLog()
        self.person_at_login = PersonAtLogin(
            world.ports.persons, KEY, NAMING, self.rules, self.persons, borrowers, self._tell
        )
        self.flow = LoginFlow(world.store, KEY, self.rules, self.person_at_login, "my-loans")
        self.messages = 0

    def _tell(self, event: Any) -> None:
        self.audit_log.add(event)

    def request(self, service: str = "my-loans", **facts: Any) -> AuthnRequest:
        """Give the request of a service."""
        return AuthnRequest("_1", service, f"https://{service}.example", "acs", **facts)

    def begun(self, service: str = "my-loans", browser: str = "b", **facts: Any) -> LoginContext:
        """Begin a login and bind it to a browser."""
        context, _ = self.flow.begin(self.request(service, **facts), self.world.now)
        return self.flow.bind(context, browser, self.world.now)

    def read_stored(self, context: LoginContext) -> Transaction:
        """Give the transaction as the store has it."""
        return self.flow.read(context.transaction.id, self.world.now).transaction

    def answer(self, upstream: str = "wayf", **said: str) -> Authentication:
        """Give the assertion of an upstream that says so much of a person."""
        now = self.world.now
        wire = tuple(WireAttribute(name, (value,)) for name, value in said.items())
        times = {"authn_instant": now, "received": now, "assertion_until": now + 4 * MINUTE}
        return make_authentication(upstream, attributes=wire, name_id="_t", name_id_format="transient", **times)

    def student(self, **said: str) -> Authentication:
        """Give the assertion of a student who is known in person, with a CPR."""
        whole = {"eppn": "aase@au.dk", "role": "student@au.dk", "cpr": "0101990000", "assurance": "3"}
        return self.answer(**{**whole, "sn": "Prøvesen", "gn": "Åse", "mail": "aase@example.org", **said})

    def arrive(self, context: LoginContext, request: str, answer: Authentication | UpstreamRefusal) -> str:
        """Store an answer to ``request`` as the ACS does; give the arrival token."""
        self.messages += 1
        now = self.world.now
        message = (f"_m{self.messages}", now + 4 * MINUTE)
        return self.flow.arrivals.add(context.transaction.id, request, answer, message, now)

    def store_answer(self, context: LoginContext, answer: Authentication | UpstreamRefusal) -> tuple[LoginContext, str]:
        """Ask an upstream and store its answer; give the transaction and the arrival token."""
        asked, sent = self.flow.ask_upstream(context, answer.upstream, self.world.now)
        return asked, self.arrive(asked, sent.id, answer)

    def log_in(self, context: LoginContext, answer: Authentication | UpstreamRefusal) -> LoginContext:
        """Ask an upstream, and join its answer in the browser that asked."""
        asked, token = self.store_answer(context, answer)
        joined = self.match(asked, token, [asked.transaction.browser or ""])
        assert joined
        return joined

    def brought(self, context: LoginContext, token: str) -> TransactionAndArrival:
        """Bring an arrival to a transaction as ``context`` has it."""
        brought = self.flow.matching.read_both(context.transaction.id, token, self.world.now)
        return replace(brought, context=context)

    def match(
        self, context: LoginContext, token: str, browsers: Sequence[str] = ("b",), now: datetime | None = None
    ) -> LoginContext | None:
        """Match an arrival and join it as the web does: where another writes first, all is read again."""
        now = now or self.world.now
        matched = self.flow.matching.match(self.brought(context, token), browsers, now)
        if matched is None:
            return None
        joined = self.flow.matching.store(matched, now)
        return joined or self.match(self.flow.read(context.transaction.id, now), token, browsers, now)

    def put_on_shelf(self, number: str = "9", category: str = "PRIV", **facts: Any) -> Borrower:
        """Put a borrower with the student's CPR on the shelf."""
        whole = {"number": number, "category": category, "card": number, "expires": date(2030, 1, 1), **facts}
        made: Borrower = self.world.library.add(AASE, "0101990000", **whole)
        return made


@pytest.fixture
def logins(world: Any) -> Logins:
    """Give the logins over an empty store and shelf."""
    return Logins(world)
