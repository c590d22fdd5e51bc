"""The shipped policies, their loader, and the last good set through bad edits, crashes and restarts."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.configuration import attribute_maps
from broker.configuration.policies import live_policies, policy_folder
from broker.configuration.policies.examples import Result, run_examples
from broker.configuration.policies.live_policies import LivePolicies
from broker.configuration.policies.site_checks import NameableInPolicies
from broker.core.entities import Controller, Service, Text
from broker.core.errors import AuditUnavailable, ConfigurationFaults, Fault
from broker.core.events.audit_events import AuditEvent
from broker.core.events.broker_events import BrokerEvent, EventKind
from broker.core.identity.cpr import looks_like_cpr
from broker.core.policy.model import PolicyLine, PolicySet
from tests.plugins.policy_names import service

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "policies"
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
MAPS = attribute_maps.load(ROOT / "attribute_maps")
SERVICES = {name: service(name) for name in ("my-loans", "myprint", "e-resources")}
NAMES = NameableInPolicies(SERVICES, MAPS.attributes)
WORDS = Text("words", "ord")
BY_MAIL = "name_id: email, name_id_why: {en: a, da: a}, legal_basis: consent, purpose: {en: a, da: b}, "

Edit = Callable[..., Path]


@pytest.fixture
def edit(folder: Path) -> Edit:
    """Give an editor of one shipped file."""

    def change(old: str, new: str, name: str = "student.yaml") -> Path:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))
        return folder

    return change


def test_the_national_eid_lowers_nobody(edit: Edit) -> None:
    """It asserts no affiliation, so each of its logins would seem to have left."""
    folder = edit("by: [wayf], categories", "by: [wayf, nemid], categories", "private.yaml")
    (fault,) = faults(folder)
    assert fault.startswith(
        "policies/private.yaml:18: lowers.by names nemid, but no policy matches an affiliation from it"
    )


def start(folder: Path, state: Path, now: datetime) -> tuple[PolicySet, tuple[Fault, ...]]:
    """Give the set that a start puts in force, and the faults of the files."""
    live = LivePolicies(folder, NameableInPolicies(), now, state=state)
    return live.current, live.file_faults


def faults(folder: Path) -> list[str]:
    """Give the faults of the policies in ``folder``."""
    with pytest.raises(ConfigurationFaults) as found:
        live_policies.load(folder, NOW, NAMES)
    return [str(each) for each in found.value.faults]


def test_the_shipped_policies_load_without_a_warning() -> None:
    """Four affiliations, the highest precedence first, with the hash of names and bytes."""
    shipped = live_policies.load(FOLDER, NOW, NAMES)
    assert [each.affiliation for each in shipped.policies] == ["hospital", "employee", "student", "private"]
    assert shipped.warnings == ()
    assert shipped.digest == policy_folder.digest({path.name: path.read_bytes() for path in FOLDER.glob("*.yaml")})


def test_every_shipped_rule_is_used_by_an_example() -> None:
    """Coverage of alternatives, entries, attributes and requirements is complete.

    Source: docs/reference/policies.md#check-5.
    """
    shipped = live_policies.load(FOLDER, NOW, NAMES)
    results = run_examples(shipped, NOW)
    assert [each.example.name for each in results if each.deviations] == []
    assert rules(shipped) - list_deciding_lines(results) == set()


def list_deciding_lines(results: Iterable[Result]) -> set[tuple[PolicyLine, str]]:
    """Give the rules that examples used, each by its line and what it is of."""
    used = set()
    for result in results:
        decision = result.decision
        used |= {(reason.place, "") for reason in (*decision.reasons, decision.alternative) if reason and reason.place}
        used |= {(listed.place, listed.name) for listed, _ in decision.released}
    return used


def rules(policies: PolicySet) -> set[tuple[PolicyLine, str]]:
    """Give all rules that an example can use."""
    every = set()
    for policy in policies.policies:
        every |= {(alternative.place, "") for alternative in policy.match}
        for release in policy.releases:
            every.add((release.place, ""))
            every |= {(listed.place, listed.name) for listed in release.attributes}
        if policy.require.place:
            every.add((policy.require.place, ""))
    return every


def make_names(*names: str, **changes: object) -> NameableInPolicies:
    """Give services as a library configures them, with these changes."""
    plain = {name: Service(name, name, WORDS, ("wayf",), Controller(WORDS), encrypts=True) for name in names}
    services = {name: replace(each, **changes) for name, each in plain.items()}  # type: ignore[arg-type]
    return NameableInPolicies(services, MAPS.attributes, MAPS.maps)


def test_an_attribute_without_a_wire_name_is_refused() -> None:
    """It could be shown to the person, and never be issued."""
    with pytest.raises(ConfigurationFaults, match="my-loans has no wire name for borrower_number"):
        live_policies.load(FOLDER, NOW, make_names(*SERVICES, attribute_map="wayf"))


def test_two_attributes_under_one_wire_name_are_refused(edit: Edit) -> None:
    """Here uid and the borrower number are one (docs/reference/design.md#5)."""
    edit("[borrower_number, displayName, mail]}", "[borrower_number, {uid: {why: {en: a b, da: b a}}}, mail]}")
    edit("displayName: Asta Ravn", "uid: asta")
    changed = edit("releases: [borrower_number, displayName, mail]", "releases: [borrower_number, uid, mail]")
    with pytest.raises(ConfigurationFaults, match="uid and borrower_number have one wire name at myprint"):
        live_policies.load(changed, NOW, make_names(*SERVICES))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "  my-loans: {make",
            "  'urn:category': {legal_basis: consent, purpose: {en: a b, da: b a}, make",
            "urn:category",
        ),
        ("sn, mail, edu", "sn, mail: {optional: maybe}, edu", "my-loans.make.mail.optional: must be true or false"),
        ("cpr, gn, sn", "cpr: '01*', gn, sn", "cpr with values (a policy never sees"),
        ("{none: [", "{name_id: email, none: [", "student.yaml:26: name_id: email without a reason"),
        ("{none: [", "{name_id_why: {en: a b, da: b a}, none: [", "name_id_why without name_id: email (remove it)"),
        (
            "email: mail}",
            "email: {from: mail, set: always}}",
            "policies/student.yaml:20: email with set: always: a login would undo what the person or the desk",
        ),
        ("email: mail}", "phone: {from: mail, set: always}}", "phone with set: always"),
        ("[student@au.dk]}", "['stud*@au.dk']}", "eduPersonScopedAffiliation: * may only end a value"),
        ("[student@au.dk]}", "[student@au.dk], cpr: x}", "match on cpr"),
        (
            "{cpr: real,",
            "{upstream: nemid, cpr: real,",
            "student.yaml:13: no alternative of match names the upstream 'nemid'",
        ),
        (
            "upgrades: [TEMP, PRIVATE]",
            "lowers: {by: wayf, categories: [STUDENT, EMPLOYEE]}",
            "policies/student.yaml:15: lowers STUDENT, which it also makes or upgrades (name it once)",
        ),
        (
            "upgrades: [TEMP, PRIVATE]",
            "lowers: {by: wyaf, categories: [EMPLOYEE]}",
            "policies/student.yaml:15: lowers.by names wyaf, but no policy matches an affiliation from it",
        ),
        ("upstream: wayf, ", "", "policies/student.yaml:10: match.1.upstream is missing"),
        (
            "upgrades: [TEMP, PRIVATE]",
            "lowers: {by: library, categories: [EMPLOYEE]}",
            "policies/student.yaml:15: lowers.by names library, but no policy matches an affiliation from it",
        ),
        ("owner:", "owner: 0101901234\n#", "policies/student.yaml:5: holds what looks like a CPR number"),
        (
            "affiliation: student, borrower: {category: STUDENT}",
            "affiliation: private",
            "takes for student, not private",
        ),
        ("category: STUDENT}, releases", "category: STUDIE}, releases", "makes the category STUDENT, not STUDIE"),
        ("reason: cpr_required", "reason: too_young", "gives the reason cpr_required, not too_young"),
        ("effect: permit, aff", "effect: deny, aff", "lets in"),
        ("releases: [borrower_number, cpr,", "releases: [", "releases borrower_number; releases cpr"),
        ("releases: []", "releases: [cpr]", "does not release cpr"),
    ],
)
def test_a_faulty_file_is_refused_with_line_and_mend(edit: Edit, old: str, new: str, fault: str) -> None:
    """Typos, contradictions, unknown names, forbidden releases and examples that fail: each where it stands."""
    found = faults(edit(old, new))
    assert any(fault in each for each in found), found
    assert all(each.startswith("policies/") for each in found)
    assert not any(looks_like_cpr(each) for each in found)


