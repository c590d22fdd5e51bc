"""Carries out the tasks of docs/policies.md in a folder of policies, and writes the tables of keys.

python -m tests.plugins.policies_document
"""

import re
from pathlib import Path
from typing import Final

from broker.configuration.editor_schemas import descriptions

_DOCS: Final = Path(__file__).parents[2] / "docs"
DOCUMENT: Final = (_DOCS / "policies.md").read_text(encoding="utf-8")
KEYS_DOCUMENT: Final = _DOCS / "reference/policy-keys.md"
BLOCK: Final = re.compile(r"^```yaml\n# draft/([\w.-]+)(?:, (\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RULES: Final = re.compile(r"^```yaml\n# policy_properties\.yaml, \w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
Block = tuple[str, str, str]  # file, action ("" for a whole file), lines


def sections() -> dict[str, str]:
    """Return the parts of docs/policies.md by their anchors."""
    return _split(DOCUMENT)


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


# The sections of keys, each with the shape that it is about, a file that has one, and where.
KEYS: Final[dict[str, tuple[str, str, tuple[str | int, ...]]]] = {
    "keys-file": ("PolicyShape", "student", ()),
    "keys-texts": ("Words", "student", ("label",)),
    "keys-match": ("AlternativeShape", "student", ("match", 0)),
    "keys-proofs": ("ProofShape", "hospital", ("proofs", "kaldemail")),
    "keys-proofs-domains": ("DomainShape", "hospital", ("proofs", "kaldemail", "domains", 3)),
    "keys-require": ("RequireShape", "student", ("require",)),
    "keys-exceptions": ("ExceptionShape", "student", ("exceptions", "au.dk")),
    "keys-borrower": ("BorrowerShape", "student", ("borrower",)),
    "keys-borrower-lowers": ("LowersShape", "private", ("borrower", "lowers")),
    "keys-borrower-fields": ("FieldShape", "student", ("borrower", "fields", "phone")),
    "keys-release": ("ReleaseShape", "student", ("release", "my-loans")),
    "keys-attributes": ("AttributeShape", "student", ("release", "booking", "none", 0, "mail")),
    "keys-examples": ("ExampleShape", "student", ("examples", 0)),
    "keys-examples-login": ("LoginShape", "student", ("examples", 0, "login")),
    "keys-examples-expect": ("ExpectShape", "student", ("examples", 0, "expect")),
    "keys-examples-expect-borrower": ("ExpectBorrowerShape", "student", ("examples", 0, "expect", "borrower")),
    "keys-services": ("ServicesShape", "services", ()),
    "keys-service": ("ServiceShape", "services", ("myprint",)),
    "keys-rules": ("SiteRuleShape", "policy_properties", (0,)),
    "keys-rules-when": ("WhenShape", "policy_properties", (0, "when")),
    "keys-rules-age": ("AgeShape", "policy_properties", (0, "when", "age")),
    "keys-rules-expect": ("RuleExpectShape", "policy_properties", (0, "expect")),
    "keys-map": ("MapShape", "wayf", ()),
    "keys-labels": ("LabelsShape", "labels", ()),
    "keys-label": ("LabelShape", "labels", ("labels", "gn")),
}


def key_table(shape: str) -> str:
    """Return the keys of a shape, with the texts that editors show, as Markdown."""
    texts = descriptions()[shape]
    lines = ["| key | meaning | example |", "|---|---|---|"]
    for key, text in texts.items():
        named = texts.get(f"{key}: NAME")
        means = f"{text.means} {named.means}" if named else text.means
        lines += [] if key.endswith(": NAME") else [f"| `{key}` | {means} | `{text.example}` |"]
    return "\n".join(lines) + "\n"


def write_key_tables(text: str) -> str:
    """Return the reference of policy keys with the table after each of its anchors written again."""
    for anchor, (shape, _, _) in KEYS.items():
        before, mark, after = text.partition(f'<a id="{anchor}"></a>\n')
        start = re.search(r"^\|(?:.*\n\|)*.*\n", after, re.MULTILINE)
        if start:
            text = before + mark + after[: start.start()] + key_table(shape) + after[start.end() :]
    return text


if __name__ == "__main__":
    KEYS_DOCUMENT.write_text(write_key_tables(KEYS_DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
