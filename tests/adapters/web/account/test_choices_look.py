"""The pages of a person's choices in a real browser: accessible, whole on a narrow screen, and fit to print."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask, render_template
from playwright.sync_api import Browser

from broker.adapters.web.account.own_records import STORED_TEXTS, StoredPart
from broker.adapters.web.page_layout import Imprint, install
from broker.core.consent.consent import Receipt, ReceiptEvent
from broker.core.entities import Controller, Service, Text
from broker.demo.run.loopback_server import serve_on_loopback
from broker.use_cases.given_consents import CurrentQuestion, GivenConsent
from tests.plugins.page_looks import FIRST, LOOKS, Look, amiss, show

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
IMPRINT = Imprint(
    name=Text("The Example Library", "Eksempelbiblioteket"),
    mail="help@library.example",
    accessibility="https://was.digst.dk/library-example",
    dpo="dpo@library.example",
)
SERVICE = Service(
    "my-loans", "https://loans.library.example", Text("My loans", "Mine lån"), ("wayf",),
    controller=Controller(Text("The library", "Det Kgl. Eksempelbibliotek"), "dpo@library.example"),
)  # fmt: skip
SERVICES = {
    "my-loans": SERVICE,
    "myprint": replace(SERVICE, name="myprint", label=Text("MyPrint", "MyPrint")),
    "self": replace(SERVICE, name="self", label=Text("Self-service", "Selvbetjening"), controller=None),
}
LABELS = {"mail": Text("Mail address", "Mailadresse"), "cpr": Text("CPR number", "CPR-nummer")}
NAMES = ("borrower_number", "cpr", "mail", "eduPersonScopedAffiliation")
GIVEN = Receipt(
    "0f" * 16, ReceiptEvent.GIVEN, NOW, "da", "p", "d", "consent", NAMES, "m", "s", NOW + timedelta(days=7300)
)
ONCE = replace(GIVEN, valid_until=None)
TOLD = replace(GIVEN, event=ReceiptEvent.INFORMED, legal_basis="public_task", names=())
NO = replace(ONCE, event=ReceiptEvent.REFUSED, event_time=NOW - timedelta(days=1))
LOANS = GivenConsent("my-loans", (GIVEN, ONCE, *(NO,) * 16))
PRINT = GivenConsent("myprint", (TOLD,))
RULE = GivenConsent("self", (replace(TOLD, legal_basis="contract", valid_until=None),))
ENDED = GivenConsent("my-loans", (replace(ONCE, event=ReceiptEvent.WITHDRAWN),))
AGAIN = GivenConsent("myprint", (replace(TOLD, event=ReceiptEvent.FORGOTTEN, valid_until=None),))
OF_SERVICES = {"services": SERVICES, "labels": LABELS, "now": NOW}
RECORD = {
    "record_id": "0f" * 16, "policy_version": "d" * 64, "set_hash": f"k1.{'ab' * 32}", "user_ref": f"k1.{'cd' * 32}",
    "notice_version": f"k1.{'ef' * 32}", "language": "da", "optional_not_chosen": ["title"],
}  # fmt: skip
LISTED = {
    **OF_SERVICES,
    "most_earlier": 5,
    "see": "?do=kept",
    "ended": None,
    "action": "?login=0",
    "file": "?format=json",
    "token": "t~t",
    "kept": {"login": "0"},
}
WAYS = {"ways": [("?with=wayf", "Universitetslogin (WAYF)"), ("?with=nemid", "NemID")], "eid": "NemID"}
FACTS = (("address", "asta.nielsen-holm.of.the.longest.department@auh.rm.dk"), ("name id value", "ab" * 32))
PARTS = tuple(
    StoredPart(name, title, why, NOW + timedelta(days=7300), (FACTS, FACTS))
    for name, (title, why) in STORED_TEXTS.items()
)
RECIPIENTS = (
    {"service": "my-loans", "last": "2026-11-25T12:00:00+00:00"},
    {"service": "reading-room", "last": "2026-11-25T12:00:00+00:00"},
)
SENT_TO = {"recipients": RECIPIENTS, "services": {"my-loans": SERVICE}}
REFUSAL = {"at": "2026-11-25T12:00:00+00:00", "event": "refused", "reason": "too_young", "policy": "private.yaml:18"}
KEPT = {
    "parts_stored": PARTS,
    "events": ({"at": "2026-11-25T12:00:00+00:00", "event": "released", "service": "my-loans"}, REFUSAL),
    **SENT_TO,
    "forget": "?login=0&do=forget",
    "file": "?login=0&format=json",
    "kept": {"login": "0"},
}
PAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "list": ("choices.html", {**LISTED, "choices": [LOANS, PRINT, RULE]}),
    "withdrawn": ("choices.html", {**LISTED, "choices": [ENDED, PRINT], "ended": ENDED}),
    "forgotten": ("choices.html", {**LISTED, "choices": [AGAIN], "ended": AGAIN}),
    "once": ("choices.html", {**LISTED, "choices": [GivenConsent("my-loans", (ONCE,))]}),
    "none": ("choices.html", {**LISTED, "choices": []}),
    "begin": ("choices_begin.html", {"ways": [("?with=wayf", "Universitetslogin (WAYF)"), ("?with=nemid", "NemID")]}),
    "kept_begin": ("kept_begin.html", WAYS),
    "kept": ("kept.html", KEPT),
    "kept_shared": ("kept.html", {**KEPT, "file": "", "parts_stored": (), "events": (), "recipients": ()}),
    "kept_unknown": ("kept_unknown.html", {"over": True}),
    "forget_confirm": (
        "forget_confirm.html",
        {"action": "?login=0", "token": "t~t", "parts_stored": PARTS, "waiting": True, **SENT_TO},
    ),
    "busy": ("forget_busy.html", {"over": True}),
    "deleted": ("forgotten.html", {**SENT_TO, "over": True}),
    "receipt": (
        "receipt.html",
        {
            **OF_SERVICES,
            "choice": GivenConsent("my-loans", (GIVEN,)),
            "record": RECORD,
            "back": "?login=0",
            "file": "?f",
            "kept": {},
            "today": CurrentQuestion(Text("So that you see your loans.", "Så du kan se dine lån."), SERVICE.controller),
        },
    ),
}


def site(base_url: str, imprint: Imprint = IMPRINT) -> Flask:
    """Give an application that shows every page under its name."""
    app = Flask("broker.adapters.web")
    install(app, imprint, base_url)

    @app.get("/<any({names}):name>".format(names=", ".join(PAGES)))
    def show(name: str) -> str:
        template, values = PAGES[name]
        return render_template(template, step="choices", reason=name, **values)

    return app


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Give the address of a server that shows every page."""
    with serve_on_loopback(site("http://127.0.0.1")) as url:
        yield url


