"""What a change of each key of a policy file is told as: none goes unsaid but those that decide nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from broker.core.analysis.compared_logins import Analysis, Site
from broker.core.analysis.set_differences import Row, difference
from broker.core.policy.model import PolicySet
from broker.files.checked_files import key_patterns
from broker.files.policies import live_policies
from broker.files.policies.file_schema import PolicyShape
from tests.plugins.random_policies import NOW, SERVICES, SOURCES

WAYF: Final = SOURCES[0]
NEMID: Final = SOURCES[2]
LOANS: Final = SERVICES[0]
EXAMPLE: Final = "examples:\n  - {name: x, login: {upstream: nowhere}, service: my-loans, expect: {effect: deny}}\n"
STUDENT: Final = """\
version: 1
affiliation: student
precedence: 20
label: {en: Student, da: Studerende}
owner: identity@library.example
review_by: 2027-06-30
match:
  - upstream: wayf
    eduPersonScopedAffiliation: student@au.dk
    assurance: low
  - {upstream: nemid, kaldemail_domain: auh.rm.dk}
proofs:
  kaldemail:
    kind: mailbox
    domains: [{name: auh.rm.dk, until: 2027-01-01}]
    code_valid_for: 30m
    remembered_for: 12 months
require:
  cpr: real
  age: 15
  assurance: low
  upstream: [wayf, nemid]
borrower:
  find_by: [cpr]
  category: STUDENT
  upgrades: [PRIVATE]
  temporary: [TEMP]
  expires_after: 12 months
  fields:
    surname:
      from: sn
      set: always
    email:
      from: [mail, proof.kaldemail]
      set: create
  pin: mail
release:
  - service: my-loans
    borrower: make
    legal_basis: consent
    purpose:
      en: To lend you books
      da: At låne dig bøger
    notice: ours
    attributes:
      mail:
        why:
          en: To write to you
          da: For at skrive til dig
        values: ['a@*']
        optional: false
"""
GUEST: Final = """\
version: 1
affiliation: guest
precedence: 10
label: {en: Guest, da: Gæst}
owner: identity@library.example
review_by: 2027-06-30
match:
  - {upstream: [wayf, other], schacHomeOrganization: au.dk}
  - {upstream: [wayf, other], eduPersonScopedAffiliation: student@x.example}
borrower:
  find_by: [cpr]
  category: PRIVATE
  lowers:
    by: [wayf]
    categories: [STUDENT]
  expires_after: 6 months
  fields: {}
  pin: none
release:
  - service: e-resources
    borrower: none
    legal_basis: public_task
    purpose: {en: To read, da: At læse}
    name_id: email
    name_id_why:
      en: Your account there
      da: Din konto der
    attributes: {}
  - service: my-loans
    borrower: make
    legal_basis: public_task
    purpose: {en: To read, da: At læse}
    name_id: transient
    attributes: {}
