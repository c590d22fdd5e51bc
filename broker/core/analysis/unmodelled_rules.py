"""Rules that the class model does not know: with one of them the analysis proves nothing."""

from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Final

from broker.core.policy.model import PolicyLine, PolicySet

# What the model reads of each rule, and what decides nothing. A key that the format gains is
# unknown here, until the classes have a coordinate for it and the property test holds with it.
_MODELLED: Final = {
    "Policy": {
        *("file", "affiliation", "precedence", "label", "owner", "review_by", "match", "proofs"),
        *("require", "borrower", "releases", "examples"),
    },
    "Alternative": {"conditions"},
    "Condition": {"name", "values"},
    "ProofRule": {"name", "domains", "code_valid_for", "remembered_for"},
    "MailDomain": {"name", "until"},
    "Requirement": {"cpr", "age", "assurance", "upstream"},
    "BorrowerRule": {
        *("find_by", "category", "upgrades", "expires_after_months", "fields", "pin"),
        *("lowers", "register"),
    },
    "RegisterRule": {"address"},
    "Lowering": {"by", "categories"},
    "Field": {"name", "source", "set", "otherwise"},
    "Release": {
        *("service", "borrower", "legal_basis", "purpose", "name_id", "attributes"),
        *("notice", "subject"),
    },
    "ReleasedAttribute": {"name", "why", "values", "mask", "optional"},
}
# Texts, and where a rule stands.
_NO_RULES: Final = frozenset({"examples", "label", "purpose", "why", "place", "lines"})


def unmodelled_rules(policies: PolicySet) -> Iterator[tuple[PolicyLine, str]]:
    """Yield the line and the key of each rule that the class model has no coordinate for."""
    for policy in policies.policies:
        yield from _unmodelled(policy, PolicyLine(policy.file, 1))


def _unmodelled(rule: Any, above: PolicyLine) -> Iterator[tuple[PolicyLine, str]]:
    place = getattr(rule, "place", None) or above
    known = _MODELLED.get(_base_name(rule), set())
    for each in fields(rule):
        value = getattr(rule, each.name)
        if each.name in _NO_RULES:
            continue
        if each.name not in known and value != each.default and _given(each, value):
            yield place, each.name
        for part in value if isinstance(value, tuple) else (value,):
            if is_dataclass(part) and not isinstance(part, type):
                yield from _unmodelled(part, place)


def _given(each: Any, value: object) -> bool:
    factory = each.default_factory
    return factory is MISSING or value != factory()


def _base_name(rule: object) -> str:
    """Return the name of the rule's class, or of the one that it extends."""
    names = [each.__name__ for each in type(rule).__mro__]
    return next((name for name in names if name in _MODELLED), names[0])
