"""The jobs of docs/policies.md work in copies of the shipped files; the tables of keys say what editors show."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from broker.adapters.web.pages.reason_texts import REASONS
from broker.configuration import attribute_maps
from broker.configuration.policies import live_policies
from broker.configuration.policies.site_checks import NameableInPolicies
from broker.core.errors import ConfigurationFaults
from broker.core.policy.decision import FIRST_REASONS
from broker.core.policy.model import PolicySet
from tests.plugins.policies_document import (
    DOCUMENT,
    JOBS,
    KEYS,
    KEYS_DOCUMENT,
    SITE_RULES,
    do,
    key_table,
    sections,
    write_key_tables,
)
from tests.plugins.policy_names import service, upstream

ROOT: Final = Path(__file__).resolve().parents[3]
NOW: Final = datetime(2026, 11, 25, 12, tzinfo=UTC)
MAPS: Final = attribute_maps.load(ROOT / "attribute_maps")
NAMES: Final = NameableInPolicies(
    services={name: service(name) for name in ("my-loans", "myprint", "e-resources", "booking", "catalogue")},
    attributes=MAPS.attributes,
    upstreams={name: upstream(name, "") for name in ("wayf", "nemid", "library")},
)
SHIPPED: Final = live_policies.load(ROOT / "policies", NOW, NAMES)


def faults(folder: Path) -> str:
    """Give what is wrong with a folder, one fault a line."""
    with pytest.raises(ConfigurationFaults) as found:
        live_policies.load(folder, NOW, NAMES)
    return "\n".join(map(str, found.value.faults))


@pytest.mark.parametrize("job", JOBS)
def test_a_job_is_done_by_what_the_document_says(folder: Path, job: str) -> None:
    """Its blocks, applied in order, give files that load without a warning and decide differently."""
    for block in JOBS[job]:
        do(folder, block)
    after = live_policies.load(folder, NOW, NAMES)
    assert after.warnings == ()
    assert rules(after) != rules(SHIPPED)


def rules(policies: PolicySet) -> list[tuple[object, ...]]:
    """Give what a set decides by, without its examples, as far as it stands in no line."""
    text = re.compile(r"PolicyLine\(.*?\)")
    return [
        tuple(
            text.sub("", repr(part)) for part in (each.match, each.proofs, each.require, each.borrower, each.releases)
        )
        for each in policies.policies
    ]


def test_every_block_of_the_document_is_done() -> None:
    """No block is skipped because its first line has another form."""
    done = sum(map(len, JOBS.values())) + len(SITE_RULES)
    assert len(re.findall("^```yaml$", DOCUMENT, re.MULTILINE)) == done > 12


def test_removing_a_release_makes_an_example_fail(folder: Path) -> None:
    """The example that the document changes next fails first."""
    taken_away, mended = JOBS["stop-releasing"]
    do(folder, taken_away)
    assert "example 'a student with an account prints': does not release mail" in faults(folder)
    do(folder, mended)
    live_policies.load(folder, NOW, NAMES)


# Wrong turns, in the order of the document's table of messages: the file, what is replaced, and by what.
TURNS: Final = [
    ("student.yaml", "upgrades:", "upgardes:"),
    ("services.yaml", "Shown at the printer,", "Shown at the printer, and the copier,"),
    ("student.yaml", "  my-loans: {", "  my-lones: {"),
    ("services.yaml", "{en: Shown at the printer, da: Vises på printeren}", "Shown at the printer"),
    ("student.yaml", "[student@au.dk]}", "[student@au.dk}"),
    ("student.yaml", "{en: Student at Aarhus University, da: ", "{en: "),
    ("student.yaml", "wayf, schacHomeOrganization: [au.dk]", "wayf, schacHomeOrganization: [ua.dk]"),
    ("student.yaml", "displayName, mail]}\n  e", "displayName]}\n  e"),
    ("student.yaml", "releases: [borrower_number, displayName, mail]", "releases: [borrower_number, displayName]"),
    ("student.yaml", "  - name: no CPR number yet", "    name: no CPR number yet"),
    ("hospital.yaml", "ps.rm.dk]}\n\nreq", "rm.dk]}\n\nreq"),
    ("student.yaml", "precedence: 20", "precedence: 10"),
    ("student.yaml", "# Scoped values decide", "# 010190-" + "1234"),
]


@pytest.mark.parametrize("row", range(len(TURNS)))
def test_a_message_is_in_the_document_as_it_is_said(folder: Path, row: int) -> None:
    """The dots in the document stand for the names of files and lines."""
    rows = re.findall(r"^\| `(.+?)` \| ", sections()["messages"], re.MULTILINE)
    assert len(rows) == len(TURNS)
    name, old, new = TURNS[row]
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))
    said = re.escape(rows[row]).replace(re.escape("..."), ".+")
    assert re.search(said, faults(folder))


def test_every_reason_is_in_the_document() -> None:
    """Those that a decision can give first, and that an example may expect."""
    assert set(re.findall(r"^\| `(\w+)` \| ", sections()["reasons"], re.MULTILINE)) == FIRST_REASONS


def test_the_reasons_of_an_account_are_in_the_document() -> None:
    """Those for which an account is left as it is, and the desk told, once a decision has let the person in."""
    told = set(re.findall(r"^\| `(\w+)` \| ", sections()["reasons-account"], re.MULTILINE))
    assert told <= REASONS.keys()
    assert {"several_borrowers", "different_person", "name_required"} <= told


# Keys that another file has, or another place.
# Without this entry no shipped file has a place for name_id_why.


def test_the_tables_of_keys_say_what_editors_show() -> None:
    """``python -m tests.plugins.policies_document`` writes them into docs/reference/policy-keys.md#keys-file."""
    text = KEYS_DOCUMENT.read_text(encoding="utf-8")
    assert write_key_tables(text) == text
    shown = {anchor for anchor, (shape, _, _) in KEYS.items() if key_table(shape) in text}
    assert KEYS.keys() - shown == {
        "keys-texts",
        "keys-label",
        "keys-proofs-domains",
        "keys-examples-expect-borrower",
        "keys-rules-age",
        "keys-rules-expect",
    }
