"""Measures policies: one decision with the four shipped files and with a thousand, and the loading of a thousand.

The files beyond the shipped ones are copies in turn for another institution, for a department of the same university,
and for one named by the front of its scope; half of them stand above the shipped ones.
"""

import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.figures import Figure, Row, row
from broker.configuration.policies.live_policies import load
from broker.core.entities import Assurance, Controller, Service, Text
from broker.core.identity.canonical_attributes import Attributes
from broker.core.policy.decision import evaluate
from broker.core.policy.model import Alternative, Condition, LoginFacts, Policy, PolicySet
from broker.demo.people.personas import persona

_SHIPPED: Final = Path(__file__).resolve().parent.parent / "policies"
_FILES: Final = 1_000
_FLAT: Final = 1.2
_EXPLAINED: Final = 2.0  # a refusal names the eight nearest files, and of four there are four
_ROUNDS: Final = 7_000
_REPEATS: Final = 7  # the quickest counts: the rest is what else the machine did


def _condition(condition: Condition, number: int) -> Condition:
    """Put other people into a condition: file ``number`` matches nobody who is measured."""
    if condition.name in {"upstream", "assurance"}:
        return condition
    if number % 3 == 0:
        values = [f"{value}.institution-{number}.example" for value in condition.values]
        return replace(condition, values=tuple(values))
    if condition.name == "schacHomeOrganization":
        return condition
    values = [value.replace("@", f"@department-{number}.") for value in condition.values]
    if number % 3 == 1:
        values = [value[:-3] + "*" for value in values]
    return replace(condition, values=tuple(values))


def _copy(policy: Policy, number: int) -> Policy:
    """Return the policy as another institution would have written it."""
    step = number // 2 + 1
    alternatives = tuple(
        Alternative(tuple(_condition(line, number) for line in alternative.conditions), alternative.place)
        for alternative in policy.match
    )
    return replace(
        policy,
        file=f"{policy.affiliation}-{number}.yaml",
        affiliation=f"{policy.affiliation}-{number}",
        precedence=1_000 + step if number % 2 else -step,
        match=alternatives,
    )


def many(shipped: PolicySet, files: int) -> PolicySet:
    """Return the shipped policies and copies of them, ``files`` in all.

    Only files that name an institution are copied: a second one for everybody with the national eID would be a second
    answer to the same question.
    """
    named = [policy for policy in shipped.policies if all(map(_names_people, policy.match))]
    copies = (_copy(named[number % len(named)], number) for number in range(files - len(shipped.policies)))
    return PolicySet((*shipped.policies, *copies), shipped.digest)


def _names_people(alternative: Alternative) -> bool:
    names = {condition.name for condition in alternative.conditions}
    return bool(names - {"upstream", "assurance"})


def logins() -> dict[str, LoginFacts]:
    """Return a student and an employee who are permitted, and a person whom no file knows."""
    facts = {}
    for name, scope in (("student", "au.dk"), ("employee", "au.dk"), ("stranger", "nowhere.example")):
        values = {
            "eduPersonPrincipalName": (f"anna@{scope}",),
            "gn": ("Anna",),
            "sn": ("Bro",),
            "mail": ("anna@post.example",),
            "schacHomeOrganization": (scope,),
            "eduPersonScopedAffiliation": (f"{'student' if name == 'stranger' else name}@{scope}", f"member@{scope}"),
            "cpr": (persona("asta").attributes["schacPersonalUniqueID"][0].rpartition(":")[2],),
        }
        facts[name] = LoginFacts("wayf", Attributes(values), Assurance.LOW, cpr="real", age=21)
    return facts


def microseconds(policies: PolicySet, login: LoginFacts, service: Service, rounds: int) -> float:
    """Return the CPU time of a decision, the quickest of several series."""
    now = datetime.now(UTC)
    series = []
    for _ in range(_REPEATS):
        began = time.process_time()
        for _ in range(rounds // _REPEATS):
            evaluate(policies, login, service, now)
        series.append(time.process_time() - began)
    return min(series) / (rounds // _REPEATS) * 1e6


def rows() -> Iterator[Row]:
    """Measure decisions, and the loading of files."""
    few = load(_SHIPPED, datetime.now(UTC))
    full = many(few, _FILES)
    library = Controller(Text("The library", "Biblioteket"))
    service = Service(
        "my-loans", "https://my-loans.example", Text("My loans", "Mine lån"), ("wayf",), library, encrypts=True
    )
    for name, login in logins().items():
        decided = evaluate(few, login, service, datetime.now(UTC))
        assert decided.affiliation == evaluate(full, login, service, datetime.now(UTC)).affiliation
        assert (decided.effect == "permit") is (name != "stranger")
        small = microseconds(few, login, service, _ROUNDS)
        large = microseconds(full, login, service, _ROUNDS)
        yield row(
            f"{name}: a decision",
            Figure("µs with 4 files", small, most=100),
            Figure(f"times that with {_FILES:,}", large / small, most=_FLAT if decided.policy else _EXPLAINED),
        )
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        began = time.process_time()
        loaded = load(Path(folder), datetime.now(UTC))
        spent = time.process_time() - began
    assert len(loaded.policies) == _FILES
    yield row(f"{_FILES:,} policy files loaded", Figure("s CPU", spent, most=3))


def write(folder: Path) -> None:
    """Write the shipped files and copies of that for students, each for another university, ``_FILES`` in all."""
    shipped = sorted(_SHIPPED.glob("*.yaml"))
    affiliations = len(shipped) - 1  # without services.yaml
    for path in shipped:
        (folder / path.name).write_text(path.read_text())
    text = (_SHIPPED / "student.yaml").read_text()
    for number in range(_FILES - affiliations):
        (folder / f"student-{number}.yaml").write_text(_for_another_university(text, number))


def _for_another_university(text: str, number: int) -> str:
    """Return the file of a university that is nobody's; without the examples that are about other files."""
    top, _, examples = text.partition("examples:\n")
    kept = [
        example
        for example in re.split(r"(?m)^(?=  - name: )", examples)
        if "upstream: library" not in example and "no student" not in example
    ]
    top = re.sub(r"(?m)^  - \{upstream: library.*\n", "", top)
    changed = (top + "examples:\n" + "".join(kept)).replace("au.dk", f"university-{number}.example")
    changed = changed.replace("affiliation: student", f"affiliation: student-{number}")
    return re.sub(r"(?m)^precedence: .*$", f"precedence: {1_000 + number}", changed)
