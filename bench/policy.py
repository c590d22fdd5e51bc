"""Measures one policy decision with the four shipped files and with a thousand: microseconds, and their ratio.

    .venv/bin/python bench/policy.py [--files 1000] [--rounds 20000]

The files beyond the shipped ones are copies in turn for another institution, for a department of the same university,
and for one named by the front of its scope; half of them stand above the shipped ones.
"""

import argparse
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from broker.core.entities import Assurance, Controller, Service, Text
from broker.core.identity.canonical_attributes import Attributes
from broker.core.policy.decision import evaluate
from broker.core.policy.model import Alternative, Condition, LoginFacts, Policy, PolicySet
from broker.demo.people.personas import persona
from broker.files.policies.live_policies import load

_SHIPPED: Final = Path(__file__).resolve().parent.parent / "policies"
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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=20_000)
    arguments = parser.parse_args()
    few = load(_SHIPPED, datetime.now(UTC))
    full = many(few, arguments.files)
    library = Controller(Text("The library", "Biblioteket"))
    service = Service(
        "my-loans", "https://my-loans.example", Text("My loans", "Mine lån"), ("wayf",), library, encrypts=True
    )
    print(f"{'':10} {len(few.policies):>6} files {len(full.policies):>8} files    ratio")
    for name, login in logins().items():
        decided = evaluate(few, login, service, datetime.now(UTC))
        assert decided.affiliation == evaluate(full, login, service, datetime.now(UTC)).affiliation
        assert (decided.effect == "permit") is (name != "stranger")
        small = microseconds(few, login, service, arguments.rounds)
        large = microseconds(full, login, service, arguments.rounds)
        print(f"{name:10} {small:9.1f} µs {large:11.1f} µs {large / small:8.2f}")


if __name__ == "__main__":
    main()
