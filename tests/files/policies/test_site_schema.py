"""A policy file in an editor that speaks with yaml-language-server: what is explained, offered and red."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from broker.files import attribute_maps
from broker.files.checked_files import plain
from broker.files.editor_schemas import ANY_ATTRIBUTE, descriptions
from broker.files.policies.site_schema import SiteNames, site_rules_schema, site_schema
from broker.files.strict_yaml import read_file
from tests.plugins.language_server import Editor, editing
from tests.plugins.policies_document import JOBS, do

pytestmark = pytest.mark.server

ROOT: Final = Path(__file__).resolve().parents[3]
FOLDERS: Final = ("policies", "attribute_maps")
CONTENT: Final = "broker/adapters/web/signup/content"
MAPS: Final = attribute_maps.load(ROOT / "attribute_maps")
NAMES: Final = SiteNames(
    services=("my-loans", "myprint", "e-resources", "booking"),
    upstreams=("wayf", "nemid", "library"),
    attributes={name: MAPS.labels[name].en for name in MAPS.attributes},
    fields=("surname", "firstname", "email"),
    categories=("STUDENT", "PRIVATE", "TEMP"),
    affiliations=("student", "private"),
)
STUDENT: Final = (ROOT / "policies/student.yaml").read_text()
Place = tuple[str, str]  # a line of student.yaml that begins so, and a word in it


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    """Give an editor over the shipped files of a site that has written its names into the schema."""
    folder = tmp_path_factory.mktemp("site")
    for name in (*FOLDERS, CONTENT):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "policies/policy.schema.json").write_text(json.dumps(site_schema(NAMES)))
    (folder / "policies/policy_properties.schema.json").write_text(json.dumps(site_rules_schema(NAMES)))
    with editing(folder) as opened:
        yield opened


def changed(*changes: tuple[str, str]) -> str:
    """Give the student's file with each text replaced where it stands first."""
    text = STUDENT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def place(text: str, line: str, word: str = "") -> tuple[int, int]:
    """Give the number of the line that begins so, and the column of a word in it, or of its end."""
    lines = text.splitlines()
    number = next(at for at, each in enumerate(lines) if each.strip().startswith(line))
    column = lines[number].index(word) + 1 if word else len(lines[number])
    return number + 1, column


@pytest.mark.parametrize("folder", [*FOLDERS, pytest.param(CONTENT, marks=pytest.mark.slow)])
def test_nothing_is_red_in_the_shipped_files(editor: Editor, folder: str) -> None:
    """An editor refuses no file that the broker takes."""
    for path in sorted((ROOT / folder).glob("*.yaml")):
        assert editor.red_lines(f"{folder}/{path.name}", path.read_text()) == {}


def test_a_site_rule_is_red_where_it_names_nothing(editor: Editor) -> None:
    """The shipped rules are well; a service that there is not is red before anything is checked."""
    rules = (ROOT / "policy_properties.yaml").read_text()
    assert editor.red_lines("policy_properties.yaml", rules) == {}
    misspelt = rules.replace("[my-loans]", "[my-lones]")
    (red,) = editor.red_lines("policy_properties.yaml", misspelt)
    assert red == misspelt[: misspelt.index("lones")].count("\n") + 1


@pytest.mark.parametrize(
    ("line", "word", "shape", "key"),
    [
        ("upgrades:", "upgrades", "BorrowerShape", "upgrades"),
        ("fields:", "surname", "BorrowerShape", "fields: NAME"),
        ("my-loans:", "my-loans", "PolicyShape", "release: NAME"),
        ("- {upstream: wayf", "eduPerson", "AlternativeShape", ANY_ATTRIBUTE),
        ("require:", "cpr", "RequireShape", "cpr"),
    ],
)
def test_a_key_is_explained_where_the_mouse_rests(editor: Editor, line: str, word: str, shape: str, key: str) -> None:
    """By the sentence that the document has for it, without a heading above."""
    editor.red_lines("policies/student.yaml", STUDENT)
    shown = editor.hover("policies/student.yaml", *place(STUDENT, line, word))
    assert descriptions()[shape][key].means in shown
    assert not shown.startswith("#")


def test_an_attribute_is_explained_by_what_people_see_it_called(editor: Editor) -> None:
    """The label that the consent page has for it."""
    editor.red_lines("policies/student.yaml", STUDENT)
    shown = editor.hover("policies/student.yaml", *place(STUDENT, "myprint:", "mail"))
    assert "E-mail address" in shown


