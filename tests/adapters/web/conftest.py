"""Pages to look at: an invented person's login, and every template with what it shows of it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from flask import Flask, make_response, render_template
from flask_babel import lazy_gettext
from werkzeug.wrappers import Response

from broker.adapters.web.page_layout import Imprint, install
from broker.adapters.web.pages import consent_screen
from broker.adapters.web.pages.language import language
from broker.adapters.web.pages.page_security import protect
from broker.adapters.web.pages.refusal_links import Action
from broker.core.consent.consent import Question, Receipt, ReceiptEvent
from broker.core.consent.disclosure import Disclosure, Item
from broker.core.entities import PERSISTENT, TRANSIENT, Controller, Institution, Profile, Service, Text, Upstream
from broker.core.identity.mailbox_proofs import MailedAddress
from broker.core.login.steps import Ask
from broker.core.login.transaction import Authentication, AuthnRequest, Transaction
from broker.core.logout.logout_state import Logout, LogoutPeer, LogoutRequest, Participant, ParticipantState
from broker.core.logout.sessions import NameID
from broker.core.policy.model import Decision, Effect, LegalBasis, Policy, PolicyLine, Reason, Release, Requirement
from broker.core.saml_ports import PostForm

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
CPR = "0101881235"
UNIVERSITY = Text("Aarhus University", "Aarhus Universitet")
LABELS = {
    "cpr": Text("CPR number", "CPR-nummer"),
    "borrower_number": Text("Library account", "Lånerkonto"),
    "eduPersonScopedAffiliation": Text("Affiliation", "Tilknytning"),
    "mail": Text("Mail address", "Mailadresse"),
    "gn": Text("First name", "Fornavn"),
    "sn": Text("Surname", "Efternavn"),
    "ou": Text("Department", "Afdeling"),
}
SERVICE = Service(
    name="my-loans",
    entity_id="https://loans.library.example/saml",
    label=Text("My loans", "Mine lån"),
    methods=("wayf", "nemid"),
    description=Text("Your loans and reservations.", "Dine lån og reserveringer."),
    url=Text("https://library.example/en/loans", "https://library.example/laan"),
    privacy_notice=Text("https://library.example/en/privacy/loans", "https://library.example/privatliv/laan"),
)
BEGUN = replace(SERVICE, url=Text("https://library.example/en/print", "https://library.example/print"))
MADE, TAKEN = ({"proved": proved, "back": None} for proved in (True, False))
IMPRINT = Imprint(
    name=Text("The Example Library", "Eksempelbiblioteket"),
    mail="help@library.example",
    phone="+45 70 00 00 00",
    contact=Text("https://library.example/en/contact", "https://library.example/kontakt"),
    service_locations=Text("https://library.example/en/places", "https://library.example/steder"),
    sign_up=Text("https://login.library.example/sign-up", "https://login.library.example/sign-up"),
    e_resources=Text("https://library.example/en/search", "https://library.example/soeg"),
    my_loans=Text("https://library.example/en/loans", "https://library.example/laan"),
    loan_terms=Text("https://library.example/en/terms", "https://library.example/vilkaar"),
    start="https://login.library.example/",
    pin="https://login.library.example/pin",
    choices="https://login.library.example/my-choices",
    help="https://login.library.example/sign-up/faq",
    logo="/pictures/logo?v=0",
    favicon="/pictures/favicon?v=0",
    privacy=Text("https://library.example/en/privacy", "https://library.example/privatliv"),
    accessibility="https://was.digst.dk/library-example",
    dpo="dpo@library.example",
)
FORM = PostForm("https://loans.library.example/acs", {"SAMLResponse": "PHNhbWxwOlJlc3BvbnNlLz4=", "RelayState": "x"})
ITEMS = (
    Item("borrower_number", (), Text("So that we find your account.", "Så vi kan finde din konto.")),
    Item("cpr", (CPR,), Text("So that we know who borrows.", "Så vi ved, hvem der låner.")),
    Item(
        "eduPersonScopedAffiliation",
        ("employee@clin.au.dk", "member@au.dk"),
        Text("It decides what you may borrow.", "Den afgør, hvad du kan låne."),
    ),
    Item("mail", ("kim@post.example",), Text("To remind you.", "Så vi kan minde dig om det."), optional=True),
)
# Values that a page must show whole: a long word, right to left, combining characters, very many, and none at all.
_WHY = Text("Your name on the account.", "Dit navn på kontoen.")
BAD_ITEMS = {
    "long": tuple(Item(name, ("W" * 200,), _WHY) for name in ("gn", "sn", "ou")),
    "script": (Item("gn", ("محمد عبد الرحمن",), _WHY), Item("sn", ("e" + "\u0301" * 30, "名前名前名前"), _WHY)),
    "many": tuple(Item(f"attribute{number}", (f"value {number}",) * 3, _WHY) for number in range(30)),
    "none": (),
}

MAILING = MailedAddress("kaldemail", "nurse@auh.rm.dk", NOW + timedelta(minutes=30))


LABEL = Text("Student at Aarhus University", "Studerende på Aarhus Universitet")


def transaction(**facts: Any) -> Transaction:
    """Give a login that has just been authenticated."""
    request = AuthnRequest("_1", "my-loans", SERVICE.entity_id, FORM.action)
    plain = Transaction("0" * 32, "K7MW3QZX", NOW, NOW + timedelta(minutes=30), request, authenticated=NOW)
    return replace(plain, **facts)


def make_question(
    basis: LegalBasis = "consent",
    items: tuple[Item, ...] = ITEMS,
    *,
    changed: ReceiptEvent | None = None,
    transient: bool = False,
) -> Ask:
    """Give the question that these items lead to."""
    place = PolicyLine("student.yaml", 1)
    purpose = Text("to see and renew your loans.", "at se og forny dine lån.")
    release = Release("my-loans", "make", basis, purpose, "persistent", (), place=place)
    policy = Policy(
        "student.yaml", "student", 10, LABEL, "a@b.example", date(2027, 1, 1), (), (), Requirement(), None, (release,)
    )
    disclosure = Disclosure(
        service="my-loans",
        acs=FORM.action,
        name_id_format=TRANSIENT if transient else PERSISTENT,
        purpose=purpose,
        legal_basis=basis,
        giver=Controller(Text("Aarhus University", "Aarhus Universitet"), "dpo@university.example"),
        receiver=Controller(Text("The Royal Example Library", "Det Kgl. Eksempelbibliotek"), "dpo@royal.example"),
        items=items,
        policy="d" * 64,
    )
    earlier = None
    if changed:
        earlier = Receipt("r1", changed, NOW, "en", "p", "d" * 64, basis, ("borrower_number", "mail"), "", None)
    question = Question(disclosure, earlier)
    return Ask(question, Decision(Effect.PERMIT, (), "student", policy, release, digest="d" * 64))


def screen(spoken: str, ask: Ask, authorities: int = 0) -> consent_screen.ConsentScreen:
    """Give what the page shows of ``ask``, with this many further authorities that passed the login on."""
    at = transaction().begun
    university = Institution("https://idp.au.example", scopes=("au.dk",), label=UNIVERSITY)
    wayf = Upstream("wayf", "wayf", "https://wayf.example", "", "", UNIVERSITY, (university,))
    passed_by = (university.entity_id, *(f"https://idp{number}.example" for number in range(authorities)))
    chain = Authentication("wayf", wayf.entity_id, university.entity_id, passed_by, (), at, None, at, at)
    login = transaction(authentication=chain)
    return consent_screen.ConsentScreen(ask, SERVICE, LABELS, spoken, login, NOW, upstream=wayf)


def make_way(name: str, label: str, institutions: tuple[Institution, ...] = (), profile: Profile = "wayf") -> Upstream:
    """Return a way to log in with the same label in both languages."""
    return Upstream(name, profile, "", "", "", Text(label, label), institutions)


@cache
def specimens(spoken: str) -> Mapping[str, tuple[str, dict[str, Any]]]:
    """Give every page there is under a name: its template and its values."""
    service = SERVICE.label[spoken]
    url = "https://login.library.example/login/00"
    marked = {"reference": "K7MW3QZX", "now": NOW, "iso": NOW.isoformat(), "moment": "1 December 2026"}
    refused = {"step": "refuse", "service": service, "form": FORM, "address": url, **marked}
    refused |= {"shared": False, "decision": None}
    unmet = Decision(Effect.DENY, (Reason("too_young", PolicyLine("private.yaml", 18)),), "private")
    nearest = Reason("value_not_matched", PolicyLine("student.yaml", 11))
    unmatched = Decision(Effect.DENY, (Reason("no_affiliation"), nearest))
    ways = [
        make_way("library", "Lånerkonto", profile="library"),
        make_way("wayf", "Universitetslogin (WAYF)"),
        make_way("nemid", "NemID", (Institution("https://nemid.example", national_eid=True),)),
    ]
    choose: dict[str, Any] = {
        "step": "choose",
        "service": service,
        "ways": ways,
        "token": "t~t",
        "action": f"{url}/upstream",
    }
    choose |= {
        "tells": True,
        "rememberable": True,
        "remembered": False,
        "shared": False,
        "sign_up": "/sign-up?service=my-loans",
    }
    refused |= {
        "signing_up": False,
        "is_signed_up": False,
        "admitted": (),
        "admitted_to": SERVICE,
        "ways_token": "t~t",
        "ways": ways,
    }
    back = Action("return", lazy_gettext("Return to %(service)s", service=service))
    contact = Action("contact", lazy_gettext("Contact the library"))
    refused |= {"actions": (contact, back)}
    onward = Action("sign_up", lazy_gettext("Sign up for a library account"), f"{url}/sign-up/student?service=myprint")
    leading = (Action("way", "MitID", way="nemid"), back, Action("way", "Lånerkonto", way="library"), contact)
    again = Action("again", lazy_gettext("Log in again"), f"{url}/upstream")
    abroad = Action("help", lazy_gettext("Get help where you logged in"), "https://idp.example/help?code=OTHER_ERROR")
    labelled = LABEL[spoken]
    decision = make_question().decision
    policy = decision.policy
    assert policy
    admitted = policy, replace(policy, require=Requirement(age=18))
    done: dict[str, Any] = {
        "step": "done", "service": service, "number": "409900017", "decision": decision,
        "outcome": "created", "here": SERVICE, "back": None, "pin": "/pin", "shared": False,
        "account": labelled, "declined": False, "mailed": True, "cpr_cards": True, "address": "kim@post.example",
        "choose_token": "t~t", "choose_action": "/pin?login=0",
    }  # fmt: skip
    kept = {**done, "outcome": "unchanged", "mailed": False, "here": replace(SERVICE, url=None)}
    consent = {"step": "ask", "token": "t~t", "shared": False, "logo": "", "service": service}
    inform = make_question("public_task", ITEMS[:3], changed=ReceiptEvent.INFORMED, transient=True)
    mismatch = replace(
        make_question("contract", ITEMS[:3]), decision=replace(make_question().decision, mismatch="hospital")
    )
    proof = {
        "step": "proof", "reason": "kaldemail", "action": f"{url}/proof", "token": "t~t", "problem": "",
        "mailing": MAILING, "domains": ("auh.rm.dk", "ps.rm.dk"), "optional": True, "address": MAILING.address,
        "about": "/sign-up/hospital/kaldemail",
    }  # fmt: skip
    changed = {"step": "changed", "service": service, "decision": decision, "token": "t~t"}
    form = {"step": "pin", "token": "t~t", "action": f"{url}/pin", "service": service, "shared": False}
    typed = {**form, "identifier": "", "problem": "", "reason": "", "back": None, "ways": ways[1:]}
    silent = Participant(LogoutPeer("service", "myprint"), NameID("a"), ("s",), ParticipantState.SILENT, "_r")
    asked = LogoutRequest(LogoutPeer("service", "my-loans"), "_l", NameID("a"), latest_issue_time=NOW)
    logout = Logout("0", asked, NOW, participants=(silent,), leaves_others=True)
    left = {"step": "logout", "logout": logout, "waiting": silent, "label": lambda peer: peer.name, "both": True}
    left |= {"address": f"{url}/on", "can_go_back": False, "shared": False}
    return {
        "pin-ask": ("pin_ask.html", typed),
        "pin-asked": ("pin_asked.html", {**typed, "back": BEGUN}),
        "pin-login": ("pin_login.html", {**typed, "forgotten": "/pin", "others": url}),
        "pin-code": ("pin_code.html", {**typed, "forgotten": "/pin", "others": url, "rememberable": True}),
        "pin-choose": ("pin_choose.html", {**typed, "problem": "pin_trivial", "link": None, "rememberable": False}),
        "pin-choose-behind-link": ("pin_choose.html", {**typed, "link": "0" * 32, "rememberable": True}),
        "pin-set": ("pin_chosen.html", {**form, "reason": "set", "again_at": None, "back": BEGUN, "over": True}),
        "pin-unknown": ("pin_chosen.html", {**form, "reason": "unknown", "again_at": NOW, "back": None}),
        "choices-left": ("choices_left.html", {"step": "choices", "reason": "left", "way": "NemID", "over": True}),
        "ended": ("ended.html", {"step": "end"}),
        "peer-post": ("peer_post.html", {"step": "authenticate", "form": FORM, "party": "NemID"}),
        **{
            f"logout-{kind}": ("logout.html", {**left, "kind": kind, "reason": kind})
            for kind in ("ask", "wait", "done")
        },
        "logout-remains": ("logout.html", {**left, "kind": "done", "reason": "remains", "shared": True}),
        "proof": ("proof.html", {**proof, "asking": True, "mailing": None}),
        "proof-mail": ("proof.html", {**proof, "reason": "mail", "asking": True, "domains": (), "optional": False}),
        "proof-code": ("proof.html", {**proof, "asking": False}),
        "proof-other": ("proof.html", {**proof, "reason": "workplace", "asking": True, "mailing": None}),
        "start": ("start.html", {"step": "start", "way": ""}),
        "start-remembered": ("start.html", {"step": "start", "way": "NemID"}),
        "choose": ("choose.html", {**choose, "again": False}),
        "choose-bare": (
            "choose.html",
            {**choose, "again": False, "tells": False, "rememberable": False, "sign_up": ""},
        ),
        "changed": ("changed.html", {**changed, "reason": "upgraded"}),
        "changed-lowered": ("changed.html", {**changed, "reason": "lowered"}),
        "upgrade": ("upgrade.html", {"step": "upgrade", "decision": decision, "token": "t~t"}),
        "done": ("done.html", done),
        "done-shared": ("done.html", {**kept, "outcome": "upgraded", "decision": mismatch.decision, "shared": True}),
        "done-declined": ("done.html", {**kept, "account": "", "declined": True}),
        "done-lowered": ("done.html", {**kept, "outcome": "lowered"}),
        "done-claimed": ("done.html", {**kept, "outcome": "claimed"}),
        "done-carded": ("done.html", {**done, "cpr_cards": False}),
        "done-pinless": ("done.html", {**done, "mailed": False}),
        "done-known": ("done.html", {**kept, "outcome": None, "back": BEGUN}),
        "choose-again": ("choose.html", {**choose, "again": True}),
        "onward": ("onward.html", {"step": "authenticate", "url": url}),
        "ask": ("consent.html", {**consent, "screen": screen(spoken, make_question()), "choices": "/my-choices"}),
        "ask-shared": ("consent.html", {**consent, "screen": screen(spoken, make_question()), "shared": True}),
        "ask-logo": (
            "consent.html",
            {**consent, "screen": screen(spoken, make_question()), "logo": "/pictures/service-x?v=0"},
        ),
        **{
            f"ask-{kind}": ("consent.html", {**consent, "screen": screen(spoken, make_question(items=items), 40)})
            for kind, items in BAD_ITEMS.items()
        },
        "choose-many": (
            "choose.html",
            {**choose, "again": False, "ways": [make_way(f"way{number}", "U" * 60) for number in range(40)]},
        ),
        "inform": ("consent.html", {**consent, "screen": screen(spoken, inform)}),
        "inform-contract": ("consent.html", {**consent, "screen": screen(spoken, mismatch)}),
        "inform-law": (
            "consent.html",
            {
                **consent,
                "screen": screen(spoken, make_question("legal_obligation", ITEMS[:1], changed=ReceiptEvent.REFUSED)),
            },
        ),
        "ask-problem": (
            "consent.html",
            {**consent, "screen": screen(spoken, make_question()), "problem": "token_refused"},
        ),
        "reveal": ("reveal.html", {"step": "reveal", "number": "010188-1235", "back": f"{url}/consent"}),
        "declined": ("declined.html", {**refused, "reason": "consent_refused", "token": "t~t"}),
        "declined-sign-up": (
            "declined.html",
            {**refused, "reason": "consent_refused", "token": "t~t", "signing_up": True, "form": None},
        ),
        "enrolling": ("enrolling.html", {"step": "enrol", "service": service, "url": url, **marked}),
        "post": ("post.html", {"service": service, "form": FORM}),
        "post-shared": ("post_shared.html", {"step": "issue", "service": service, "form": FORM}),
        "refused": ("refused.html", {**refused, "reason": "no_library_account", "actions": (onward, back, contact)}),
        "refused-shared": ("refused.html", {**refused, "reason": "cpr_required", "shared": True, "actions": leading}),
        "refused-others": ("refused.html", {**refused, "reason": "no_policy_for_service", "admitted": admitted}),
        "refused-rule": ("refused.html", {**refused, "reason": "too_young", "decision": unmet}),
        "refused-no-rule": ("refused.html", {**refused, "reason": "no_affiliation", "decision": unmatched}),
        "refused-sign-up": (
            "refused.html",
            {**refused, "reason": "cpr_required", "form": None, "actions": (leading[0], contact)},
        ),
        "refused-again": (
            "refused.html",
            {**refused, "reason": "upstream_refused", "actions": (again, back, abroad, contact)},
        ),
        "error": ("error.html", {"step": "error", "reason": "other_browser", "actions": (contact,), **marked}),
        "error-again": (
            "error.html",
            {"step": "error", "reason": "cookies_needed", "actions": (again, contact), **marked},
        ),
    }


def make_site(base_url: str = "https://login.library.example", imprint: Imprint = IMPRINT, **settings: str) -> Flask:
    """Give an application that shows every specimen under /<name>."""
    app = Flask("broker.adapters.web")
    app.config.update(settings)
    install(app, imprint, base_url)

    @app.route("/<name>", methods=["GET", "POST"])
    def show(name: str) -> Response:
        template, values = specimens(language())[name]
        response = make_response(render_template(template, **values))
        return protect(response, base_url, "leaving" if "form" in values else "page")

    return app


@pytest.fixture(scope="session")
def site() -> Callable[..., Flask]:
    """Give what makes an application that shows every specimen: base_url, imprint, settings."""
    return make_site


@pytest.fixture(scope="session")
def question() -> Callable[..., Ask]:
    """Give what makes a question: legal basis, items, changed, transient."""
    return make_question


@pytest.fixture(scope="session")
def login() -> Transaction:
    """Give a login that has just been authenticated."""
    return transaction()


@pytest.fixture(scope="module")
def app() -> Flask:
    """Give an application that shows every specimen; nobody changes it."""
    return make_site()


@pytest.fixture(params=sorted(specimens("da")))
def specimen(request: pytest.FixtureRequest) -> str:
    """Give the name of every page in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def looked_at() -> tuple[str, ...]:
    """Give the name of every page that stays to be looked at: one goes on by itself at once."""
    return tuple(sorted(set(specimens("da")) - {"onward"}))


@pytest.fixture(scope="session")
def one_of_each(looked_at: tuple[str, ...]) -> tuple[str, ...]:
    """Give the name of one page of each template: the one that is the longest, for it shows the most."""
    longest: dict[str, str] = {}
    shown = specimens("da")
    for name in looked_at:
        template, values = shown[name]
        other = longest.get(template)
        if other is None or len(repr(values)) > len(repr(shown[other][1])):
            longest[template] = name
    return tuple(longest.values())
