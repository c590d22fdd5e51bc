"""The layout of policy files: what they say, every comment and every empty line stay, however they were written."""

import re
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.core.errors import ConfigurationFaults
from broker.files.checked_files import plain
from broker.files.policies import live_policies
from broker.files.policies.policy_layout import formatted
from broker.files.strict_yaml import read
from tests.plugins.drawn import drawn
from tests.plugins.policies_document import JOBS

ROOT: Final = Path(__file__).resolve().parents[3]
NOW: Final = datetime(2026, 11, 25, 12, tzinfo=UTC)
SHIPPED: Final = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "policies").glob("*.yaml")}
WHOLE: Final = {name: text for blocks in JOBS.values() for name, what, text in blocks if not what}
FILES: Final = {**SHIPPED, **WHOLE}
# Mappings in which the order of the file is told to people, or decides.
IN_ORDER: Final = ("attributes", "fields", "login", "match", "proofs")
COMMENT: Final = re.compile(r"# mark \d+")


def shuffled(tree: Any, draw: Random, *, fixed: bool = False) -> Any:
    """Give a tree with the keys of each mapping in another order, but where the order says something."""
    if isinstance(tree, list):
        return [shuffled(item, draw, fixed=fixed) for item in tree]
    if not isinstance(tree, dict):
        return tree
    keys = list(tree)
    if not fixed:
        draw.shuffle(keys)
    return {key: shuffled(tree[key], draw, fixed=key in IN_ORDER) for key in keys}


def written(tree: Any, draw: Random) -> str:
    """Give a tree as somebody might write it, with comments and empty lines anywhere."""
    style = draw.choice([None, False])
    indent = draw.choice([2, 3, 4, 6])
    text = yaml.dump(
        tree, Dumper=yaml.CSafeDumper, indent=indent, width=10_000, default_flow_style=style, allow_unicode=True
    )
    lines = []
    for number, line in enumerate(text.splitlines()):
        if draw.random() < 0.1:
            lines.append(" " * draw.randrange(9) + f"# mark {number}")
        if draw.random() < 0.05:
            lines.append("")
        lines.append(f"{line}  # mark {number}000" if draw.random() < 0.1 else line)
    return "\n".join(lines) + "\n" * draw.randrange(3)


def rules(name: str, text: str) -> str:
    """Give all that a file says to the engine, without the lines that it says it in."""
    (policy,) = live_policies.well_formed({name: text.encode()}, "policies")
    return re.sub(r"\{?(?:'\w+': )?PolicyLine\(.*?\)[,}]? ?", "", repr(policy))


@settings(max_examples=drawn(10))
@given(st.sampled_from(sorted(FILES)), st.integers(0, 2**32))
def test_a_file_says_the_same_in_the_usual_layout(name: str, seed: int) -> None:
    """To the engine, and to people: each comment is there once, no empty line is gone, and nothing is left to do."""
    draw = Random(seed)
    tree = plain(read(FILES[name].encode(), name))
    before = written(shuffled(tree, draw), draw)
    after = formatted(before.encode(), name)
    assert rules(name, after) == rules(name, before)
    assert sorted(COMMENT.findall(after)) == sorted(COMMENT.findall(before))
    assert sum(not line.strip() for line in after.splitlines()) == sum(
        not line.strip() for line in before.rstrip().splitlines()
    )
    assert formatted(after.encode(), name) == after


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_shipped_files_are_in_the_usual_layout(name: str) -> None:
    """They, and those of the document, show what it is."""
    assert formatted(FILES[name].encode(), name) == FILES[name]


UGLY: Final = """\
# yaml-language-server: $schema=./policy.schema.json
# about the precedence
precedence:  20
version : 1   # the format

# about the release
release:
-   legal_basis: consent
    service: my-loans    # which
    # about the attributes
    attributes:
        mail: { why: {en: a,da: b} }
        # sn: left out
        cpr:
            mask: true
            why: {en: a # not now
              , da: b}

    borrower: make
"""
NEAT: Final = """\
# yaml-language-server: $schema=./policy.schema.json
version: 1  # the format
# about the precedence
precedence: 20

# about the release
release:
  - service: my-loans  # which

    borrower: make
    legal_basis: consent
    # about the attributes
    attributes:
      mail: {why: {en: a, da: b}}
      # sn: left out
      cpr:
        why: {en: a  # not now
          , da: b}
        mask: true
"""


def test_keys_come_in_the_order_of_the_format_with_their_comments() -> None:
    """The schema stays in the first line, a comment with the line below it, what is left out in its place."""
    assert formatted(UGLY.encode(), "a.yaml") == NEAT
    # Where a file chooses keys beside those of the format, they stand as people read them.
    chosen = "match:\n  - schacHomeOrganization: au.dk\n    upstream: wayf\n"
    assert formatted(chosen.encode(), "a.yaml") == chosen


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [b\n", "a.yaml:1: is not YAML"),
        ("? a\n: b\n", "a.yaml:1: is written in a way that is not formatted (write each key on a line of its own"),
        ("a:\n  -\n    b: c\n", "a.yaml:2: is written in a way that is not formatted"),
        ("a: |+\n  b\n\n", "a.yaml: is written in a way that is not formatted"),
    ],
)
def test_what_is_not_surely_the_same_is_left_as_it_is(text: str, told: str) -> None:
    """The line is named, and how to write it."""
    with pytest.raises(ConfigurationFaults) as found:
        formatted(text.encode(), "a.yaml")
    assert str(found.value.faults[0]).startswith(told)


@pytest.mark.parametrize("text", ["label: {\n  da: a,\n  en: b\n}\n", "label:\n  da: 'a\n    b'\n  en: c\n"])
def test_texts_over_several_lines_stay(text: str) -> None:
    """In braces the order is left as it is; a text moves with its key."""
    after = formatted(text.encode(), "a.yaml")
    assert plain(read(after.encode(), "a.yaml")) == plain(read(text.encode(), "a.yaml"))
    assert formatted(after.encode(), "a.yaml") == after


def test_line_ends_of_another_system_are_no_change_of_words() -> None:
    """A file that was saved elsewhere has the usual line ends afterwards."""
    text = FILES["student.yaml"]
    assert formatted(text.replace("\n", "\r\n").encode(), "student.yaml") == text
