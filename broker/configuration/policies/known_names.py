"""Check that the names in policy files and site rules are known.

A name near a known one is a typo, and a fault. A service or upstream that nobody has configured yet
is a warning: nobody can use what it stands for until somebody configures it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from broker.configuration.checked_files import did_you_mean
from broker.configuration.policies.file_checks import UPSTREAM, PolicyProblem, is_category
from broker.core.identity.canonical_attributes import BORROWER_NUMBER
from broker.core.policy.model import (
    NO_ATTRIBUTES,
    BorrowerRule,
    Example,
    Policy,
    PolicyLine,
    Release,
)

# The kinds of names that may be configured later, and how to fix one ("": no warning).
_OPEN: Final[Mapping[str, str]] = {
    "service": "add it to broker.toml, or remove the entry",
    "upstream": "add it to broker.toml, or remove it here",
    "intent": "",  # a link may bring any other intent
}
# The usual names of attributes, in small letters, and our names.
_USUAL_NAMES: Final = {
    "name": "displayName",
    "fullname": "displayName",
    "firstname": "gn",
    "givenname": "gn",
    "lastname": "sn",
    "surname": "sn",
    "email": "mail",
    "phone": "mobile",
    "number": BORROWER_NUMBER,
    "eppn": "eduPersonPrincipalName",
    "affiliation": "eduPersonScopedAffiliation",
    "entitlement": "eduPersonEntitlement",
}

KnownNames = Mapping[str, Collection[str] | None]  # by kind; None: any name will do
# A name in a file, after its kind: a service, an upstream, an attribute, ...
WrittenName = tuple[str, str, PolicyLine]
Problems = list[PolicyProblem]


def find_unknown_names(
    written: Iterable[WrittenName], known: KnownNames
) -> tuple[Problems, Problems]:
    """Return the faults and the warnings of unknown names, each at its first line in a file."""
    faults: Problems = []
    warnings: Problems = []
    seen = set()
    for kind, name, place in written:
        names = known.get(kind)
        key = (kind, name, place.file)
        if names is None or name in names or key in seen:
            continue
        seen.add(key)
        usual = _USUAL_NAMES.get(name.casefold().replace("_", ""), "")
        fix = f"did you mean {usual!r}?" if usual in names else did_you_mean(name, names)
        if fix or kind not in _OPEN:
            faults.append((place, f"unknown {kind} {name!r}", fix or _suggest(kind, name, names)))
        elif _OPEN[kind]:
            warnings.append((place, f"no {kind} {name!r} is configured", _OPEN[kind]))
    return faults, warnings


def _suggest(kind: str, name: str, names: Collection[str]) -> str:
    if name.startswith("proof."):
        return "name it under proofs in this file"
    if kind == "attribute":
        return "attribute_maps/labels.yaml lists the known attributes"
    return f"known are {', '.join(sorted(names))}"


def list_policy_names(policy: Policy) -> Iterator[WrittenName]:
    """Yield the names in a policy file."""
    for release in policy.releases:
        yield from _list_release(release)
    for condition in policy.conditions:
        if condition.name == UPSTREAM:
            yield from names_at_line(UPSTREAM, condition.values, condition.place)
        elif condition.name not in NO_ATTRIBUTES:
            yield "attribute", condition.name, condition.place
    for variant in policy.variants:
        require = variant.require
        yield from names_at_line(UPSTREAM, require.upstream, require.line_of("upstream"))
        if variant.borrower:
            yield from _list_borrower(variant.borrower)
    for example in policy.examples:
        yield from _list_example(example)


def names_at_line(
    kind: str, names: Iterable[str | None], place: PolicyLine
) -> Iterator[WrittenName]:
    """Yield the names of one kind at one line."""
    return ((kind, name, place) for name in names if name is not None)


def _list_release(release: Release) -> Iterator[WrittenName]:
    if not is_category(release):
        yield "service", release.service, release.place
    for listed in release.attributes:
        yield "attribute", listed.name, listed.place


def _list_borrower(rule: BorrowerRule) -> Iterator[WrittenName]:
    for field in rule.fields:
        yield "field", field.name, field.place
        yield from names_at_line("attribute", field.sources, field.place)
    if rule.lowers:
        yield from names_at_line(UPSTREAM, rule.lowers.by, rule.line_of("lowers"))


def _list_example(example: Example) -> Iterator[WrittenName]:
    login, expect, place = example.login, example.expect, example.place
    yield from names_at_line(UPSTREAM, (login.upstream,), place)
    yield from names_at_line("intent", (login.intent,), place)
    yield from names_at_line("reason", (expect.reason,), place)
    yield from names_at_line("attribute", (*login.attributes, *(expect.releases or ())), place)
