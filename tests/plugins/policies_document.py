"""Carries out the tasks of docs/policies.md in a folder of policies."""

import re
from pathlib import Path
from typing import Final

_DOCS: Final = Path(__file__).parents[2] / "docs"
DOCUMENT: Final = (_DOCS / "policies.md").read_text(encoding="utf-8")
BLOCK: Final = re.compile(r"^```yaml\n# draft/([\w.-]+)(?:, (\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RULES: Final = re.compile(r"^```yaml\n# policy_properties\.yaml, \w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
Block = tuple[str, str, str]  # file, action ("" for a whole file), lines


def sections() -> dict[str, str]:
    """Return the parts of docs/policies.md by their anchors."""
    return _split(DOCUMENT)


def key_sections() -> dict[str, str]:
    """Return the parts of the reference of policy keys by their anchors."""
    return _split((_DOCS / "reference/policy-keys.md").read_text(encoding="utf-8"))


def _split(text: str) -> dict[str, str]:
    parts = re.split(r'^<a id="([\w-]+)"></a>$', text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


JOBS: Final = {anchor: BLOCK.findall(text) for anchor, text in sections().items() if BLOCK.search(text)}


SITE_RULES: Final = RULES.findall(DOCUMENT)


def do(folder: Path, block: Block) -> None:
    """Apply a block of the document to a folder."""
    name, what, text = block
    path = folder / name
    if what:
        before = path.read_text(encoding="utf-8").splitlines()
        edit = {"added": add, "changed": change}[what]
        text = "\n".join(edit(before, text.splitlines())) + "\n"
    path.write_text(text, encoding="utf-8")


def add(before: list[str], lines: list[str]) -> list[str]:
    """Add lines after the leading lines that the file already has."""
    at = 0
    while lines[0] in before[at:]:
        at = before.index(lines.pop(0), at) + 1
    return [*before[:at], *lines, *before[at:]]


def change(before: list[str], lines: list[str]) -> list[str]:
    """Replace lines by lines with the same beginning, searching from the previous replacement on."""
    after, at = list(before), 0
    for line in lines:
        key = beginning(line)
        at += next(number for number, each in enumerate(after[at:]) if each.startswith(key))
        after[at] = line
    return after


def beginning(line: str) -> str:
    """Return the beginning that identifies a line: the whole name, the upstream of a match, or the key."""
    found = re.match(r" *- (service|name):.*| *- \{upstream: \w+| *[\w-]+:", line)
    assert found, line
    return found[0]