def test_a_domain_that_no_proof_covers_is_refused(edit: Edit) -> None:
    """The match would never hold, and nobody would see why."""
    found = faults(edit("ps.rm.dk], assurance", "evil.example], assurance", "hospital.yaml"))
    assert "kaldemail_domain: no proof covers evil.example" in found[0]


def test_no_category_gets_a_number(edit: Edit) -> None:
    """Neither the CPR number nor the number of the account."""
    services = edit("my-loans:\n", "'urn:category':\n", "services.yaml")
    for path in services.glob("*.yaml"):
        path.write_text(path.read_text().replace("  my-loans: {make", "  'urn:category': {make"))
    found = faults(services)
    assert any("cpr is never released to a category" in each for each in found)
    assert any("borrower_number is never released to a category" in each for each in found)


def test_no_category_gets_a_mail_address_as_name(edit: Edit) -> None:
    """A person who matches only tomorrow gives no reason today."""
    entry = f"  'urn:category': {{{BY_MAIL}none: []}}\n  e-resources: {{"
    found = faults(edit("  e-resources: {", entry))
    assert any("name_id: email is never given to a category (list the service" in each for each in found)


def test_one_mailbox_is_one_persons_where_it_names_them(edit: Edit) -> None:
    """By two proofs of a domain, each of another name, two people could have the same address as NameID."""
    again = "{domains: [auh.rm.dk]}"
    edit("proofs:\n", f"proofs:\n  workmail: {again}\n", "hospital.yaml")
    found = faults(edit("  e-resources: {", f"  e-resources: {{{BY_MAIL}"))
    told = [each for each in found if "both cover auh.rm.dk, and two people could have one name_id: email" in each]
    assert len(told) == 1


