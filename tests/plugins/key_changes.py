"""Two small policy files, and a change of each of their keys with the row that tells of it."""

from typing import Final

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
  register: {address: set_if_empty}
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
        "WIDER my-loans nobody -> student: let in, where it was no_affiliation (student.yaml:37)",
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
        "WIDER my-loans nobody -> student: let in, where it was no_affiliation (student.yaml:37)",
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
        "other my-loans student: asks upgrade of STAFF",
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
        "borrower.expires_after",
        "student",
        "expires_after: 12 months",
        "expires_after: 2 years",
        "WIDER my-loans student: expires_after ",
    ),
    (
        "borrower.fields.NAME.from",
        "student",
        "from: [mail, proof.kaldemail]",
        "from: [mail, eduPersonPrincipalName]",
        "WIDER my-loans student: + source of field email eduPersonPrincipalName (student.yaml:32)",
    ),
    (
        "borrower.fields.NAME.from",
        "student",
        "from: [mail, proof.kaldemail]",
        "from: mail",
        "narrower my-loans student: - field email (was student.yaml:32)",
    ),
    (
        "borrower.fields.NAME.from",
        "student",
        "from: [mail, proof.kaldemail]",
        "from: [proof.kaldemail, mail]",
        "other my-loans student: another source of field email (student.yaml:32)",
    ),
    (
        "borrower.fields.NAME.set",
        "student",
        "set: create",
        "set: if_empty",
        "WIDER my-loans student: field email set create -> set if_empty (student.yaml:32)",
    ),
    (
        "borrower.fields.NAME.set",
        "student",
        "set: always",
        "set: create",
        "narrower my-loans student: field surname set always -> set create (student.yaml:29)",
    ),
    (
        "borrower.register.address",
        "guest",
        "address: set_if_empty",
        "address: always",
        "WIDER my-loans guest: register: address set_if_empty -> always (guest.yaml:18)",
    ),
    (
        "borrower.pin",
        "student",
        "pin: mail",
        "pin: none",
        "narrower my-loans student: - PIN mail (was student.yaml:35)",
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
        "narrower my-loans student: - field surname (was student.yaml:29)",
    ),
    (
        "release.[].legal_basis",
        "student",
        "basis: consent",
        "basis: contract",
        "WIDER my-loans student: legal_basis consent -> contract (student.yaml:39)",
    ),
    (
        "release.[].purpose.en",
        "student",
        "To lend you books",
        "To lend books",
        "other my-loans student: another purpose (student.yaml:40)",
    ),
    ("release.[].purpose.da", "student", "At låne dig", "At låne", "other my-loans student: another purpose ("),
    (
        "release.[].name_id",
        "guest",
        "name_id: transient",
        "name_id: persistent",
        "WIDER my-loans guest: name_id transient -> persistent (guest.yaml:34)",
    ),
    (
        "release.[].name_id_why.en",
        "guest",
        "Your account there",
        "Your account",
        "other e-resources guest: another reason (why) for name_id (guest.yaml:26)",
    ),
    (
        "release.[].name_id_why.da",
        "guest",
        "konto der",
        "konto",
        "other e-resources guest: another reason (why) for name_id ",
    ),
    (
        "release.[].notice",
        "guest",
        "name_id: transient",
        "name_id: transient\n    notice: upstream",
        "WIDER my-loans guest: notice ours -> upstream (guest.yaml:35)",
    ),
    (
        "release.[].attributes.NAME.why.en",
        "student",
        "To write to you",
        "To write",
        "other my-loans student: another reason (why) for mail (student.yaml:45)",
    ),
    (
        "release.[].attributes.NAME.why.da",
        "student",
        "til dig",
        "til",
        "other my-loans student: another reason (why) for mail ",
    ),
    (
        "release.[].attributes.NAME.values",
        "student",
        "['a@*']",
        "['a@*', 'b@*']",
        "WIDER my-loans student: + mail (student.yaml:45)",
    ),
    (
        "release.[].attributes.NAME.optional",
        "student",
        "optional: false",
        "optional: true",
        "narrower my-loans student: mail always -> if the person ticks it (student.yaml:45)",
    ),
]
