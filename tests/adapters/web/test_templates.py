"""Every page as a browser gets it: whole, closed, saying what it must and nothing it must not."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from flask import Flask, render_template

import broker.adapters.web
from broker.core.entities import Text
from broker.core.login.steps import Ask
from broker.core.login.transaction import Transaction

ROOM = Path(broker.adapters.web.__path__[0])
TEMPLATES = sorted(path.name for path in (ROOM / "templates").glob("*.html"))
CPR = "0101881235"


@cache
def page(app: Flask, name: str, language: str = "en") -> str:
    """Give the source of a specimen, made once: several tests look at each, of an application that nobody changes."""
    return app.test_client().get(f"/{name}?lang={language}").text


def spoken(source: str) -> str:
    """Give what stands on a page, without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", source))


@pytest.mark.parametrize("language", ["da", "en"])
def test_every_page_has_its_bones(app: Flask, specimen: str, language: str) -> None:
    """Language, title, one heading that is in the title, step and reason, skip link, help; and it is small."""
    source = page(app, specimen, language)
    heading = re.findall(r"<h1>(.*?)</h1>", source)
    assert len(heading) == 1
    assert heading[0] in re.findall(r"<title>(.*?)</title>", source)[0]
    assert f'<html lang="{language}">' in source
    assert len(re.findall(r'<main id="main"[^>]* data-step="[a-z]+" data-reason="[a-z_]*">', source)) == 1
    if specimen != "post":  # this page sends itself to the service at once
        assert 'href="#main"' in source
        assert "mailto:help@library.example" in source
    assert len(source.encode()) < 60_000


def test_no_page_has_a_script_or_style_of_its_own(app: Flask, specimen: str) -> None:
    """A page has no inline code and requests no other host, so the content security policy can stay strict."""
    source = page(app, specimen)
    assert re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son[a-z]+=|javascript:", source) == []
    assert re.findall(r'(?:<script|<link|<img)[^>]*(?:src|href)="(?!/(?:static|pictures)/)', source) == []


def test_every_form_is_a_post_and_ours_carry_a_token(app: Flask, specimen: str) -> None:
    """No answer stands in a URL; a form without a token goes to a service with its SAML message, or ends one's visit.

    Source: docs/reference/design.md#4a-shared.
    """
    forms = re.findall(r"<form.*?</form>", page(app, specimen), re.DOTALL)
    assert all('method="post"' in form for form in forms)
    ending = [form for form in forms if re.search(r'action="[^"]*/end"', form)]
    assert all(re.findall(r'name="(\w+)"', form) == ["login"] for form in ending)
    # The form of the start page belongs to no login: it forgets a way to log in, and nothing else.
    free = [form for form in forms if 'action="https://login.library.example/"' in form]
    tokens = [form for form in forms if form not in (*ending, *free)]
    assert all(('name="token"' in form) != ('name="SAMLResponse"' in form) for form in tokens)


def test_only_the_reveal_page_holds_the_number(app: Flask, specimen: str) -> None:
    """The CPR number is in no page source but that of the page made to show it.

    Source: docs/reference/design.md#invariant-4.
    """
    held = [each for each in (CPR, "010188-1235", "1235") if each in page(app, specimen)]
    assert bool(held) is (specimen == "reveal")


@pytest.mark.parametrize("specimen_name", ["inform", "inform-contract", "inform-law"])
@pytest.mark.parametrize("language", ["da", "en"])
def test_a_notice_never_speaks_of_consent(app: Flask, specimen_name: str, language: str) -> None:
    """Where nothing is asked, neither word nor address nor class says that it is.

    Source: docs/reference/consent.md#check-2.
    """
    assert re.findall(r"(?i)\w*(?:consent|agree|samtyk|accept)\w*", page(app, specimen_name, language)) == []


@pytest.mark.parametrize(
    ("name", "language", "buttons"),
    [
        ("ask", "en", ["Yes, send", "No, do not send"]),
        ("ask", "da", ["Ja, send", "Nej, send ikke"]),
        ("inform", "en", ["Continue to My loans", "Cancel"]),
        ("inform", "da", ["Fortsæt til Mine lån", "Annuller"]),
    ],
)
def test_both_answers_weigh_the_same(app: Flask, name: str, language: str, buttons: list[str]) -> None:
    """Two buttons that differ in value and text alone, nothing ticked, nothing focused.

    Source: docs/reference/consent.md#screen.
    """
    source = page(app, name, language)
    assert re.findall(r'<button class="button" name="answer" value="(?:yes|no)">(.*?)</button>', source) == buttons
    assert re.findall(r"\schecked|\sautofocus|\srequired", source) == []