def test_a_mail_address_as_name_is_tried_by_examples(edit: Edit) -> None:
    """With an address that is shown to be the person's, and without one."""
    edit("  e-resources: {", f"  e-resources: {{{BY_MAIL}")
    student = "upstream: wayf, schacHomeOrganization: au.dk, eduPersonScopedAffiliation: [student@au.dk]"
    tried = f"""examples:
  - name: by mail
    login: {{{student}, verified_address: asta@au.dk}}
    service: e-resources
    expect: {{effect: permit, releases: [name_id, schacHomeOrganization, eduPersonScopedAffiliation]}}
  - name: without
    login: {{{student}, mail: asta@au.dk}}
    service: e-resources
    expect: {{effect: deny, reason: no_verified_address}}
"""
    folder = edit("examples:\n", tried)
    before = [each for each in faults(folder) if "'by mail'" in each or "'without'" in each]
    assert before == []


def test_an_overdue_review_is_only_a_warning() -> None:
    """The day of review is for people."""
    late = live_policies.load(FOLDER, datetime(2027, 7, 1, tzinfo=UTC), NAMES)
    assert len(late.warnings) == 4
    assert "was to be reviewed by 2027-06-30" in late.warnings[0].what


def test_a_good_edit_is_taken_and_a_bad_one_changes_nothing(folder: Path, edit: Edit) -> None:
    """A bad edit is reported once and leaves the set in force; only ``refresh`` loads files."""
    told: list[BrokerEvent | AuditEvent] = []
    live = LivePolicies(folder, NameableInPolicies(), NOW, tell=told.append)
    first = live.current
    edit("precedence: 20", "precedence: high")
    assert live.current is first
    assert live.file_faults == ()
    assert live.refresh(NOW + timedelta(seconds=2)) is first
    assert len(live.file_faults) == 1
    live.refresh(NOW + timedelta(seconds=4))
    edit("precedence: high", "precedence: 25")
    second = live.refresh(NOW + timedelta(seconds=6))
    assert second.policies[2].precedence == 25
    assert (second.digest == first.digest, live.file_faults) == (False, ())
    kinds = [EventKind.POLICIES_STALE, EventKind.POLICIES_RECOVERED, EventKind.POLICIES_CHANGED]
    assert [event.kind for event in told] == kinds
    assert live.refresh(NOW + timedelta(seconds=8)) is second