@pytest.mark.parametrize(
    ("language", "looks"),
    [("da", [FIRST]), *(pytest.param(language, LOOKS, marks=pytest.mark.slow) for language in ("da", "en"))],
)
def test_the_pages_are_accessible_and_whole(
    address: str, chromium: Browser, language: str, looks: Sequence[Look]
) -> None:
    """No rule of WCAG 2.2 AA that a program can check is broken, open or closed, and nothing is too wide."""
    with chromium.new_context() as opened:
        page, found = opened.new_page(), []
        page.goto(f"{address}/{min(PAGES)}")
        for name in PAGES:
            show(page, f"{address}/{name}?lang={language}")
            page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
            found += amiss(page, name, looks, leads_on=False)
    assert found == []


def test_each_button_says_which_service_it_is_for(address: str, chromium: Browser) -> None:
    """Whoever hears the buttons one by one knows what each withdraws."""
    with chromium.new_context() as opened:
        page = opened.new_page()
        page.goto(f"{address}/list?lang=en")
        assert page.get_by_role("button", name="Withdraw consent – My loans").count() == 1
        assert page.get_by_role("button", name="Tell me again next time – MyPrint").count() == 1
        assert page.get_by_role("button", name="Log out", exact=True).count() == 1
        assert page.get_by_role("button").count() == 3


def test_a_printed_receipt_holds_what_counts(address: str, chromium: Browser) -> None:
    """On paper there are answer, numbers and receiver, and no button or link back."""
    with chromium.new_context() as opened:
        page = opened.new_page()
        page.goto(f"{address}/receipt?lang=en")
        page.emulate_media(media="print")
        assert page.get_by_text("You said yes.").is_visible()
        assert page.get_by_text(RECORD["record_id"], exact=True).is_visible()  # type: ignore[arg-type]
        assert page.locator("a.button").is_hidden()
        assert page.locator(".back").is_hidden()


@pytest.mark.parametrize(
    ("imprint", "wanted"),
    [
        (IMPRINT, "mailto:dpo@library.example"),
        (replace(IMPRINT, dpo="+45 70 00 00 00"), "officer: +45 70 00 00 00"),
        (replace(IMPRINT, dpo=""), "Write to the library: mailto:help@library.example"),
        (replace(IMPRINT, dpo="", mail=""), "Contact the library."),
    ],
)
def test_who_may_object_learns_where(imprint: Imprint, wanted: str) -> None:
    """Beside a notice stands whom to write to; a consent alone needs no such line (GDPR article 21)."""
    source = site("http://127.0.0.1", imprint).test_client().get("/list?lang=en").text
    plain = " ".join(source.replace('<a href="', " ").replace('">', " ").split())
    assert wanted in plain
    assert plain.count("GDPR article 21") == 1
