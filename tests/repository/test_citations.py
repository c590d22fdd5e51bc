"""Every reason that code, tests and documents cite can be looked up at its anchor."""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.plugins.source_files import text_of

ROOT: Final = Path(__file__).resolve().parents[2]
REFERENCE: Final = ROOT / "docs" / "reference"
FOLDERS: Final = ("broker", "tests", "bench", "docs", "deploy", "policies", "attribute_maps")
SINGLE: Final = ("README.md", "CHANGELOG.md", "Makefile", "pyproject.toml")
TEXTS: Final = ".py .md .txt .toml .yaml .json .html .js .css .service .conf .sh"
ENDINGS: Final = frozenset(TEXTS.split())
GENERATED: Final = frozenset({"__pycache__", "node_modules"})

# White space, also over a line's end and the mark of a comment.
SPACE: Final = r"(?:[ \t]*\n[ \t]*(?:\#[ \t]*)?|[ \t]+)"
ANCHOR: Final = r"#([A-Za-z0-9][A-Za-z0-9-]*)"
FURTHER: Final = rf"(?:,{SPACE}|{SPACE}(?:and|or|to){SPACE})#[A-Za-z0-9-]+"
ANCHORS: Final = rf"#[A-Za-z0-9-]+(?:{FURTHER})*"
CITATION: Final = re.compile(rf"(?<![\w/.-])(?P<file>docs/[\w/-]+\.md)(?P<anchors>{ANCHORS})?")
LINK: Final = re.compile(r"\[[^\]]*\]\((?P<file>[^)#\s:]*\.md)?(?:#(?P<anchor>[^)\s]+))?\)")


def texts() -> Iterator[tuple[Path, str]]:
    """Give every file of the repository that may cite, and its text."""
    for name in SINGLE:
        yield ROOT / name, text_of(ROOT / name)
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            generated = GENERATED.intersection(path.parts)
            if path.suffix in ENDINGS and path != Path(__file__) and not generated:
                yield path, text_of(path)


@cache
def anchors(path: Path) -> tuple[str, ...]:
    """Give the anchors that a document sets by itself, in order."""
    return tuple(re.findall(r'<a id="([^"]+)"></a>', path.read_text(encoding="utf-8")))


@cache
def headings(path: Path) -> frozenset[str]:
    """Give the anchors that GitHub makes of a document's headings."""
    found = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", each.lower()) for each in found)
    return frozenset(each.replace(" ", "-") for each in plain)


def leads(path: Path, anchor: str) -> bool:
    """Say whether ``anchor`` is one of the document's own or of its headings."""
    return anchor in anchors(path) or anchor in headings(path)


def find_uncited(text: str) -> Iterator[str]:
    """Find the citations that lead nowhere, and those of the reference that name no anchor."""
    for match in CITATION.finditer(text):
        path = ROOT / match["file"]
        wanted = re.findall(ANCHOR, match["anchors"] or "")
        if not path.is_file():
            yield match["file"]
            continue
        if path.parent == REFERENCE and not wanted and path.name != "README.md":
            yield f"{match['file']} without an anchor"
        yield from (f"{match['file']}#{each}" for each in wanted if not leads(path, each))


def find_unlinked(text: str, beside: Path) -> Iterator[str]:
    """Find the links of a document to documents and anchors that are not there."""
    if beside.suffix != ".md":
        return
    for match in LINK.finditer(text):
        path = beside.parent / match["file"] if match["file"] else beside
        if not path.is_file() or (match["anchor"] and not leads(path.resolve(), match["anchor"])):
            yield match[0]


def faults(text: str, beside: Path) -> list[str]:
    """Give everything in ``text`` that cannot be looked up; ``beside`` is where it stands."""
    return [*find_uncited(text), *find_unlinked(text, beside)]


@pytest.mark.long("reads the whole repository")
def test_every_citation_leads_to_its_anchor() -> None:
    """Nothing in the repository names a reason that cannot be looked up."""
    found = []
    for path, text in texts():
        found += [f"{path.relative_to(ROOT)}: {each}" for each in faults(text, path)]
    assert found == []


def test_numbered_items_have_anchors() -> None:
    """Each requirement, row of the profiles, class of attack and invariant has its anchor."""
    rows = tomllib.loads((ROOT / "tests" / "conformance" / "profile_rows.toml").read_text())["rows"]
    wanted = {
        "requirements.md": [f"r{number:02}" for number in range(1, 48)],
        "saml-profiles.md": list(rows),
        "attacks.md": [str(number) for number in range(1, 35)],
        "design.md": [f"invariant-{number}" for number in range(1, 10)],
    }
    for name, ids in wanted.items():
        own = [each for each in anchors(REFERENCE / name) if each in ids]
        assert own == ids, name  # each once, and in order
