"""Who is asked again after an edit, as the rules of consent have it: nobody for less, everybody for more."""

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.core.analysis.compared_logins import Analysis, Site
from broker.core.analysis.set_differences import difference
from broker.core.consent.consent import REMEMBERED_FOR, Question, question, receipt
from broker.core.login.described_login import IdealTerms
from broker.core.login.ideal_login import play
from broker.core.login.played_login import PlayedLogin
from broker.core.login.steps import Ask
from broker.core.policy.model import PolicySet
from broker.files.policies import live_policies
from tests.plugins.drawn import drawn
from tests.plugins.random_policies import LOCAL, NOW, POLICY_SETS, SERVICES, SOURCES, random_logins

WAYF: Final = SOURCES[0]
LOANS: Final = SERVICES[0]
YES: Final = True
STUDENT: Final = """\
version: 1
affiliation: student
precedence: 20
label: {en: Student, da: Studerende}
owner: identity@library.example
review_by: 2027-06-30
match:
  - {upstream: wayf, eduPersonScopedAffiliation: student@au.dk}
release:
  - service: my-loans
    borrower: none
    legal_basis: consent
    purpose: {en: To lend you books, da: At låne dig bøger}
    notice: ours
    name_id: transient
    attributes:
      mail: {why: {en: x, da: x}, values: ['a@*']}
      sn: {why: {en: x, da: x}, optional: true}
      eduPersonScopedAffiliation: {why: {en: x, da: x}, values: ['student@*']}
examples:
  - {name: x, login: {upstream: nowhere}, service: my-loans, expect: {effect: deny}}
"""
ROLES: Final = "eduPersonScopedAffiliation"
GN: Final = "      gn: {why: {en: x, da: x}}\n"
TELLING: Final = (("legal_basis: consent", "legal_basis: contract"), (", optional: true", ""))
UPSTREAMS: Final = (*TELLING, ("notice: ours", "notice: upstream"))
LASTING: Final = (*UPSTREAMS, ("transient", "persistent"))
MORE: Final = ("examples:", GN + "examples:")
BORROWER: Final = (
    "release:\n  - service: my-loans\n    borrower: none",
    """\
borrower:
  find_by: [cpr]
  category: PRIVATE
  expires_after: 6 months
  fields: {}
  pin: none
release:
  - service: my-loans
    borrower: need""",
)
LOOKED_UP: Final = ("pin: none", "register: {address: always}\n  pin: none")
# What is changed in the file before and after, and who is asked again.
EDITS: Final = {
    "nothing": ([], [("precedence: 20", "precedence: 21")], []),
    "less": ([], [("      mail", "      # mail")], []),
    "fewer values": ([], [("['student@*']", "['student@au.dk']")], []),
    "left out if one likes": ([], [(", values: ['a", ", optional: true, values: ['a")], []),
    "more": ([], [MORE], ["my-loans True + gn student.yaml:20"]),
    "other roles": ([], [("['student@*']", "['student@*', 'member@*']")], [f"my-loans True + {ROLES} student.yaml:19"]),
    "other values of what is not watched": ([], [("['a@*']", "['a@*', 'b@*']")], []),
    "no box": ([], [(", optional: true", "")], ["my-loans True + sn student.yaml:18"]),
    "another purpose": ([], [("To lend", "To count")], ["my-loans True purpose student.yaml:13"]),
    "another basis": ([], TELLING, ["my-loans True legal basis student.yaml:12", "my-loans True + sn student.yaml:18"]),
    "a NameID that lasts": ([], [("transient", "persistent")], ["my-loans True name_id student.yaml:15"]),
    "none that lasts": ([("transient", "persistent")], [], []),
    "told of more": (TELLING, [*TELLING, MORE], ["my-loans False + gn student.yaml:20"]),
    "told by the upstream": (TELLING, [*UPSTREAMS, MORE], []),
    "told by us for a NameID that lasts": (LASTING, [*LASTING, MORE], ["my-loans False + gn student.yaml:20"]),
    "looked up": ([BORROWER], [BORROWER, LOOKED_UP], ["my-loans True register student.yaml:14"]),
    "looked up for less": ([BORROWER, LOOKED_UP], [BORROWER, ("pin: none", "pin: none\n  register: {}")], []),
    "looked up no more": ([BORROWER, LOOKED_UP], [BORROWER], []),
    "not told before": (UPSTREAMS, TELLING, []),
}  # fmt: skip


