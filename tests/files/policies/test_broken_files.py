"""Files broken in one way each, as people break them, with the message that each must give."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.core.errors import ConfigurationFaults
from broker.files.policies import live_policies
from tests.plugins.policy_names import NAMES

SHIPPED = Path(__file__).resolve().parents[3] / "policies"
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
# The slips that give more than one fault: each key of an entry that runs into the one before, and a key's two places.
SEVERAL = {"no dash": 6, "a key of the borrower at the left edge": 2, "no-break spaces for an indent": 3}

# What was done, the file, what was replaced by what, and what is said.
BROKEN = [
    (
        "no account where one is made",
        "student.yaml",
        "borrower: {category: STUDENT}, releases",
        "borrower: none, releases",
        (
            "student.yaml:61: example 'a student is lent books': an account of the category STUDENT is made, "
            "expected none (student.yaml:18: makes the category STUDENT)"
        ),
    ),
    (
        "a word in place of a text's two languages",
        "student.yaml",
        "label: {en: Student at Aarhus University, da: Studerende på Aarhus Universitet}",
        "label: Student",
        "student.yaml:5: label: must be a mapping (write {en: ..., da: ...})",
    ),
    (
        "a category in place of its key",
        "student.yaml",
        "borrower: {category: STUDENT}, releases",
        "borrower: STUDENT, releases",
        "student.yaml:64: examples.1.expect.borrower: must be a mapping (write {category: ...})",
    ),
    (
        "a last day in a line of match",
        "hospital.yaml",
        "kaldemail_domain: [auh.rm.dk, aarhus.rm.dk, skejby.rm.dk, ps.rm.dk]",
        "kaldemail_domain: [auh.rm.dk, {name: ps.rm.dk, until: 2027-12-31}]",
        "hospital.yaml:12: match.1.kaldemail_domain: until stands only under proofs; write ps.rm.dk alone here",
    ),
    (
        "a colon in a text in braces",
        "student.yaml",
        "en: Student at Aarhus University",
        "en: Student: at Aarhus University",
        (
            "student.yaml:5: is not YAML: a comma or the closing } is missing (close what { opens, and "
            "put the text between quotes, as in 'this: one')"
        ),
    ),
    (
        "a colon in a text",
        "student.yaml",
        "owner: identity@library.example",
        "owner: team: identity@library.example",
        ("student.yaml:6: is not YAML: a colon where none may stand (put the text between quotes, as in 'this: one')"),
    ),
    (
        "a value that begins with @",
        "student.yaml",
        "owner: identity@",
        "owner: @identity",
        ("student.yaml:6: is not YAML: a value that begins with a character of YAML's own (put it between quotes)"),
    ),
    (
        "a value that begins with *",
        "student.yaml",
        "values: ['student@*']",
        "values: [*@au.dk]",
        "student.yaml:41: is not YAML: a value that begins with * or & (put it between quotes)",
    ),
    (
        "a value that begins with %",
        "student.yaml",
        "owner: identity@",
        "owner: %identity",
        ("student.yaml:6: is not YAML: a value that begins with a character of YAML's own (put it between quotes)"),
    ),
    (
        "a value that begins with !",
        "student.yaml",
        "owner: identity@",
        "owner: !identity",
        "student.yaml:6: sets a tag (remove the word that begins with !)",
    ),
    (
        "a value that begins with |",
        "student.yaml",
        "owner: identity@library.example",
        "owner: | identity",
        "student.yaml:6: is not YAML: a text that begins with | or > (put it between quotes)",
    ),
    (
        "a single quote that is not ended",
        "student.yaml",
        "owner: identity@library.example",
        "owner: 'identity@library.example",
        (
            "student.yaml:6: is not YAML: a quote that does not end in its line (end it in the same lin"
            "e; in a text between '...' a single ' is written '')"
        ),
    ),
    (
        "a double quote that is not ended",
        "student.yaml",
        "purpose: {en: 'To lend you",
        'purpose: {en: "To lend you',
        (
            "student.yaml:33: is not YAML: a quote that does not end in its line (end it in the same li"
            "ne; in a text between '...' a single ' is written '')"
        ),
    ),
    (
        "a quote that is not ended near the end",
        "student.yaml",
        "releases: [borrower_number]}\n  - name: a univ",
        "releases: ['borrower_number]}\n  - name: a univ",
        (
            "student.yaml:120: is not YAML: a quote that does not end in its line (end it in the same l"
            "ine; in a text between '...' a single ' is written '')"
        ),
    ),
    (
        "an apostrophe in single quotes",
        "student.yaml",
        "da: 'Så du får de vilkår, der",
        "da: 'Så du får dit navn's vilkår, der",
        (
            "student.yaml:41: is not YAML: a comma or the closing } is missing (close what { opens, and"
            " put the text between quotes, as in 'this: one')"
        ),
    ),
    (
        "a backslash in double quotes",
        "student.yaml",
        "owner: identity@library.example",
        'owner: "identity\\@library.example"',
        "student.yaml:6: is not YAML: a \\ between double quotes (use single quotes)",
    ),
    (
        "typographic quotes",
        "student.yaml",
        "service: my-loans",
        "service: \u201cmy-loans\u201d",
        (
            "student.yaml:30: has a value that begins with a typographic quote (write \" or ' in place o"
            "f \u201c, or put the whole between them)"
        ),
    ),
    (
        "typographic single quotes",
        "student.yaml",
        "  category: STUDENT",
        "  category: \u2018STUDENT\u2019",
        (
            "student.yaml:18: has a value that begins with a typographic quote (write \" or ' in place o"
            "f \u2018, or put the whole between them)"
        ),
    ),
    (
        "typographic quotes in a list",
        "student.yaml",
        "find_by: [cpr]",
        "find_by: [\u201ccpr\u201d]",
        (
            "student.yaml:17: has a value that begins with a typographic quote (write \" or ' in place o"
            "f \u201c, or put the whole between them)"
        ),
    ),
    (
        "guillemets",
        "student.yaml",
        "pin: mail",
        "pin: \u00bbmail\u00ab",
        (
            "student.yaml:27: has a value that begins with a typographic quote (write \" or ' in place o"
            "f \u00bb, or put the whole between them)"
        ),
    ),
    (
        "a bracket that is not closed",
        "student.yaml",
        "find_by: [cpr]",
        "find_by: [cpr",
        (
            "student.yaml:17: is not YAML: a comma or the closing ] is missing (close what [ opens, and"
            " put the text between quotes, as in 'this: one')"
        ),
    ),
    (
        "a brace that is not closed",
        "student.yaml",
        "require: {cpr: real, assurance: low}",
        "require: {cpr: real, assurance: low",
        (
            "student.yaml:14: is not YAML: a comma or the closing } is missing (close what { opens, and"
            " put the text between quotes, as in 'this: one')"
        ),
    ),
    (
        "a brace too many",
        "student.yaml",
        "require: {cpr: real, assurance: low}",
        "require: {cpr: real, assurance: low}}",
        "student.yaml:14: is not YAML: a } that closes nothing (remove it, or open it with {)",
    ),
    (
        "the wrong bracket",
        "student.yaml",
        "find_by: [cpr]",
        "find_by: [cpr}",
        "student.yaml:17: is not YAML: a } that closes nothing (remove it, or open it with {)",
    ),
    (
        "a comma that is missing",
        "student.yaml",
        "{cpr: real, assurance: low}",
        "{cpr: real assurance: low}",
        (
            "student.yaml:14: is not YAML: a comma or the closing } is missing (close what { opens, and"
            " put the text between quotes, as in 'this: one')"
        ),
    ),
    (
        "a semicolon for a comma",
        "student.yaml",
        "{cpr: real, assurance: low}",
        "{cpr: real; assurance: low}",
        (
            "student.yaml:14: is not YAML: a comma or the closing } is missing (close what { opens, and"
            " put the text between quotes, as in 'this: one')"
        ),
    ),
    (
        "a tab for an indent",
        "student.yaml",
        "  find_by",
        "\tfind_by",
        "student.yaml:17: is not YAML: a tab before the text (indent by blanks)",
    ),
    (
        "no blank after the colon",
        "student.yaml",
        "precedence: 20",
        "precedence:20",
        ("student.yaml:4: is not YAML: a line without key and value (write key: value, with a blank after the colon)"),
    ),
    (
        "no colon",
        "student.yaml",
        "precedence: 20",
        "precedence 20",
        ("student.yaml:4: is not YAML: a line without key and value (write key: value, with a blank after the colon)"),
    ),
    (
        "an equals sign",
        "student.yaml",
        "precedence: 20",
        "precedence = 20",
        ("student.yaml:4: is not YAML: a line without key and value (write key: value, with a blank after the colon)"),
    ),
    (
        "no blank after the dash",
        "student.yaml",
        "  - {upstream: wayf",
        "  -{upstream: wayf",
        "student.yaml:11: is not YAML: a - without a blank after it (write a blank between the two)",
    ),
    (
        "no dash",
        "student.yaml",
        "  - service: myprint",
        "    service: myprint",
        "student.yaml:42: has 'service' twice (the first is in line 30)",
    ),
    (
        "one blank too few",
        "student.yaml",
        "    firstname: {from",
        "   firstname: {from",
        (
            "student.yaml:24: is not YAML: a line that is not in line with the keys above (indent it by"
            " as many blanks as those, and close each quote and bracket before it)"
        ),
    ),
    (
        "two blanks too many",
        "student.yaml",
        "    firstname: {from",
        "      firstname: {from",
        (
            "student.yaml:24: is not YAML: a line that is not in line with the keys above (indent it by"
            " as many blanks as those, and close each quote and bracket before it)"
        ),
    ),
    (
        "a key of the file that is indented",
        "student.yaml",
        "require: {cpr",
        "  require: {cpr",
        (
            "student.yaml:14: is not YAML: a line that breaks the list above (begin it with a - in line"
            " with the other items, or at the left edge)"
        ),
    ),
    (
        "a key of the borrower at the left edge",
        "student.yaml",
        "  pin: mail\n",
        "pin: mail\n",
        "student.yaml:27: unknown key 'pin' (pin stands under borrower: mind the indent)",
    ),
    (
        "a key of the borrower in a release",
        "student.yaml",
        "    name_id: transient",
        "    pin: mail\n    name_id: transient",
        "student.yaml:55: unknown key 'pin' (pin stands under borrower: mind the indent)",
    ),
    (
        "a requirement of one service",
        "student.yaml",
        "    name_id: transient",
        "    require: {cpr: real}\n    name_id: transient",
        (
            "student.yaml:55: unknown key 'require' (require is for the whole file, at the left edge; an "
            "entry of release cannot have one)"
        ),
    ),
    (
        "a last day of an entry",
        "student.yaml",
        "    name_id: transient",
        "    until: 2027-12-31\n    name_id: transient",
        (
            "student.yaml:55: unknown key 'until' (until stands under proofs.NAME.domains: mind the indent; "
            "nothing else can end on a day)"
        ),
    ),
    (
        "a last day of a requirement",
        "student.yaml",
        "require: {cpr: real,",
        "require: {until: 2027-12-31, cpr: real,",
        (
            "student.yaml:14: unknown key 'until' (until stands under proofs.NAME.domains: mind the indent; "
            "nothing else can end on a day)"
        ),
    ),
    (
        "a last day of a way to match",
        "student.yaml",
        "{upstream: wayf, schac",
        "{upstream: wayf, until: 2027-12-31, schac",
        "student.yaml:11: unknown attribute 'until' (only a domain under proofs can end on a day)",
    ),
    (
        "a comma in a text in braces",
        "student.yaml",
        "da: Vises på printeren",
        "da: Vises på printeren, når du har gemt",
        "student.yaml:49: unknown key 'når du har gemt' (a comma? put the text in quotes)",
    ),
    (
        "a way to get an account by which nobody comes",
        "student.yaml",
        "require: {cpr: real,",
        "require: {upstream: nemid, cpr: real,",
        (
            "student.yaml:14: nobody of this affiliation comes by 'nemid' (name it in an alternative of match, "
            "which lets more people in; or take upstream out here, and say borrower: need in the entries)"
        ),
    ),
    (
        "an example of borrower: need that does not say whether there is an account",
        "student.yaml",
        "borrower: false, ",
        "",
        (
            "student.yaml:89: example 'printing needs an account': effect is permit, expected deny (ok: an entry "
            "with borrower: need lets in until somebody has looked, so the login says borrower: false); reason "
            "is ok, expected no_library_account (student.yaml:42: permits)"
        ),
    ),
    (
        "no-break spaces for an indent",
        "student.yaml",
        "  - service: myprint",
        "\u00a0\u00a0- service: myprint",
        "student.yaml:42: is not YAML: a space that is no blank (remove it, and type a blank anew)",
    ),
    (
        "a no-break space after a colon",
        "student.yaml",
        "precedence: 20",
        "precedence:\u00a020",
        "student.yaml:4: is not YAML: a space that is no blank (remove it, and type a blank anew)",
    ),
    (
        "a no-break space after a dash",
        "student.yaml",
        "  - service: myprint",
        "  -\u00a0service: myprint",
        "student.yaml:42: is not YAML: a space that is no blank (remove it, and type a blank anew)",
    ),
    (
        "a no-break space in a list",
        "student.yaml",
        "{cpr: real, assurance",
        "{cpr: real,\u00a0assurance",
        (
            "student.yaml:14: has a word that begins or ends with U+00A0, which is no blank (remove it,"
            " and type a blank anew)"
        ),
    ),
    (
        "a no-break space in braces",
        "student.yaml",
        "assurance: low}",
        "assurance:\u00a0low}",
        "student.yaml:14: has a key that holds U+00A0, which is no blank (remove it, and type a blank anew)",
    ),
    (
        "a space of no width",
        "student.yaml",
        "precedence: 20",
        "\u200bprecedence: 20",
        (
            "student.yaml:4: has a word that begins or ends with U+200B, which is no blank (remove it, "
            "and type a blank anew)"
        ),
    ),
    (
        "marks of a merge",
        "student.yaml",
        "precedence: 20",
        "<<<<<<< HEAD\nprecedence: 20\n=======\nprecedence: 21\n>>>>>>> other",
        (
            "student.yaml:4: is not YAML: a mark of an unfinished merge (keep one of the two texts, and"
            " remove the marks)"
        ),
    ),
    (
        "a key twice",
        "student.yaml",
        "precedence: 20",
        "precedence: 20\nprecedence: 21",
        "student.yaml:5: has 'precedence' twice (the first is in line 4)",
    ),
    (
        "an anchor",
        "student.yaml",
        "owner: identity@library.example",
        "owner: &us identity@library.example",
        "student.yaml:6: sets an anchor (remove the word that begins with &)",
    ),
    (
        "an alias",
        "student.yaml",
        "owner: identity@library.example",
        "owner: *us",
        "student.yaml:6: uses an alias (write the value out)",
    ),
    (
        "a second document",
        "student.yaml",
        "precedence: 20",
        "---\nprecedence: 20",
        "student.yaml:4: holds a second document (one file is one document)",
    ),
    (
        "a key misspelt",
        "student.yaml",
        "precedence: 20",
        "precendence: 20",
        "student.yaml:4: unknown key 'precendence' (did you mean 'precedence'?)",
    ),
    (
        "a key of a release misspelt",
        "student.yaml",
        "borrower: make",
        "borower: make",
        "student.yaml:31: unknown key 'borower' (did you mean 'borrower'?)",
    ),
    (
        "a key that is missing",
        "student.yaml",
        "owner: identity@library.example\n",
        "",
        "student.yaml:2: owner is missing",
    ),
    (
        "a text in one language",
        "student.yaml",
        ", da: Studerende på Aarhus Universitet",
        "",
        "student.yaml:5: label.da is missing",
    ),
    (
        "a word for a number",
        "student.yaml",
        "precedence: 20",
        "precedence: high",
        "student.yaml:4: precedence: must be a whole number",
    ),
    (
        "a day as it is spoken",
        "student.yaml",
        "2027-06-30",
        "30.6.2027",
        "student.yaml:7: review_by: must be a day like 2027-06-30",
    ),
    (
        "a span without a unit",
        "student.yaml",
        "expires_after: 12 months",
        "expires_after: 12",
        "student.yaml:21: borrower.expires_after: must be a span like 24 months or 2 years",
    ),
    (
        "yes for true",
        "student.yaml",
        "mask: true",
        "mask: yes",
        "student.yaml:37: release.1.attributes.cpr.mask: must be true or false",
    ),
    (
        "a value for a list",
        "student.yaml",
        "find_by: [cpr]",
        "find_by: cpr",
        "student.yaml:17: borrower.find_by: must be a list (write [one, another])",
    ),
    (
        "a word for keys",
        "student.yaml",
        "require: {cpr: real, assurance: low}",
        "require: cpr",
        "student.yaml:14: require: must be a mapping (write key: value)",
    ),
    (
        "a list for a text",
        "student.yaml",
        "owner: identity@library.example",
        "owner: [identity]",
        "student.yaml:6: owner: must be a text (put it between quotes)",
    ),
    (
        "a word that is not to choose from",
        "student.yaml",
        "set: create",
        "set: never",
        "student.yaml:25: borrower.fields.email.set: input should be 'create', 'if_empty' or 'always'",
    ),
    (
        "a level that there is not",
        "student.yaml",
        "assurance: low}  # only where a borrower would be made\n\nborrower",
        "assurance: medium}\n\nborrower",
        ("student.yaml:14: require.assurance: input should be 'self_asserted', 'low', 'substantial' or 'high'"),
    ),
    (
        "an affiliation with a capital",
        "student.yaml",
        "affiliation: student\n",
        "affiliation: Student\n",
        "student.yaml:3: affiliation: must be small letters, digits and -, and begin with a letter",
    ),
    (
        "an empty value",
        "student.yaml",
        "  category: STUDENT",
        "  category:",
        "student.yaml:18: borrower.category: must not be empty",
    ),
    (
        "an attribute misspelt",
        "student.yaml",
        "      mail: {why",
        "      mial: {why",
        "student.yaml:40: unknown attribute 'mial' (did you mean 'mail'?)",
    ),
    (
        "an attribute by what people call it",
        "student.yaml",
        "      displayName: {why",
        "      fullName: {why",
        "student.yaml:49: unknown attribute 'fullName' (did you mean 'displayName'?)",
    ),
    (
        "an attribute that there is not",
        "student.yaml",
        "      displayName: {why",
        "      shoeSize: {why",
        (
            "student.yaml:49: unknown attribute 'shoeSize'"
            " (the maps yield no such attribute; labels.yaml lists those there are)"
        ),
    ),
    (
        "an attribute of an example misspelt",
        "student.yaml",
        "mail: asta@post.example}",
        "mial: asta@post.example}",
        "student.yaml:61: unknown attribute 'mial' (did you mean 'mail'?)",
    ),
    (
        "a service misspelt",
        "student.yaml",
        "service: myprint",
        "service: myprimt",
        "student.yaml:42: unknown service 'myprimt' (did you mean 'myprint'?)",
    ),
    (
        "an upstream misspelt",
        "student.yaml",
        "- {upstream: wayf, schac",
        "- {upstream: wafy, schac",
        "student.yaml:11: unknown upstream 'wafy' (did you mean 'wayf'?)",
    ),
    (
        "a borrower field misspelt",
        "student.yaml",
        "    surname: {from",
        "    surnam: {from",
        "student.yaml:23: the library system has no field 'surnam' (did you mean 'surname'?)",
    ),
    (
        "a proof that is not in the file",
        "student.yaml",
        "{from: sn,",
        "{from: proof.kaldemail,",
        "student.yaml:23: proof.kaldemail: no such proof in this file (name it under proofs)",
    ),
    (
        "a reason misspelt",
        "student.yaml",
        "reason: cpr_required",
        "reason: cpr_requierd",
        "student.yaml:65: unknown reason 'cpr_requierd' (did you mean 'cpr_required'?)",
    ),
    (
        "a precedence that another file has",
        "student.yaml",
        "precedence: 20",
        "precedence: 30",
        "student.yaml:1: precedence 30 is also that of employee.yaml (each precedence belongs to one file)",
    ),
    (
        "an affiliation that another file has",
        "student.yaml",
        "affiliation: student\n",
        "affiliation: private\n",
        ("student.yaml:1: affiliation private is also that of private.yaml (each affiliation belongs to one file)"),
    ),
    (
        "a service twice",
        "student.yaml",
        "service: myprint",
        "service: my-loans",
        (
            "student.yaml:42: a second entry for my-loans; the first is in line 30 (two entries are nev"
            "er merged: make them one)"
        ),
    ),
    (
        "a borrower that no entry needs",
        "student.yaml",
        "borrower: need",
        "borrower: none",
        ("student.yaml:48: borrower_number without a borrower (the entry says borrower: none, so there is no number)"),
    ),
    (
        "a CPR number",
        "student.yaml",
        "owner:",
        "# 010190-1234\nowner:",
        "student.yaml:6: holds what looks like a CPR number (an example says cpr: real)",
    ),
    (
        "a CPR number that would not be masked",
        "student.yaml",
        "cpr: {mask: true, why",
        "cpr: {why",
        "student.yaml:37: cpr without mask: true (a page shows it masked)",
    ),
    (
        "a star in the middle",
        "student.yaml",
        "eduPersonScopedAffiliation: [student@au.dk]}\n  - {up",
        "eduPersonScopedAffiliation: ['stud*@au.dk']}\n  - {up",
        ("student.yaml:11: eduPersonScopedAffiliation: * may only end a value (write prefix*, or leave values out)"),
    ),
    (
        "an attribute that may be declined where nobody is asked",
        "student.yaml",
        "displayName: {why",
        "displayName: {optional: true, why",
        (
            "student.yaml:49: displayName is optional without consent (a choice is only a choice under "
            "legal_basis: consent)"
        ),
    ),
    (
        "a typo that many examples cover",
        "student.yaml",
        "schacHomeOrganization: [au.dk]",
        "schacHomeOrganization: [ua.dk]",
        (
            "student.yaml:11: schacHomeOrganization ua.dk does not hold (value_not_matched), and 12 exa"
            "mples fail (employee.yaml:69, student.yaml:61,65,69,73,77,81,85,89,93,105,109; the first i"
            "s 'unless the sign-up was begun as a student': affiliation is employee, expected student)"
        ),
    ),
    (
        "a level too high for the examples",
        "student.yaml",
        "require: {cpr: real, assurance: low}",
        "require: {cpr: real, assurance: high}",
        (
            "student.yaml:14: refuses with assurance_too_low, and 6 examples fail (employee.yaml:69, st"
            "udent.yaml:61,65,69,73,105; the first is 'unless the sign-up was begun as a student': effe"
            "ct is deny, expected permit (assurance_too_low))"
        ),
    ),
    (
        "another category than the examples expect",
        "student.yaml",
        "  category: STUDENT\n",
        "  category: STUDENTS\n",
        (
            "student.yaml:18: makes the category STUDENTS, and 3 examples fail (employee.yaml:69, stude"
            "nt.yaml:61,105; the first is 'unless the sign-up was begun as a student': borrower categor"
            "y is STUDENTS, expected STUDENT)"
        ),
    ),
    (
        "an entry that needs no borrower any more",
        "private.yaml",
        "borrower: need",
        "borrower: make",
        (
            "private.yaml:111: example 'printing needs an account': effect is permit, expected deny (ok"
            "); reason is ok, expected no_library_account (private.yaml:44: permits)"
        ),
    ),
    (
        "a precedence below another",
        "student.yaml",
        "precedence: 20",
        "precedence: 5",
        (
            "student.yaml:105: example 'a student is not signed up as a private user by the university "
            "login': effect is deny, expected permit (national_eid_required); affiliation is private, e"
            "xpected student; borrower category is PRIVATE, expected STUDENT (student.yaml:11: private "
            "goes before student)"
        ),
    ),
    (
        "a value that may not leave any more",
        "student.yaml",
        "{values: ['student@*', 'member@*'], why",
        "{values: ['employee@*'], why",
        (
            "student.yaml:93: example 'electronic resources need neither number nor account':"
            " does not release eduPersonScopedAffiliation"
            " (student.yaml:58: eduPersonScopedAffiliation: value_not_allowed)"
        ),
    ),
    (
        "an attribute that is not listed any more",
        "student.yaml",
        "      displayName: {why: {en: Shown at the printer, da: Vises på printeren}}\n",
        "",
        (
            "student.yaml:84: example 'a student with an account prints': does not release displayName"
            " (student.yaml:42: displayName: not_listed)"
        ),
    ),
]


@pytest.mark.parametrize("broken", BROKEN, ids=[row[0] for row in BROKEN])
def test_a_broken_file_says_what_to_mend(tmp_path: Path, broken: tuple[str, str, str, str, str]) -> None:
    """The line that was broken, what is wrong with it in plain words, and how it is written; no flood behind it."""
    done, name, old, new, said = broken
    folder = shutil.copytree(SHIPPED, tmp_path / "policies")
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigurationFaults) as found:
        live_policies.load(folder, NOW, NAMES)
    told = [str(fault).removeprefix("policies/") for fault in found.value.faults]
    assert said in told
    assert len(told) == SEVERAL.get(done, 1)
