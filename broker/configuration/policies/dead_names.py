"""Names that are well formed and lead nowhere: scopes, proof domains and borrower categories."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from typing import Final

from broker.configuration.checked_files import did_you_mean
from broker.configuration.policies.configured_names import NameableInPolicies
from broker.configuration.policies.upstream_checks import UPSTREAM, PolicyProblem
from broker.core.entities import Upstream
from broker.core.identity.attribute_values import is_in_scope
from broker.core.identity.canonical_attributes import AttributeMap
from broker.core.policy.matching import PROOF_DOMAIN, value_allowed
from broker.core.policy.model import Alternative, BorrowerRule, Condition, Policy, PolicyLine

_SCOPES: Final = "scopes"
_CATEGORY: Final = "borrower_category"
_NO_ATTRIBUTE: Final = frozenset({UPSTREAM, "assurance"})


def foreign_scopes(
    policies: Iterable[Policy], names: NameableInPolicies
) -> Iterator[PolicyProblem]:
    """Find values to match whose scope no configured institution may assert: they match nobody."""
    if not isinstance(names.upstreams, Mapping):
        return
    for policy in policies:
        for alternative in policy.match:
            upstreams = _upstreams(alternative, names.upstreams)
            if _unwritten(upstreams):
                continue  # their scopes come with the feed
            for condition in alternative.conditions:
                for value in _foreign(condition, upstreams, names.maps or {}):
                    scope = value.rpartition("@")[2]
                    what = f"{condition.name}: no institution may assert {scope}"
                    yield condition.place, what, _scopes_of(upstreams, scope)


def _upstreams(alternative: Alternative, known: Mapping[str, Upstream]) -> list[Upstream]:
    named = [c.values for c in alternative.conditions if c.name == UPSTREAM]
    return [known[name] for values in named for name in values if name in known]


def _unwritten(upstreams: Iterable[Upstream]) -> bool:
    """Return whether the scopes of an institution are still to come, and cannot be compared."""
    for upstream in upstreams:
        for institution in upstream.institutions:
            if _SCOPES in institution.unwritten and not institution.scopes:
                return True
    return False


def _foreign(
    condition: Condition, upstreams: Collection[Upstream], maps: Mapping[str, AttributeMap]
) -> Iterator[str]:
    for value in condition.values:
        if value.endswith("*"):
            continue
        kinds = [(upstream, _scope_kind(condition.name, upstream, maps)) for upstream in upstreams]
        scoped = [(upstream, kind) for upstream, kind in kinds if kind is not None]
        if scoped and not any(is_in_scope(value, kind, _scopes(up)) for up, kind in scoped):
            yield value


def _scope_kind(name: str, upstream: Upstream, maps: Mapping[str, AttributeMap]) -> str | None:
    attribute_map = maps.get(upstream.attribute_map)
    rows = attribute_map.rows if attribute_map else ()
    return next((row.properties.scope for row in rows if row.name == name), None)


def _scopes(upstream: Upstream) -> set[str]:
    return {scope for institution in upstream.institutions for scope in institution.scopes}


def _scopes_of(upstreams: Iterable[Upstream], scope: str) -> str:
    known = {scope for upstream in upstreams for scope in _scopes(upstream)}
    added = "add it to an institution in broker.toml, or remove it"
    meant = did_you_mean(scope, known)
    return f"{meant} else {added}" if meant else added


def unscoped_demands(
    policies: Iterable[Policy], names: NameableInPolicies
) -> Iterator[PolicyProblem]:
    """Find alternatives that every institution of an upstream can let its people match.

    Values with a scope say whose they are; one without, as an entitlement, any of several
    institutions may assert, of whomever it likes.
    """
    if not isinstance(names.upstreams, Mapping):
        return
    for alternative in chain.from_iterable(policy.match for policy in policies):
        looked_at = [each for each in alternative.conditions if each.name not in _NO_ATTRIBUTE]
        upstreams = _upstreams(alternative, names.upstreams)
        loose = next(_of_several(looked_at, upstreams, names.maps or {}), None)
        if looked_at and loose:
            said = looked_at[0]
            what = f"{said.name} has no scope: any institution of {loose.name} may assert it"
            yield said.place, what, "write schacHomeOrganization beside it"


def _of_several(
    looked_at: Iterable[Condition], upstreams: Iterable[Upstream], maps: Mapping[str, AttributeMap]
) -> Iterator[Upstream]:
    """Yield the upstreams of several institutions of which no condition says which one it is."""
    for upstream in upstreams:
        if len(upstream.institutions) > 1 and not _bound(looked_at, upstream, maps):
            yield upstream


def _bound(
    looked_at: Iterable[Condition], upstream: Upstream, maps: Mapping[str, AttributeMap]
) -> bool:
    """Return whether a condition says whose people they are, or what they prove here.

    A value that ends with ``*`` has no scope: any institution may assert what it fits.
    """
    return any(
        condition.name.endswith(PROOF_DOMAIN)
        or (_scope_kind(condition.name, upstream, maps) is not None and _is_whole(condition))
        for condition in looked_at
    )


def _is_whole(condition: Condition) -> bool:
    return not any(value.endswith("*") for value in condition.values)


def unused_proof_domains(policies: Iterable[Policy]) -> Iterator[PolicyProblem]:
    """Find mail domains that can be proved and that no alternative of the file asks for."""
    for policy in policies:
        for proof in policy.proofs:
            name = f"{proof.name}{PROOF_DOMAIN}"
            matched = set(_matched(policy, name))
            for domain in proof.domains:
                if domain.name not in matched:
                    what = f"{domain.name} proves nothing: no alternative matches on {name}"
                    fix = "name it under match, or remove it here"
                    yield proof.place or PolicyLine(policy.file, 1), what, fix


def _matched(policy: Policy, name: str) -> Iterator[str]:
    for alternative in policy.match:
        for condition in alternative.conditions:
            if condition.name == name:
                yield from condition.values


def unmade_categories(
    policies: Collection[Policy], desk_categories: Collection[str]
) -> Iterator[PolicyProblem]:
    """Find categories to change that no file makes, and that staff are not said to make."""
    rules = list(_rules(policies))
    known = {*(rule.category for rule in rules), *desk_categories}
    for rule in rules:
        for category, place in _changed(rule):
            if category not in known:
                fix = did_you_mean(category, known) or "name it in library.desk_categories"
                yield place, f"no file makes the borrower category {category!r}", fix


def _rules(policies: Iterable[Policy]) -> Iterator[BorrowerRule]:
    """Yield the borrower rules of all files and exceptions."""
    for policy in chain.from_iterable(each.variants for each in policies):
        if policy.borrower:
            yield policy.borrower


def unreached_categories(
    policies: Collection[Policy], names: NameableInPolicies
) -> Iterator[PolicyProblem]:
    """Find categories that a file makes, and whose holders fit no file by the library account.

    They have an account of ours, and number and PIN would let them in nowhere.
    """
    ways = sorted(upstream.name for upstream in names.upstream_values if upstream.local)
    for rule in _rules(policies):
        for way in ways:
            if not any(_is_reached(rule.category, way, each) for each in policies):
                what = f"makes the category {rule.category}, and who logs in by {way} with such"
                line = f"{{upstream: {way}, borrower_category: [{rule.category}]}}"
                place = rule.line_of("category")
                yield place, f"{what} an account fits no file", f"add - {line} under match"


def _is_reached(category: str, way: str, policy: Policy) -> bool:
    """Return whether an alternative takes the people of a category who come by ``way``."""
    for alternative in policy.match:
        named = {each.name: each.values for each in alternative.conditions}
        comes = way in named.get(UPSTREAM, (way,))
        if comes and value_allowed(category, named.get(_CATEGORY, (category,))):
            return True
    return False


def _changed(rule: BorrowerRule) -> Iterator[tuple[str, PolicyLine]]:
    lowered = rule.lowers.categories if rule.lowers else ()
    for key, categories in (("upgrades", rule.upgrades), ("lowers", lowered)):
        yield from ((category, rule.line_of(key)) for category in categories)