def policies(folder: Path, edits: list[tuple[str, str]]) -> PolicySet:
    """Load the file with these edits."""
    text = STUDENT
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    folder.mkdir()
    (folder / "student.yaml").write_text(text, encoding="utf-8")
    return live_policies.load(folder, NOW)


@pytest.mark.parametrize("name", EDITS)
def test_who_is_asked_again_after_an_edit(tmp_path: Path, name: str) -> None:
    """Whoever agreed, or was told, to less than is asked for now; with the line that asks for it."""
    before, after, expected = EDITS[name]
    sets = (policies(tmp_path / "before", [*before]), policies(tmp_path / "after", [*after]))
    found = difference(Analysis(sets, Site((WAYF,), (LOANS,)), NOW))
    told = [f"{each.service} {each.agreed} {each.reason} {each.place}" for each in found.asked_again]
    assert told == expected


def asked(played: PlayedLogin) -> Question | None:
    """Give the question of a login, if there was one."""
    return next((step.question for step in played.steps if isinstance(step, Ask)), None)


def check(before: PolicySet, after: PolicySet, seed: int, many: int) -> None:
    """Let random people agree to everything, for good, and come again after the edit."""
    again = {each.service for each in difference(Analysis((before, after), Site(SOURCES, SERVICES), NOW)).asked_again}
    draw = Random(seed)
    for login in random_logins(draw, many):
        service = draw.choice(SERVICES)
        terms = IdealTerms(giver=login.source.giver, local=LOCAL)
        first, now = (asked(play(login.described, service, each, NOW, terms)) for each in (before, after))
        if first is None or now is None:
            continue
        boxes = tuple(item.name for item in first.disclosure.items if item.optional)
        made = receipt(
            "r", first, YES, remembered_for=REMEMBERED_FOR, chosen=boxes, person="p", language="en",
            hmacs=terms.hmacs, now=NOW
        )  # fmt: skip
        if question(now.disclosure, [made], None, terms.hmacs, NOW):
            assert service.name in again


def edited(before: PolicySet, other: PolicySet, at: int) -> PolicySet:
    """Give the set with one policy written anew, under its old name and precedence."""
    at %= len(before.policies)
    old, new = before.policies[at], other.policies[0]
    written = replace(new, file=old.file, affiliation=old.affiliation, precedence=old.precedence)
    return PolicySet((*before.policies[:at], written, *before.policies[at + 1 :]), "after")


EDITED: Final = st.tuples(POLICY_SETS, POLICY_SETS, st.integers(0, 3)).map(lambda each: (each[0], edited(*each)))
UNTOLD: Final = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=drawn(4), suppress_health_check=UNTOLD)
@given(EDITED, st.integers(0, 2**32))
def test_nobody_is_asked_again_of_whom_it_is_not_said(edit: tuple[PolicySet, PolicySet], seed: int) -> None:
    """Of any edit of any set, and anybody's remembered yes to all that the set before asked."""
    check(*edit, seed, 40)


@pytest.mark.slow
@settings(max_examples=15, suppress_health_check=UNTOLD)
@given(EDITED, st.integers(0, 2**32))
def test_of_many_nobody_is_asked_again_of_whom_it_is_not_said(edit: tuple[PolicySet, PolicySet], seed: int) -> None:
    """Nor of some thousands."""
    check(*edit, seed, 300)
