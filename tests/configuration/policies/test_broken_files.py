"""Files with one mistake each, of the kind that people make, and the message of each."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.configuration.policies.live_policies import LivePolicies
from tests.plugins.policy_names import NAMES

SHIPPED = Path(__file__).resolve().parents[3] / "policies"
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
# Mistakes that cause more than one fault, and how many.
SEVERAL = {"no-break spaces for an indent": 3}

# The mistake, the file, the text before and after it, and the message.
BROKEN = [
    (
        "a word in place of a text's two languages",
        "student.yaml",
        "label: {en: Student at Aarhus University, da: Studerende på Aarhus Universitet}",
        "label: Student",
        "student.yaml:4: label: must be a mapping (write {en: ..., da: ...})",
    ),
    (
        "a last day in a line of match",
        "hospital.yaml",
        "kaldemail_domain: [auh.rm.dk, aarhus.rm.dk, skejby.rm.dk, ps.rm.dk]",
        "kaldemail_domain: [auh.rm.dk, {name: ps.rm.dk, until: 2027-12-31}]",
        "hospital.yaml:11: match.1.kaldemail_domain.2: must be a text (put it between quotes)",
    ),
    (
        "a colon in a text",
        "student.yaml",
        "owner: identity@library.example",
        "owner: team: identity@library.example",
        ("student.yaml:5: is not YAML: a colon where none may stand (put the text between quotes, as in 'this: one')"),
    ),
    (
        "a value that begins with @",
        "student.yaml",
        "owner: identity@",
        "owner: @identity",
        ("student.yaml:5: is not YAML: a value that begins with a character of YAML's own (put it between quotes)"),
    ),
    (
        "a value that begins with *",
        "student.yaml",
        "eduPersonScopedAffiliation: student@*",
        "eduPersonScopedAffiliation: *@au.dk",
        "student.yaml:24: is not YAML: a value that begins with * or & (put it between quotes)",
    ),
    (
        "a value that begins with |",
        "student.yaml",
        "owner: identity@library.example",
        "owner: | identity",
        "student.yaml:5: is not YAML: a text that begins with | or > (put it between quotes)",
    ),
    (
        "a single quote that is not ended",
        "student.yaml",
        "owner: identity@library.example",
        "owner: 'identity@library.example",
        (
            "student.yaml:5: is not YAML: a quote that does not end in its line (end it in the same l"
            "ine; in a text between '...' a single ' is written '')"
        ),
    ),
    (
        "a backslash in double quotes",
        "student.yaml",
        "owner: identity@library.example",
        'owner: "identity\\@library.example"',
        "student.yaml:5: is not YAML: a \\ between double quotes (use single quotes)",
    ),
    (
        "typographic quotes",
        "student.yaml",
        "service: my-loans",
        "service: \u201cmy-loans\u201d",
        (
            "student.yaml:31: has a value that begins with a typographic quote (write \" or ' in place"
            " of \u201c, or put the whole between them)"
        ),
    ),
    (
        "a bracket that is not closed",
        "student.yaml",
        "upgrades: [TEMP, PRIVATE]",
        "upgrades: [TEMP, PRIVATE",
        (
            "student.yaml:17: is not YAML: a comma or the closing ] is missing (close what [ opens, a"
            "nd put the text between quotes, as in 'this: one')"
        ),
    ),
    (
        "a brace too many",
        "student.yaml",
        "require: {cpr: real, assurance: low}",
        "require: {cpr: real, assurance: low}}",
        "student.yaml:13: is not YAML: a } that closes nothing (remove it, or open it with {)",
    ),
    (
        "no blank after the colon",
        "student.yaml",
        "precedence: 20",
        "precedence:20",
        ("student.yaml:3: is not YAML: a line without key and value (write key: value, with a blank after the colon)"),
    ),
    (
        "no blank after the dash",
        "student.yaml",
        "  - {upstream: wayf",
        "  -{upstream: wayf",
        "student.yaml:10: is not YAML: a - without a blank after it (write a blank between the two)",
    ),
    (
        "one blank too few",
        "student.yaml",
        "  expires: 12",
        " expires: 12",
        (
            "student.yaml:19: is not YAML: a line that is not in line with the keys above (indent it "
            "by as many blanks as those, and close each quote and bracket before it)"
        ),
    ),
    (
        "a key of the file that is indented",
        "student.yaml",
        "require: {cpr",
        "  require: {cpr",
        (
            "student.yaml:13: is not YAML: a line that breaks the list above (begin it with a - in li"
            "ne with the other items, or at the left edge)"
        ),
    ),
    (
        "a key of the borrower at the left edge",
        "student.yaml",
        "  register: set",
        "register: set",
        "student.yaml:21: unknown key 'register' (register stands under borrower: mind the indent)",
    ),
    (
        "a comma in a text in braces",
        "services.yaml",
        "da: Vises på printeren",
        "da: Vises på printeren, når du har gemt",
        "services.yaml:21: unknown key 'når du har gemt' (a comma? put the text in quotes)",
    ),
    (
        "no-break spaces for an indent",
        "student.yaml",
        "  myprint:",
        "\u00a0\u00a0myprint:",
        "student.yaml:25: is not YAML: a space that is no blank (remove it, and type a blank instead)",
    ),
    (
        "a space of no width",
        "student.yaml",
        "precedence: 20",
        "\u200bprecedence: 20",
        (
            "student.yaml:3: has a word that begins or ends with U+200B, which is no blank (remove it"
            ", and type a blank instead)"
        ),
    ),
    (
        "marks of a merge",
        "student.yaml",
        "precedence: 20",
        "<<<<<<< HEAD\nprecedence: 20\n=======\nprecedence: 21\n>>>>>>> other",
        (
            "student.yaml:3: is not YAML: a mark of an unfinished merge (keep one of the two texts, a"
            "nd remove the marks)"
        ),
    ),
    (
        "a key that is missing",
        "student.yaml",
        "owner: identity@library.example\n",
        "",
        "student.yaml:2: owner is missing",
    ),
    (
        "a word for a number",
        "student.yaml",
        "precedence: 20",
        "precedence: high",
        "student.yaml:3: precedence: must be a whole number",
    ),
    (
        "a day as it is spoken",
        "student.yaml",
        "2027-06-30",
        "30.6.2027",
        "student.yaml:6: review_by: must be a day like 2027-06-30",
    ),
    (
        "a month in small letters",
        "student.yaml",
        "expires: 12 months",
        "expires: 31 august",
        "student.yaml:19: borrower.expires: must be a span like 24 months or 2 years, or a day like 31 August",
    ),
    (
        "a day of the year that does not exist",
        "student.yaml",
        "expires: 12 months",
        "expires: 31 June",
        "student.yaml:19: borrower.expires: 31 June is not in every year",
    ),
    (
        "a stated CPR number",
        "student.yaml",
        "  e-resources: {none: [",
        "  e-resources: {none: [cpr: {why: {en: Why, da: Hvorfor}, states: yes}, ",
        "student.yaml:26: cpr cannot be stated (leave states out: the value comes with the login)",
    ),
    (
        "a stated value of another form",
        "student.yaml",
        "  e-resources: {none: [",
        "  e-resources: {none: [eduPersonEntitlement: {why: {en: Why, da: Hvorfor}, states: common-lib-terms}, ",
        "student.yaml:26: eduPersonEntitlement: no such value is possible (it must match (urn:|https?://)\\S+)",
    ),
    (
        "an exception that says nothing",
        "student.yaml",
        "release:\n",
        "exceptions: {ku.dk: {}}\nrelease:\n",
        "student.yaml:23: the exception says nothing (write category, expires or require)",
    ),
    (
        "an exception for a name in capitals",
        "student.yaml",
        "release:\n",
        "exceptions: {KU: {expires: 31 July}}\nrelease:\n",
        "student.yaml:23: 'KU' is no home organisation (write the schacHomeOrganization, as via.dk)",
    ),
    (
        "yes for true",
        "student.yaml",
        "mail, eduPersonScopedAffiliation: student@*]",
        "mail: {optional: yes}]",
        "student.yaml:24: release.my-loans.make.mail.optional: must be true or false",
    ),
    (
        "a value for a list",
        "student.yaml",
        "upgrades: [TEMP, PRIVATE]",
        "upgrades: PRIVATE",
        "student.yaml:17: borrower.upgrades: must be a list (write [one, another])",
    ),
    (
        "a word that is not to choose from",
        "student.yaml",
        "email: mail",
        "email: {from: mail, set: never}",
        "student.yaml:20: borrower.fields.email.set: input should be 'create', 'if_empty' or 'always'",
    ),
    (
        "an affiliation with a capital",
        "student.yaml",
        "affiliation: student\n",
        "affiliation: Student\n",
        "student.yaml:2: affiliation: must be small letters, digits and -, and begin with a letter",
    ),
    (
        "an empty value",
        "student.yaml",
        "  category: STUDENT",
        "  category:",
        "student.yaml:16: borrower.category: must not be empty",
    ),
    (
        "an attribute misspelt",
        "student.yaml",
        "gn, sn, mail, edu",
        "gn, sn, mial, edu",
        "student.yaml:24: services.yaml has no reason for mial under my-loans (did you mean 'mail'?)",
    ),
    (
        "an attribute that there is not",
        "student.yaml",
        "[borrower_number, displayName, mail]}\n  e",
        "[borrower_number, {shoeSize: {why: {en: a b, da: c d}}}, mail]}\n  e",
        ("student.yaml:25: unknown attribute 'shoeSize' (attribute_maps/labels.yaml lists the known attributes)"),
    ),
    (
        "a proof that is not in the file",
        "student.yaml",
        "{surname: sn",
        "{surname: proof.kaldemail",
        ("student.yaml:20: unknown attribute 'proof.kaldemail' (name it under proofs in this file)"),
    ),
    (
        "a reason misspelt",
        "student.yaml",
        "reason: cpr_required",
        "reason: cpr_requierd",
        "student.yaml:33: unknown reason 'cpr_requierd' (did you mean 'cpr_required'?)",
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
        "a borrower that no entry needs",
        "student.yaml",
        "myprint: {need",
        "myprint: {none",
        ("student.yaml:25: borrower_number without a borrower (the entry says borrower: none, so there is no number)"),
    ),
    (
        "an attribute that may be declined where nobody is asked",
        "student.yaml",
        "[borrower_number, displayName, mail]}\n  e",
        "[borrower_number, displayName: {optional: true}, mail]}\n  e",
        ("student.yaml:25: displayName is optional without consent (optional attributes need legal_basis: consent)"),
    ),
    (
        "a typo that many examples cover",
        "student.yaml",
        "schacHomeOrganization: [au.dk]",
        "schacHomeOrganization: [ua.dk]",
        (
            "student.yaml:10: schacHomeOrganization ua.dk does not hold (value_not_matched), and 1"
            "2 examples fail (the first is 'unless the sign-up was begun as a student' in employee.yaml:37)"
        ),
    ),
    (
        "a precedence below another",
        "student.yaml",
        "precedence: 20",
        "precedence: 5",
        (
            "student.yaml:73: example 'a student is not signed up as a private user by the univers"
            "ity login': private goes before student; refuses for national_eid_required; takes for "
            "private, not student; makes the category PRIVATE, not STUDENT (see student.yaml:10)"
        ),
    ),
    (
        "a time for a span",
        "hospital.yaml",
        "ps.rm.dk]}\n",
        "ps.rm.dk], remembered_for: 00:30}\n",
        ("hospital.yaml:16: proofs.kaldemail.remembered_for: must be a span like 30m, 12 hours, 90 days or 12 months"),
    ),
    (
        "attributes without an access",
        "student.yaml",
        "myprint: {need: [borrower_number, displayName, mail]}",
        "myprint: [borrower_number, displayName, mail]",
        "student.yaml:25: release.myprint: must be a mapping (write key: value)",
    ),
    (
        "two accesses",
        "student.yaml",
        "myprint: {need: [",
        "myprint: {none: [], need: [",
        "student.yaml:25: release.myprint: one of make, need and none must list the attributes that leave",
    ),
    (
        "an attribute twice",
        "student.yaml",
        "[borrower_number, displayName, mail]}\n  e",
        "[borrower_number, mail, mail]}\n  e",
        "student.yaml:25: release.myprint.need: mail is listed twice",
    ),
    (
        "a key of an attribute misspelt",
        "student.yaml",
        "eduPersonScopedAffiliation: student@*]",
        "eduPersonScopedAffiliation: {value: student@*}]",
        "student.yaml:24: unknown key 'value' (did you mean 'values'?)",
    ),
    (
        "another service than is stated",
        "student.yaml",
        "  myprint: {need",
        "  booking: {need",
        "student.yaml:25: services.yaml has no service 'booking' (add it to services.yaml)",
    ),
    (
        "languages swapped",
        "services.yaml",
        "{en: Shown at the printer, da: Vises på printeren}",
        "{en: Vises på printeren, da: Shown at the printer}",
        ("services.yaml:21: myprint.attributes.displayName: en looks Danish and da does not: they may be swapped"),
    ),
    (
        "one text in both languages",
        "services.yaml",
        "{en: Shown at the printer, da: Vises på printeren}",
        "{en: Shown at the printer, da: Shown at the printer}",
        ("services.yaml:21: myprint.attributes.displayName: en and da are the same text: translate one of them"),
    ),
    (
        "eppn",
        "student.yaml",
        "[borrower_number, displayName, mail]}\n  e",
        "[borrower_number, {eppn: {why: {en: a b, da: c d}}}, mail]}\n  e",
        "student.yaml:25: unknown attribute 'eppn' (did you mean 'eduPersonPrincipalName'?)",
    ),
    (
        "a category that upgrades itself",
        "student.yaml",
        "upgrades: [TEMP, PRIVATE]",
        "upgrades: [TEMP, STUDENT]",
        "student.yaml:17: STUDENT upgrades itself (name the categories that become this one)",
    ),
    (
        "a version of the old format",
        "student.yaml",
        "affiliation: student\n",
        "version: 1\naffiliation: student\n",
        (
            "student.yaml:2: unknown key 'version' (affiliation, precedence, label, owner, review_by,"
            " match, proofs, require, borrower, exceptions, release, examples)"
        ),
    ),
]


@pytest.mark.parametrize("broken", BROKEN, ids=[row[0] for row in BROKEN])
def test_a_broken_file_says_what_to_mend(tmp_path: Path, broken: tuple[str, str, str, str, str]) -> None:
    """The message names the line, the mistake and the fix, and no follow-up faults."""
    done, name, old, new, said = broken
    folder = Path(shutil.copytree(SHIPPED, tmp_path / "policies"))
    text = (folder / name).read_text()
    assert old in text
    told = find_messages(folder, name, text.replace(old, new, 1).encode())
    assert said in told
    assert len(told) == SEVERAL.get(done, 1)


def find_messages(folder: Path, name: str, octets: bytes) -> list[str]:
    """Break a file of a loaded folder and return the messages; the set in force must stay."""
    live = LivePolicies(folder, NAMES, NOW)
    before = live.current
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(octets)
    live.refresh(NOW + timedelta(seconds=2))
    assert live.current is before
    return [str(fault).removeprefix("policies/") for fault in live.file_faults]


STUDENT = (SHIPPED / "student.yaml").read_text()
# The mistake, the file, its octets, and the message.
OTHERWISE = [
    ("an empty file", "student.yaml", b"", "student.yaml:1: is empty"),
    ("an empty services.yaml", "services.yaml", b"# later\n", "services.yaml:1: is empty"),
    ("Latin-1", "student.yaml", STUDENT.encode("latin-1"), "student.yaml:4: is not UTF-8 (save the file as UTF-8)"),
    ("UTF-16", "student.yaml", STUDENT.encode("utf-16"), "student.yaml:1: is not UTF-8 (save the file as UTF-8)"),
    (
        "a sub-folder",
        "more/student.yaml",
        STUDENT.encode(),
        "more: is a folder with policy files, and is not read (move its files up into this folder)",
    ),
    (
        "a copy",
        "student (1).yaml",
        STUDENT.encode(),
        "student (1).yaml: is by its name a copy of a policy file (remove it, or move it out of the folder)",
    ),
]


@pytest.mark.parametrize(("done", "name", "octets", "said"), OTHERWISE, ids=[row[0] for row in OTHERWISE])
def test_a_file_that_cannot_be_read_says_what_to_mend(
    tmp_path: Path, done: str, name: str, octets: bytes, said: str
) -> None:
    """One message, also where the whole file is the mistake."""
    folder = Path(shutil.copytree(SHIPPED, tmp_path / "policies"))
    told = find_messages(folder, name, octets)
    assert said in told, done
