"""Every text there is, in both languages, none left over, and none that nothing shows."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

import broker
from broker.adapters.translations.catalogue import FOLDER, make_text, translate
from broker.core.entities import Text
from tests.plugins.source_files import nodes_of

PACKAGE = Path(broker.__path__[0])
DANISH = FOLDER / "da" / "LC_MESSAGES"
PLACEHOLDER = re.compile(r"%\(\w+\)s")


def texts() -> set[str]:
    """Give every msgid that code and templates ask for, as pybabel extract finds them."""
    with (FOLDER / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)  # type: ignore[no-untyped-call]
    return {str(message) for _file, _line, message, *_rest in extract_from_dir(PACKAGE, methods, options)}


@cache
def danish() -> Catalog:
    """Read the catalogue that people edit."""
    with (DANISH / "messages.po").open("rb") as file:
        return read_po(file, locale="da")


def modules() -> list[Path]:
    """Give every module of the broker but the demo's."""
    return [path for path in PACKAGE.rglob("*.py") if PACKAGE / "demo" not in path.parents]


@pytest.mark.long("finds the texts of the whole package as pybabel does")
def test_every_text_has_its_danish_and_no_danish_is_left_over() -> None:
    """The catalogue holds exactly the texts in use, each with a Danish one that is not the English."""
    catalogue = {str(message.id): str(message.string) for message in danish() if message.id}
    assert set(catalogue) == texts()
    assert [english for english, text in catalogue.items() if not text or text == english] == []
    assert not any(message.fuzzy for message in danish())
    assert not danish().obsolete


def test_both_languages_fill_in_the_same() -> None:
    """A Danish text names each placeholder of the English, no more and no fewer, and has no other per cent sign."""
    for message in danish():
        english, text = str(message.id), str(message.string)
        assert Counter(PLACEHOLDER.findall(english)) == Counter(PLACEHOLDER.findall(text))
        if message.id and PLACEHOLDER.search(english):
            assert "%" not in PLACEHOLDER.sub("", english + text)


def test_the_compiled_catalogue_is_that_of_the_edited_one() -> None:
    """The compiled catalogue equals the edited one (pybabel compile -d broker/adapters/translations)."""
    with (DANISH / "messages.mo").open("rb") as file:
        compiled = {message.id: message.string for message in read_mo(file) if message.id}
    assert compiled == {message.id: message.string for message in danish() if message.id}


@pytest.mark.long("reads the code of the whole package")
def test_no_pair_of_languages_stands_in_the_code() -> None:
    """No literal of a module is Danish but the name that the language has for itself: the rest is in the catalogue."""
    found = set()
    for module in modules():
        documented = ast.Module | ast.ClassDef | ast.FunctionDef
        nodes = nodes_of(module)
        docstrings = {ast.get_docstring(node, clean=False) for node in nodes if isinstance(node, documented)}
        literals = {node.value for node in nodes if isinstance(node, ast.Constant)} - docstrings
        found |= {text for text in literals if isinstance(text, str) and re.search("[æøåÆØÅ]", text)}
    assert found == set()


def test_a_text_is_translated_outside_a_request() -> None:
    """English as it stands, Danish for any other language, and both together."""
    assert translate("the library", "en") == "the library"
    assert translate("the library", "da") == translate("the library", "de") == "biblioteket"
    assert make_text("the library") == Text(en="the library", da="biblioteket")