def test_a_set_that_cannot_be_recorded_does_not_decide(folder: Path, edit: Edit, tmp_path: Path) -> None:
    """The set before it decides, also after a restart; the next refresh tries again."""
    told: list[tuple[str | None, str | None]] = []
    down = False

    def tell(event: BrokerEvent | AuditEvent) -> None:
        if isinstance(event, AuditEvent):
            if down:
                raise AuditUnavailable("the disk is full")
            told.append((event.base, event.digest))

    def start() -> LivePolicies:
        return LivePolicies(folder, NameableInPolicies(), NOW, state=tmp_path / "state", tell=tell)

    live = start()
    first = live.current.digest
    edit("precedence: 20", "precedence: 21")
    down = True
    with pytest.raises(AuditUnavailable):
        live.refresh(NOW)
    assert live.current.digest == first
    with pytest.raises(AuditUnavailable):
        start()
    down = False
    second = live.refresh(NOW).digest
    assert told == [(None, first[:12]), (first[:12], second[:12])]


def test_a_start_without_valid_files_takes_the_last_good_ones(folder: Path, edit: Edit, tmp_path: Path) -> None:
    """The start reports the faults; it uses the files again when they are fixed."""
    state = tmp_path / "state"
    good, _ = start(folder, state, NOW)
    edit("precedence: 20", "precedence: high")
    kept, why = start(folder, state, NOW)
    assert kept.digest == good.digest
    assert len(why) == 1
    live = LivePolicies(folder, NameableInPolicies(), NOW, state=state)
    assert (live.current.digest, len(live.file_faults)) == (good.digest, 1)
    edit("precedence: high", "precedence: 21")
    assert live.refresh(NOW + timedelta(seconds=2)).policies[2].precedence == 21
    assert start(tmp_path / "nowhere", state, NOW)[0].policies[2].precedence == 21


def test_a_day_that_passes_ends_no_login(folder: Path, edit: Edit, tmp_path: Path) -> None:
    """A domain's last day makes an example of it fail: an edit would be refused, a restart keeps the set."""
    state, day = tmp_path / "state", datetime(2026, 12, 31, 12, tzinfo=UTC)
    domains = "domains: [auh.rm.dk, aarhus.rm.dk, skejby.rm.dk, "
    edit(f"{domains}ps.rm.dk]", f"{domains}{{name: ps.rm.dk, until: 2026-12-31}}]", "hospital.yaml")
    good, _ = start(folder, state, day)
    kept, why = start(folder, state, day + timedelta(days=1))
    assert kept.digest == good.digest
    assert any("example" in each.what for each in why)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("student@", "member@"),
        lambda text: text.replace('"student.yaml"', '"students.yaml"'),
        lambda text: json.dumps(json.loads(text) | {"digest": "0" * 64}),
        lambda text: json.dumps(json.loads(text)["files"]),
        lambda text: json.dumps(json.loads(text) | {"files": {"student.yaml": 1}}),
        lambda text: json.dumps(list(json.loads(text))),
        lambda text: text[:-9],
        lambda text: f"\x00{text}",
        lambda text: text[:0],
    ],
)
def test_a_snapshot_that_is_not_what_its_digest_says_is_not_used(
    folder: Path, tmp_path: Path, spoil: Callable[[str], str]
) -> None:
    """A damaged copy widens no policy: the start fails with the faults of the files."""
    state = tmp_path / "state"
    start(folder, state, NOW)
    kept = state / "last-good"
    kept.write_text(spoil(kept.read_text()))
    with pytest.raises(ConfigurationFaults, match="holds no policy file"):
        start(tmp_path / "nowhere", state, NOW)
