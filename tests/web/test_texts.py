"""Every text there is, in both languages, and none that stands in a template alone."""

import io
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po
from flask import Flask
from flask_babel import force_locale

import broker
import broker.web
from broker.core import errors
from broker.web.failures import GENERAL
from broker.web.reasons import REASONS, explain

ROOM = Path(broker.web.__path__[0])
DANISH = ROOM / "translations" / "da" / "LC_MESSAGES"
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
OPTIONS = {"templates/**.html": {"newstyle_gettext": "true", "silent": "false"}}
PLACEHOLDER = re.compile(r"%\(\w+\)s")
CODE = re.compile(r'(?:Refuse|Reason|AttributesRefused|RequestRefused|AddressRefused|CodeRefused)\("([a-z_]+)"')
PERMITTING = {"matched", "ok"}  # these end at no page
# What decides gives these codes by way of a table or a field, where no pattern finds them.
INDIRECT = {
    "cpr_required", "replacement_number", "constructed_number", "too_young", "assurance_too_low",
    "no_library_account", "library_unavailable", "account_case", "two_borrowers", "cpr_changed", "scope_mismatch",
    "temporary_and_cpr", "temporary_unfit", "borrower_gone", "address_taken", "national_eid_required",
    "several_values", "bad_value", "cpr_shaped", "cpr_disagrees", "company_identity", "method_not_allowed",
    "policy_unavailable", "attributes_refused", "login_not_finished", "not_found", "wrong_method", "too_large",
    "birth_date_differs",
}  # fmt: skip


@cache
def texts() -> frozenset[str]:
    """Give every msgid that code and templates ask for."""
    found = extract_from_dir(str(ROOM), METHODS, OPTIONS)
    return frozenset(str(message) for _file, _line, message, *_rest in found)


def danish() -> Catalog:
    """Read the catalogue that people edit."""
    with (DANISH / "messages.po").open("rb") as file:
        return read_po(file, locale="da")


def rooted(error: type[errors.BrokerError]) -> Iterator[type[errors.BrokerError]]:
    """Give an error class and all below it."""
    yield error
    for below in error.__subclasses__():
        yield from rooted(below)


def codes() -> set[str]:
    """Give every reason code that the broker can hand to a page."""
    files = Path(broker.__path__[0]).rglob("*.py")
    spelt = {code for file in files for code in CODE.findall(file.read_text())}
    return (spelt - PERMITTING) | INDIRECT | {each.reason for each in rooted(errors.BrokerError)}


def test_every_text_has_its_danish_and_no_danish_is_left_over() -> None:
    """The catalogue holds exactly the texts in use, each with a Danish one that is not the English."""
    catalogue = {str(message.id): str(message.string) for message in danish() if message.id}
    assert set(catalogue) == texts()
    assert [english for english, text in catalogue.items() if not text or text == english] == []
    assert not any(message.fuzzy for message in danish())


def test_both_languages_fill_in_the_same() -> None:
    """A Danish text names each placeholder of the English, no more and no fewer."""
    odd = [
        message.id
        for message in danish()
        if sorted(PLACEHOLDER.findall(str(message.id))) != sorted(PLACEHOLDER.findall(str(message.string)))
    ]
    assert odd == []


def test_the_compiled_catalogue_is_that_of_the_edited_one() -> None:
    """What the pages read is what people edited (pybabel compile -d broker/web/translations)."""
    with (DANISH / "messages.mo").open("rb") as file:
        compiled = {message.id: message.string for message in read_mo(file) if message.id}
    assert compiled == {message.id: message.string for message in danish() if message.id}


@pytest.mark.parametrize("code", sorted(codes()))
def test_every_reason_says_what_happened_and_what_to_do(app: Flask, code: str) -> None:
    """Each code that the broker can give has a text of its own, in both languages, with something to do."""
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


class Visible(HTMLParser):
    """Collects what a person reads or hears of a page, without the times and what the fixtures handed in."""

    def __init__(self) -> None:
        """Begin with nothing read."""
        super().__init__()
        self.read: list[str] = []
        self.muted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Mute times, and hear attributes that are read out."""
        self.muted += tag == "time"
        self.read += [value for name, value in attrs if value and name in {"alt", "title", "aria-label", "placeholder"}]

    def handle_endtag(self, tag: str) -> None:
        """End a muted element."""
        self.muted -= tag == "time"

    def handle_data(self, data: str) -> None:
        """Hear a text."""
        if not self.muted:
            self.read.append(data)


def leftover(page: str, handed_in: Iterable[str]) -> str:
    """Give the letters of a page that are neither translated nor handed in."""
    visible = Visible()
    visible.feed(page)
    text = " ".join(visible.read)
    while (shorter := re.sub(r"⟦[^⟦⟧]*⟧", " ", text)) != text:
        text = shorter
    for value in sorted(handed_in, key=len, reverse=True):
        text = text.replace(value, " ")
    return " ".join(re.findall(r"\w+", text))


def marked(folder: Path) -> None:
    """Write a catalogue in which every text stands between brackets."""
    catalogue = Catalog(locale="da")
    for text in texts():
        catalogue.add(text, f"⟦{text}⟧")
    octets = io.BytesIO()
    write_mo(octets, catalogue)
    (folder / "da" / "LC_MESSAGES").mkdir(parents=True)
    (folder / "da" / "LC_MESSAGES" / "messages.mo").write_bytes(octets.getvalue())


def test_no_text_stands_in_a_template_alone(
    tmp_path: Path, specimen: str, site: Callable[..., Flask], handed_in: Iterable[str]
) -> None:
    """Take away what is translated and what was handed in: no letter is left on the page."""
    marked(tmp_path)
    page = site(BABEL_TRANSLATION_DIRECTORIES=str(tmp_path)).test_client().get(f"/{specimen}?lang=da").text
    assert page.count("⟦") > 1
    assert leftover(page, handed_in) == ""