@pytest.mark.parametrize(
    ("change", "line", "behind", "offered"),
    [
        (("service: my-loans\n", "service: \n"), "service:", 0, {"my-loans", "myprint", "e-resources"}),
        (("upgrades: [TEMP, PRIVATE]", "upgrades: []"), "upgrades:", 1, {"STUDENT", "PRIVATE", "TEMP"}),
        (("{need: [borrower_number, displayName, mail]", "{need: []"), "myprint:", 2, {"displayName", "uid"}),
        (("  upgrades: [TEMP, PRIVATE]\n", "  \n"), "", 0, {"upgrades", "lowers"}),
    ],
    ids=["services", "categories", "attributes", "keys"],
)
def test_what_may_stand_here_is_offered(
    editor: Editor, change: tuple[str, str], line: str, behind: int, offered: set[str]
) -> None:
    """The site's own services and attributes, the categories in use, and keys that are not there yet."""
    text = changed(change)
    editor.red_lines("policies/offers.yaml", text)
    if line:
        number, column = place(text, line)
    else:
        number = next(at for at, each in enumerate(text.splitlines(), 1) if each and not each.strip())
        column = len(text.splitlines()[number - 1])
    assert set(editor.offers("policies/offers.yaml", number, column - behind)) >= offered


TYPOS: Final = [
    ("precedence:", "precedense:"),
    ("{upstream: wayf", "{upstream: wafy"),
    ("upgrades:", "upgardes:"),
    ("12 months", "12 moons"),
    ("{surname:", "{surnam:"),
    ("my-loans:", "my-lones:"),
    ("displayName, mail]}", "displayName, mial]}"),
    ("none: [", "none_: ["),
    ("effect: permit, affiliation", "efect: permit, affiliation"),
    ("reason: assurance_too_low", "reason: asurance_too_low"),
]


def test_a_typo_is_a_red_line(editor: Editor) -> None:
    """In a key, a service, an upstream, an attribute, a field, a word of the format or a span; and no other line is."""
    text = changed(*TYPOS)
    red = editor.red_lines("policies/typos.yaml", text)
    wrong = {number for number, line in enumerate(text.splitlines(), 1) if line not in STUDENT.splitlines()}
    # What is missing because it is misspelt is told at the first line, and where its mapping begins.
    told = {number for number, message in red.items() if not message.startswith("Missing property")}
    assert told == wrong


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS)
def test_no_job_of_the_document_leaves_a_red_line(editor: Editor, tmp_path: Path, job: str) -> None:
    """Whoever does it in an editor is not told that it is wrong."""
    folder = Path(shutil.copytree(ROOT / "policies", tmp_path / "policies"))
    for block in JOBS[job]:
        do(folder, block)
    for name in {name for name, _, _ in JOBS[job]}:
        assert editor.red_lines(f"policies/{name}", (folder / name).read_text()) == {}


def test_a_name_that_may_be_new_is_not_red(editor: Editor) -> None:
    """A category, and a service in an example: the one is added by writing it, the other may be unheard of."""
    text = changed(
        ("upgrades: [TEMP, PRIVATE]", "upgrades: [TEMP, PRIVATE, BRANCH]"), ("service: unheard-of", "service: unknown")
    )
    assert editor.red_lines("policies/new.yaml", text) == {}


def blocks(node: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Give a file again with one key a line, each with the path of the key."""
    space = "  " * len(path)
    if isinstance(node, dict):
        for key, under in node.items():
            if isinstance(under, dict | list) and under:
                yield f"{space}{key}:", (*path, key)
                yield from blocks(under, (*path, key))
            else:
                yield f"{space}{key}: {written(under)}", (*path, key)
    elif isinstance(node, list):
        for under in node:
            lines = blocks(under, (*path, "-")) if isinstance(under, dict) else [(written(under), (*path, "-"))]
            for at, (line, below) in enumerate(lines):
                yield (line if at else f"{space}- {line.strip()}"), below


def written(value: object) -> str:
    """Give a value as a file would have it: words, numbers and true as they are, other texts in quotes."""
    return value if isinstance(value, str) and value.isalnum() else json.dumps(value)


EVERY_KEY: Final = (
    "policies/hospital",
    "policies/private",
    "policies/student",
    "attribute_maps/library",
    "attribute_maps/labels",
    f"{CONTENT}/faq",
    f"{CONTENT}/start",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY_KEY)
def test_every_key_is_explained_wherever_it_stands(editor: Editor, name: str) -> None:
    """By the sentence for a key of its name, or for what stands under a name that the file chooses."""
    path = ROOT / f"{name}.yaml"
    lines = list(blocks(plain(read_file(path, path.name))))
    opened = f"{Path(name).parent}/blocks.yaml"
    text = "\n".join([path.read_text().splitlines()[0], *(line for line, _ in lines)])
    assert editor.red_lines(opened, text) == {}
    sentences = [(key, text.means) for texts in descriptions().values() for key, text in texts.items()]
    first = {key: (number, line) for number, (line, key) in reversed(list(enumerate(lines, 2)))}
    for keys, (number, line) in first.items():
        if keys[-1] != "-":
            shown = editor.hover(opened, number, len(line) - len(line.lstrip(" -")) + 1)
            fits = [means for key, means in sentences if key == keys[-1] or key.endswith(("NAME", ANY_ATTRIBUTE))]
            assert any(means in shown for means in fits), line
