"""Two small policy files, and a change of each of their keys with the row that tells of it."""

from pathlib import Path
from typing import Final

from broker.configuration.policies import live_policies
from broker.core.policy.model import PolicySet
from tests.plugins.core_values import NOW

EXAMPLE: Final = "examples:\n  - {name: x, login: {upstream: nowhere}, service: my-loans, expect: {effect: deny}}\n"
STUDENT: Final = """\
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
    domains: [{name: auh.rm.dk, until: 2027-01-01}]
    # Of the person's own institution.
    remembered_for: 12 months
require:
  cpr: real
  age: 15
  assurance: low
  upstream: [wayf, nemid]
borrower:
  category: STUDENT
  upgrades: [PRIVATE]
  expires: 12 months
  fields:
    surname:
      from: sn
      set: always
    email:
      from: [mail, proof.kaldemail]
      set: create
  pin: mail
release:
  my-loans:
    legal_basis: consent
    purpose:
      en: To lend you books
      da: At låne dig bøger
    notice: ours
    make:
      - mail:
          why:
            en: To write to you
            da: For at skrive til dig
          values: ['a@*']
          optional: false
"""
GUEST: Final = """\
affiliation: guest
precedence: 10
label: {en: Guest, da: Gæst}
owner: identity@library.example
review_by: 2027-06-30
match:
  - {upstream: [wayf, other], schacHomeOrganization: au.dk}
  - {upstream: [wayf, other], eduPersonScopedAffiliation: student@x.example}
borrower:
  category: PRIVATE
  lowers:
    by: [wayf]
    categories: [STUDENT]
  expires: 6 months
  fields: {}
  register: set_if_empty
  pin: none
release:
  e-resources:
    legal_basis: public_task
    purpose: {en: To read, da: At læse}
    name_id: email
    name_id_why:
      en: Your account there
      da: Din konto der
    none: []
  my-loans:
    legal_basis: public_task
    purpose: {en: To read, da: At læse}
    name_id: transient
    make: []
"""
FILES: Final = {"student.yaml": STUDENT, "guest.yaml": GUEST}
# Keys that decide nothing, and why; a key stands for all below it.
DECIDES_NOTHING: Final = {
    "label": "it is shown on sign-up pages, and nobody is let in or told on for it",
    "owner": "whom an administrator asks",
    "review_by": "a day that passes is a warning",
    "release.NAME.purpose": "a text: Git shows its change",
    "release.NAME.name_id_why": "a text",
    "release.NAME.make.NAME.why": "a text",
    "examples": "they are held against what the other keys decide, at every load",
}
# The key, its file, what is written there, what in its place, and a row that tells of it.
CHANGES: Final = [
    ("affiliation", "student", "affiliation: student", "affiliation: learner", "other my-loans student -> learner: "),
    ("precedence", "student", "precedence: 20", "precedence: 5", "other my-loans student -> guest: borrower: STUDENT "),
    (
        "match.[].upstream",
        "student",
        "{upstream: nemid, kaldemail_domain",
        "{upstream: [nemid, wayf], kaldemail_domain",
        "WIDER my-loans nobody -> student: now let in; was refused: no_affiliation (student.yaml:34)",
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
        "WIDER my-loans nobody: + proof kaldemail: domains rm.dk (student.yaml:13)",
    ),
    (
        "proofs.NAME.domains.[].until",
        "student",
        "until: 2027-01-01",
        "until: 2027-02-01",
        "WIDER my-loans nobody: + proof kaldemail: domains auh.rm.dk until 2027-02-01 (student.yaml:13)",
    ),
    (
        "proofs.NAME.remembered_for",
        "student",
        "remembered_for: 12 months",
        "remembered_for: 30 days",
        "narrower my-loans nobody: proof kaldemail: remembered_for 365 days -> 30 days (student.yaml:15)",
    ),
    (
        "require.cpr",
        "student",
        "  cpr: real\n",
        "",
        "other my-loans student: refused: cpr_required; was: constructed_number",
    ),
    ("require.age", "student", "age: 15", "age: 18", "refused my-loans student: too_young (student.yaml:18)"),
    (
        "require.assurance",
        "student",
        "  assurance: low\n  upstream",
        "  assurance: high\n  upstream",
        "refused my-loans student: assurance_too_low (student.yaml:19)",
    ),
    (
        "require.upstream",
        "student",
        "upstream: [wayf, nemid]",
        "upstream: [nemid]",
        "refused my-loans student: national_eid_required (student.yaml:20)",
    ),
    (
        "borrower.category",
        "student",
        "category: STUDENT",
        "category: LEARNER",
        "other my-loans student: borrower: STUDENT created -> LEARNER created",
    ),
    (
        "borrower.upgrades",
        "student",
        "upgrades: [PRIVATE]",
        "upgrades: [PRIVATE, STAFF]",
        "other my-loans student: asks upgrade of STAFF",
    ),
    (
        "borrower.lowers.by",
        "guest",
        "by: [wayf]",
        "by: [other]",
        "other my-loans guest: borrower: PRIVATE lowered -> STUDENT stays",
    ),
    (
        "borrower.lowers.categories",
        "guest",
        "categories: [STUDENT]",
        "categories: [STUDENT, STAFF]",
        "other my-loans guest: borrower: STAFF stays -> PRIVATE lowered",
    ),
    ("borrower.expires", "student", "expires: 12 months", "expires: 2 years", "WIDER my-loans student: expires "),
    (
        "borrower.fields.NAME.from",
        "student",
        "from: [mail, proof.kaldemail]",
        "from: [mail, eduPersonPrincipalName]",
        "WIDER my-loans student: + field email (student.yaml:29)",
    ),
    (
        "borrower.fields.NAME.from",
        "student",
        "from: [mail, proof.kaldemail]",
        "from: mail",
        "narrower my-loans student: - field email (was student.yaml:29)",
    ),
    (
        "borrower.fields.NAME.from",
        "student",
        "from: [mail, proof.kaldemail]",
        "from: [proof.kaldemail, mail]",
        "other my-loans student: source of field email mail -> proof.kaldemail (student.yaml:29)",
    ),
    (
        "borrower.fields.NAME.set",
        "student",
        "set: create",
        "set: if_empty",
        "WIDER my-loans student: field email set create -> set if_empty (student.yaml:29)",
    ),
    (
        "borrower.fields.NAME.set",
        "student",
        "set: always",
        "set: create",
        "narrower my-loans student: field surname set always -> set create (student.yaml:26)",
    ),
    (
        "borrower.register",
        "guest",
        "register: set_if_empty",
        "register: always",
        "WIDER my-loans guest: register: address set_if_empty -> always (guest.yaml:16)",
    ),
    (
        "borrower.pin",
        "student",
        "pin: mail",
        "pin: none",
        "narrower my-loans student: - PIN mail (was student.yaml:32)",
    ),
    (
        "release.NAME.make.NAME.values",
        "guest",
        "  my-loans:",
        "  https://category.example/no:",
        "refused my-loans guest: no_policy_for_service",
    ),
    (
        "release.NAME.make.NAME.values",
        "student",
        "    make:",
        "    need:",
        "narrower my-loans student: - field surname (was student.yaml:26)",
    ),
    (
        "release.NAME.legal_basis",
        "student",
        "basis: consent",
        "basis: contract",
        "WIDER my-loans student: legal_basis consent -> contract (student.yaml:35)",
    ),
    (
        "release.NAME.name_id",
        "guest",
        "name_id: transient",
        "name_id: persistent",
        "WIDER my-loans guest: name_id transient -> persistent (guest.yaml:30)",
    ),
    (
        "release.NAME.notice",
        "guest",
        "name_id: transient",
        "name_id: transient\n    notice: upstream",
        "WIDER my-loans guest: notice ours -> upstream (guest.yaml:31)",
    ),
    ("release.NAME.make.NAME.values", "student", "['a@*']", "['a@*', 'b@*']", "WIDER my-loans student: + mail"),
    (
        "release.NAME.make.NAME.optional",
        "student",
        "optional: false",
        "optional: true",
        "narrower my-loans student: mail always -> if the person ticks it (student.yaml:41)",
    ),
    (
        "exceptions.NAME.category",
        "student",
        "release:\n",
        "exceptions: {au.dk: {category: AU}}\nrelease:\n",
        "other my-loans student at au.dk: borrower: STUDENT created -> AU created",
    ),
    (
        "exceptions.NAME.upgrades",
        "student",
        "release:\n",
        "exceptions: {au.dk: {upgrades: [STAFF]}}\nrelease:\n",
        "other my-loans student at au.dk: asks upgrade of STAFF",
    ),
    (
        "exceptions.NAME.expires",
        "student",
        "release:\n",
        "exceptions: {au.dk: {expires: 3 years}}\nrelease:\n",
        "WIDER my-loans student at au.dk: expires ",
    ),
    (
        "exceptions.NAME.require.cpr",
        "student",
        "release:\n",
        "exceptions: {au.dk: {require: {cpr: real, age: 20}}}\nrelease:\n",
        "refused my-loans student at au.dk: too_young (student.yaml:33)",
    ),
    (
        "exceptions.NAME.require.age",
        "student",
        "release:\n",
        "exceptions: {au.dk: {require: {age: 20}}}\nrelease:\n",
        "refused my-loans student at au.dk: too_young (student.yaml:33)",
    ),
    (
        "exceptions.NAME.require.assurance",
        "student",
        "release:\n",
        "exceptions: {au.dk: {require: {assurance: high}}}\nrelease:\n",
        "refused my-loans student at au.dk: assurance_too_low (student.yaml:33)",
    ),
    (
        "exceptions.NAME.require.upstream",
        "student",
        "release:\n",
        "exceptions: {au.dk: {require: {upstream: nemid}}}\nrelease:\n",
        "refused my-loans student at au.dk: national_eid_required (student.yaml:33)",
    ),
    (
        "release.NAME.make.NAME.states",
        "student",
        "values: ['a@*']",
        "states: a@b.example",
        "WIDER my-loans student: + mail",
    ),
]


def load_policies(folder: Path, files: dict[str, str]) -> PolicySet:
    """Write policy files into a new folder and load them."""
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text + EXAMPLE)
    return live_policies.load(folder, NOW)