"""
FILES: Final = {"student.yaml": STUDENT, "guest.yaml": GUEST}
# Keys that decide nothing, and why; a key stands for all below it.
DECIDES_NOTHING: Final = {
    "version": "there is one",
    "label": "it is shown on sign-up pages, and nobody is let in or told on for it",
    "owner": "whom an administrator asks",
    "review_by": "a day that passes is a warning",
    "examples": "they are held against what the other keys decide, at every load",
    "proofs.NAME.kind": "there is one",
    "release.[].attributes.NAME.mask": "a file is refused that masks no CPR number, or anything else",
}
# The key, its file, what is written there, what in its place, and a row that tells of it.
CHANGES: Final = [
    ("affiliation", "student", "affiliation: student", "affiliation: learner", "other my-loans student -> learner: "),
    ("precedence", "student", "precedence: 20", "precedence: 5", "other my-loans student -> guest: student -> guest"),
    (
        "match.[].upstream",
        "student",
        "{upstream: nemid, kaldemail_domain",
        "{upstream: [nemid, wayf], kaldemail_domain",
        "WIDER my-loans nobody -> student: let in, where it was no_affiliation (student.yaml:38)",
    ),
    (
        "match.[].assurance",
        "student",
        "    assurance: low\n  - {",
        "    assurance: high\n  - {",
        "refused my-loans student -> nobody: no_affiliation",
    ),
    (
        "proofs.NAME.domains.[].name",
        "student",
        "domains: [{",
        "domains: [rm.dk, {",
        "WIDER my-loans nobody: + proof kaldemail: domains rm.dk (student.yaml:15)",
    ),
    (
        "proofs.NAME.domains.[].until",
        "student",
        "until: 2027-01-01",
        "until: 2027-02-01",
        "WIDER my-loans nobody -> student: let in, where it was no_affiliation (student.yaml:38)",
    ),
    (
        "proofs.NAME.code_valid_for",
        "student",
        "code_valid_for: 30m",
        "code_valid_for: 2h",
        "WIDER my-loans nobody: proof kaldemail: code_valid_for 30 minutes -> 2 hours (student.yaml:16)",
    ),
    (
        "proofs.NAME.remembered_for",
        "student",
        "remembered_for: 12 months",
        "remembered_for: 30 days",
        "narrower my-loans nobody: proof kaldemail: remembered_for 365 days -> 30 days (student.yaml:17)",
    ),
    (
        "require.cpr",
        "student",
        "  cpr: real\n",
        "",
        "other my-loans student: refused for cpr_required, where it was constructed_number",
    ),
    ("require.age", "student", "age: 15", "age: 18", "refused my-loans student: too_young (student.yaml:20)"),
    (
        "require.assurance",
        "student",
        "  assurance: low\n  upstream",
        "  assurance: high\n  upstream",
        "refused my-loans student: assurance_too_low (student.yaml:21)",
    ),
    (
        "require.upstream",
        "student",
        "upstream: [wayf, nemid]",
        "upstream: [nemid]",
        "refused my-loans student: national_eid_required (student.yaml:22)",
    ),
    ("borrower.find_by", "student", "[cpr]", "[]", "refused my-loans student: library_unavailable"),
    (
        "borrower.category",
        "student",
        "category: STUDENT",
        "category: LEARNER",
        "other my-loans student: borrower: STUDENT created for 12 months -> LEARNER created for 12 months",
    ),
    (
        "borrower.upgrades",
        "student",
        "upgrades: [PRIVATE]",
        "upgrades: [PRIVATE, STAFF]",
        "other my-loans student: asked: to change the category (STAFF)",
    ),
    (
        "borrower.lowers.by",
        "guest",
        "by: [wayf]",
        "by: [other]",
        "other my-loans guest: borrower: PRIVATE lowered for 6 months -> STUDENT stays",
    ),
    (
        "borrower.lowers.categories",
        "guest",
        "categories: [STUDENT]",
        "categories: [STUDENT, STAFF]",
        "other my-loans guest: borrower: STAFF stays -> PRIVATE lowered for 6 months",
    ),
    (
        "borrower.temporary",
        "student",
        "temporary: [TEMP]",
        "temporary: [TEMP, DESK]",
        "other my-loans student: borrower: none -> STUDENT adopted for 12 months",
    ),
    (
        "borrower.expires_after",
        "student",
        "expires_after: 12 months",
        "expires_after: 2 years",
        "WIDER my-loans student: expires_after 12 -> 24 months, where it is moved (student.yaml:28)",
    ),
    (
        "borrower.fields.NAME.from",
        "student",
        "from: [mail, proof.kaldemail]",
        "from: [mail, eduPersonPrincipalName]",
        "WIDER my-loans student: + field email: from eduPersonPrincipalName (student.yaml:33)",
    ),
    (
        "borrower.fields.NAME.from",
        "student",
        "from: [mail, proof.kaldemail]",
        "from: mail",
        "narrower my-loans student: - field email: from proof.kaldemail (was student.yaml:33)",
    ),
    (
        "borrower.fields.NAME.from",
        "student",
        "from: [mail, proof.kaldemail]",
        "from: [proof.kaldemail, mail]",
        "other my-loans student: field email: from proof.kaldemail first, where it was mail (student.yaml:33)",
    ),
    (
        "borrower.fields.NAME.set",
        "student",
        "set: create",
        "set: if_empty",
        "WIDER my-loans student: field email: set create -> if_empty (student.yaml:33)",
    ),
    (
        "borrower.fields.NAME.set",
        "student",
        "set: always",
        "set: create",
        "narrower my-loans student: field surname: set always -> create (student.yaml:30)",
    ),
    (
        "borrower.pin",
        "student",
        "pin: mail",
        "pin: none",
        "narrower my-loans student: pin mail -> none (student.yaml:36)",
    ),
    (
        "release.[].service",
        "guest",
        "service: my-loans",
        "service: https://category.example/no",
        "refused my-loans guest: no_policy_for_service",
    ),
    (
        "release.[].borrower",
        "student",
        "borrower: make",
        "borrower: need",
        "narrower my-loans student: - field surname (was student.yaml:30)",
    ),
    (
        "release.[].legal_basis",
        "student",
        "basis: consent",
        "basis: contract",
        "WIDER my-loans student: legal basis consent -> contract (student.yaml:40)",
    ),
    (
        "release.[].purpose.en",
        "student",
        "To lend you books",
        "To lend books",
        "other my-loans student: another purpose (student.yaml:41)",
    ),
    ("release.[].purpose.da", "student", "At låne dig", "At låne", "other my-loans student: another purpose"),
    (
        "release.[].name_id",
        "guest",
        "name_id: transient",
        "name_id: persistent",
        "WIDER my-loans guest: name_id transient -> persistent (guest.yaml:33)",
    ),
    (
        "release.[].name_id_why.en",
        "guest",
        "Your account there",
        "Your account",
        "other e-resources guest: name_id: another reason (why) is shown (guest.yaml:25)",
    ),
    ("release.[].name_id_why.da", "guest", "konto der", "konto", "other e-resources guest: name_id: another reason "),
    (
        "release.[].notice",
        "student",
        "notice: ours",
        "notice: upstream",
        "WIDER my-loans student: notice ours -> upstream (student.yaml:44)",
    ),
    (
        "release.[].attributes.NAME.why.en",
        "student",
        "To write to you",
        "To write",
        "other my-loans student: mail: another reason (why) is shown (student.yaml:46)",
    ),
    ("release.[].attributes.NAME.why.da", "student", "til dig", "til", "other my-loans student: mail: another reason "),
    (
        "release.[].attributes.NAME.values",
        "student",
        "['a@*']",
        "['a@*', 'b@*']",
        "WIDER my-loans student: + mail: b@* (student.yaml:46)",
    ),
    (
        "release.[].attributes.NAME.optional",
        "student",
        "optional: false",
        "optional: true",
        "narrower my-loans student: mail leaves only where it is ticked (student.yaml:46)",
    ),
]


def keys() -> Iterator[str]:
    """Give every key of a policy file below which there is no other."""
    patterns = list(key_patterns(PolicyShape))
    for pattern in patterns:
        if not any(other[: len(pattern)] == pattern and other != pattern for other in patterns):
            yield ".".join(pattern)


def loaded(folder: Path, files: dict[str, str]) -> PolicySet:
    """Load policy files."""
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text + EXAMPLE)
    return live_policies.load(folder, NOW)


def told(row: Row) -> str:
    """Write a row as the command prints it."""
    was = "was " if row.change.was else ""
    return f"{row.change.direction} {row.service} {row.affiliation}: {row.change.text} ({was}{row.change.place})"


def edited(folder: Path, edits: list[tuple[str, str, str, str, str]]) -> list[str]:
    """Compare the files with those in which these edits were made."""
    files = dict(FILES)
    for _, affiliation, old, new, _ in edits:
        name = f"{affiliation}.yaml"
        assert files[name].count(old) == 1
        files[name] = files[name].replace(old, new)
    before = loaded(folder / "before", FILES)
    after = loaded(folder / "after", files)
    services = SERVICES if any("e-resources" in row for *_, row in edits) else (LOANS,)
    site = Site((WAYF, NEMID), services)
    return list(map(told, difference(Analysis((before, after), site, NOW)).rows))


def test_each_key_is_told_or_decides_nothing() -> None:
    """A key that the format gains is in neither table, until somebody says what a change of it means."""
    changed = {key for key, *_ in CHANGES}
    named = set(keys())
    silent = {key for key in named if any(f"{key}.".startswith(f"{each}.") for each in DECIDES_NOTHING)}
    assert changed | silent == named
    assert not changed & silent


@pytest.mark.slow
@pytest.mark.parametrize("edit", CHANGES, ids=[f"{key}-{row.partition(' ')[0]}" for key, *_, row in CHANGES])
def test_a_change_of_a_key_is_told(tmp_path: Path, edit: tuple[str, str, str, str, str]) -> None:
    """By a row with its direction, the key in words, and its line."""
    rows = edited(tmp_path, [edit])
    assert any(row.startswith(edit[-1]) for row in rows), rows


LASTING: Final = (
    "proofs.NAME.code_valid_for",
    "proofs.NAME.remembered_for",
    "borrower.fields.NAME.set",
    "borrower.pin",
)


def test_what_outlasts_a_login_is_told_with_it(tmp_path: Path) -> None:
    """How long codes and proofs are good for, which fields are written when, and the PIN: a row each."""
    edits = [edit for edit in CHANGES if edit[0] in LASTING]
    rows = edited(tmp_path, edits)
    for *_, row in edits:
        assert row in rows
    assert len({row.partition(": ")[2] for row in rows}) == len(edits)
