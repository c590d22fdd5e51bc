"""Write a persona as options of ``broker policy try``."""

import shlex
from collections.abc import Iterable, Iterator
from itertools import chain

from broker.core.entities import Assurance
from broker.core.identity.attribute_values import AFFILIATIONS, SCOPED_AFFILIATION
from broker.core.login.given_facts import UNNAMED_CATEGORY, GivenFacts
from broker.core.login.site import CATEGORY
from broker.core.policy.matching import value_allowed
from broker.core.policy.model import Condition, PolicySet


def write_options(
    facts: GivenFacts, sets: tuple[PolicySet, ...], conditions: tuple[Condition, ...] = ()
) -> str:
    """Return the deciding facts: ``--upstream wayf --as student@au.dk --cpr real --age 22``.

    Of the attributes, only affiliations and values that the sets or ``conditions`` name are
    written.
    """
    looking = chain(conditions, *(each.conditions for each in sets))
    options = [("--upstream", facts.upstream)]
    options += map(_write_value, dict.fromkeys(_find_named_values(facts, looking)))
    account = facts.attributes.get(CATEGORY, (None,))[0]
    account = facts.borrower.category if facts.borrower else account
    more = {
        "--assurance": _level(facts.assurance),
        "--cpr": facts.cpr,
        "--age": facts.age,
        "--intent": facts.intent,
        "--borrower": "other" if account == UNNAMED_CATEGORY else account,
    }
    options += [(name, str(value)) for name, value in more.items() if value is not None]
    options += [("--proof", f"{name}={address}") for name, address in facts.proved.items()]
    return shlex.join(chain.from_iterable(options))


def _write_value(named: tuple[str, str]) -> tuple[str, str]:
    name, value = named
    if name == SCOPED_AFFILIATION and "@" in value:
        return "--as", value
    return "--attribute", f"{name}={value}"


def _find_named_values(
    facts: GivenFacts, conditions: Iterable[Condition]
) -> Iterator[tuple[str, str]]:
    """Yield the values that conditions name, then all affiliations."""
    for each in conditions:
        if each.name != CATEGORY:  # it has its own option
            values = facts.attributes.get(each.name, ())
            yield from ((each.name, of) for of in values if value_allowed(of, each.values))
    for name in AFFILIATIONS:
        yield from ((name, value) for value in facts.attributes.get(name, ()))


def _level(assurance: Assurance | None) -> str | None:
    return None if assurance is None else assurance.name.lower()