@pytest.mark.parametrize("language", ["da", "en"])
def test_the_question_says_who_what_and_why(app: Flask, language: str) -> None:
    """The page has both parties, the purpose, all rows, the data protection officer and the choices."""
    source = page(app, "ask", language)
    wanted = {
        "da": ["Aarhus Universitet", "Det Kgl. Eksempelbibliotek", "at se og forny dine lån.", "••••••-••••",
               "oprettes, hvis du ikke har en", "Tilfældigt nummer til denne tjeneste", "Dit samtykke", "employee@clin.au.dk"],
        "en": ["Aarhus University", "The Royal Example Library", "to see and renew your loans.", "••••••-••••",
               "created if you do not have one", "Random number for this service", "Your consent", "employee@clin.au.dk"],
    }[language]  # fmt: skip
    assert [text for text in [*wanted, "dpo@library.example"] if text not in spoken(source)] == []
    names = re.findall(r'data-attribute="(\w+)"', source)
    assert names == ["borrower_number", "cpr", "eduPersonScopedAffiliation", "NameID", "AuthenticatingAuthority"]
    assert re.findall(r'name="(?:optional|remember)" value="(\w+)"', source) == ["mail", "yes"]


def test_no_page_of_a_borrower_names_a_policy_file(app: Flask, specimen: str) -> None:
    """Staff find the rule by the help code; the page of the person has no file and line of it."""
    assert "yaml:" not in page(app, specimen)


def test_declining_shows_what_happens_and_what_else_there_is(app: Flask) -> None:
    """The page says that nothing was sent, and offers the desk, e-resources, review and return.

    Source: docs/reference/consent.md#declining.
    """
    source = page(app, "declined")
    for text in ("No information has been sent", "health insurance card and another form of ID", "university login"):
        assert text in source
    assert 'href="https://library.example/en/places"' in source
    assert 'name="reconsider" value="1"' in source
    assert '<form method="post" action="https://loans.library.example/acs">' in source


def test_the_notice_says_what_is_no_longer_sent_after_a_yes_only(app: Flask) -> None:
    """A person who refused sent nothing that could now be left out."""
    assert "No longer sent: Mail address." in spoken(page(app, "inform"))
    assert "No longer sent" not in spoken(page(app, "inform-law"))


@pytest.mark.parametrize("name", ["refused", "declined", "onward", "post-shared", "reveal", "error", "changed"])
def test_a_page_after_a_form_has_a_link_to_the_other_language(app: Flask, name: str) -> None:
    """The link asks for the same step and carries nothing of what the form sent."""
    client = app.test_client()
    for answer in (client.post(f"/{name}?lang=da", data={"token": "t~t"}), client.get(f"/{name}?lang=da")):
        assert 'href="?lang=en"' in answer.text


def test_a_refusal_has_a_reference_and_a_way_back(app: Flask) -> None:
    """The person can quote eight characters and return; another try is offered only where it may help."""
    hopeless, worth_trying = page(app, "refused"), page(app, "refused-again")
    assert "K7MW3QZX" in hopeless
    assert '<time datetime="2026-11-25T12:00:00+00:00">25 November 2026' in hopeless
    assert "Return to My loans" in hopeless
    assert "Log in again</a>" not in hopeless
    assert "Log in again</a>" in worth_trying


HOSTILE = "<script>alert(1)</script>\"'&{{ 7*7 }}"


@pytest.mark.attack(27, 32)
def test_external_values_are_escaped(
    site: Callable[..., Flask], question: Callable[..., Ask], login: Transaction
) -> None:
    """Values of attributes, forms and reasons are text on a page and nothing more.

    Source: docs/reference/attacks.md#27 and #32.
    """
    app = site()
    from broker.adapters.web.pages.consent_screen import ConsentScreen
    from broker.core.entities import Service

    asked = question()
    items = tuple(replace(item, values=(HOSTILE,)) for item in asked.question.disclosure.items)
    asked = replace(asked, question=replace(asked.question, disclosure=replace(asked.question.disclosure, items=items)))
    service = Service("x", "x", Text(HOSTILE, HOSTILE), ("wayf",))
    screen = ConsentScreen(asked, service, {"mail": Text(HOSTILE, HOSTILE)}, "en", login, login.begun)
    with app.test_request_context("/"):
        values = {
            "screen": screen,
            "problem": HOSTILE,
            "token": HOSTILE,
            "logo": "",
            "shared": False,
            "service": HOSTILE,
        }
        source = render_template("consent.html", step="ask", **values)
    assert "<script>alert" not in source
    assert "{{ 7*7 }}" in source
    assert source.count("&lt;script&gt;") > 5


@pytest.mark.attack(32)
@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_switch_no_escaping_off(template: str) -> None:
    """No template marks anything as safe."""
    source = (ROOM / "templates" / template).read_text()
    assert re.findall(r"\|\s*safe|autoescape|Markup", source) == []
