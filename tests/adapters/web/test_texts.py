"""Every reason has its texts, every template its page, and no text stands in a template alone."""

import ast
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask_babel import force_locale
from jinja2 import nodes
from jinja2.meta import find_referenced_templates

import broker
import broker.adapters.web
from broker.adapters.web.pages.failure_texts import GENERAL
from broker.adapters.web.pages.reason_texts import REASONS, explain
from broker.core import errors
from broker.core.consent.consent import REMEMBERED_FOR
from broker.core.help_codes import REASONS as NUMBERED
from broker.core.identity.accepted_text import TEXT_FAULTS
from broker.core.policy.decision import UNMET_REQUIREMENTS
from broker.core.retention import AUDIT_KEY
from tests.plugins.source_files import nodes_of, text_of

ROOM = Path(broker.adapters.web.__path__[0])
CODE = re.compile(r'(?:Refuse|Reason|AttributesRefused|RequestRefused|AddressRefused|CodeRefused)\(\s*"([a-z_]+)"')
# The page after a login with a PIN puts these together.
PERMITTING = {"ok"}  # it ends at no page
# What decides gives these codes by way of a table or a field, where no pattern finds them.
INDIRECT = {
    *UNMET_REQUIREMENTS,
    "no_library_account", "library_unavailable", "account_case", "several_borrowers", "scope_mismatch",
    "address_taken",
    "several_values", "bad_value", "cpr_shaped", "cpr_disagrees", "company_identity",
    "attributes_refused", "login_not_finished", "not_found", "wrong_method", "too_large",
    "different_person", "name_required", *TEXT_FAULTS,
}  # fmt: skip


def list_with_subclasses(error: type[errors.BrokerError]) -> Iterator[type[errors.BrokerError]]:
    """Give an error class and all below it."""
    yield error
    for below in error.__subclasses__():
        yield from list_with_subclasses(below)


def codes() -> set[str]:
    """Give every reason code that the broker can hand to a page."""
    files = Path(broker.__path__[0]).rglob("*.py")
    spelt = {code for file in files for code in CODE.findall(text_of(file))}
    return (spelt - PERMITTING) | INDIRECT | {each.reason for each in list_with_subclasses(errors.BrokerError)}


@pytest.fixture(scope="module")
def templates(app: Flask) -> Mapping[str, nodes.Template]:
    """Give every template, parsed, by its name."""
    paths = (ROOM / "templates").glob("*.html")
    return {path.name: app.jinja_env.parse(path.read_text()) for path in paths}


@pytest.mark.parametrize("code", sorted(codes()))
def test_every_reason_says_what_happened_and_what_to_do(app: Flask, code: str) -> None:
    """Each reason code has a title and a sentence in both languages."""
    spoken = []
    with app.test_request_context():
        assert code in REASONS
        for locale in ("da", "en_GB"):
            with force_locale(locale):
                reason = explain(code)
                spoken.append((str(reason.title), str(reason.happened), *map(str, reason.advice)))
    assert all(len(lines) > 2 and all(lines) for lines in spoken)
    assert not set(spoken[0]) & set(spoken[1])


@pytest.mark.parametrize("code", ["", "no_such_reason", "<script>"])
def test_an_unknown_reason_has_the_general_text(code: str) -> None:
    """A code that nobody wrote a text for still leads to a page."""
    assert explain(code) is GENERAL


def test_every_error_has_a_number_in_the_reference_of_a_stranger() -> None:
    """The desk reads the reason out of the letters: a new error goes to the end of their table."""
    assert {each.reason for each in list_with_subclasses(errors.BrokerError)} - set(NUMBERED) == set()


def test_every_template_is_a_page_or_part_of_one(templates: Mapping[str, nodes.Template]) -> None:
    """Every template is rendered or included by something."""
    used = {
        node.value
        for file in ROOM.rglob("*.py")
        for node in nodes_of(file)
        if isinstance(node, ast.Constant) and node.value in templates
    }
    for template in templates.values():
        used |= set(find_referenced_templates(template))
    assert set(templates) - used == set()


def test_every_template_asks_the_catalogue_for_its_texts(app: Flask, templates: Mapping[str, nodes.Template]) -> None:
    """Without what Jinja fills in, a template holds no letter that is read or heard, on whichever page it ends."""
    heard = re.compile(r'(?:alt|title|aria-label|placeholder)="[^"]*\w')
    for name in templates:
        source = (ROOM / "templates" / name).read_text()
        plain = "".join(text for _line, kind, text in app.jinja_env.lex(source) if kind == "data")
        assert re.findall(r"\w+", re.sub(r"<[^>]*>", "", plain)) == [], name
        assert heard.findall(plain) == [], name


@pytest.mark.parametrize(
    ("page", "words", "lasts"),
    [("consent.html", "12 months", REMEMBERED_FOR), ("kept.html", "at most three years", AUDIT_KEY.span)],
)
def test_a_page_promises_the_time_that_the_code_keeps(page: str, words: str, lasts: timedelta) -> None:
    """How long an answer counts and how long events can be read stand in words, which no constant changes."""
    days = {"12 months": 365, "three years": 3 * 365}
    assert words in (ROOM / "templates" / page).read_text()
    assert lasts == timedelta(days=next(long for said, long in days.items() if said in words))
