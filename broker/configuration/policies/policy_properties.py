"""Site rules: read policy_properties.yaml, and check a set of policies against the rules in it."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, model_validator

from broker.configuration.checked_files import Flag, Shape, Whole, is_whole, validate_node
from broker.configuration.editor_schemas import JsonSchema, schema_of
from broker.configuration.policies.file_checks import UPSTREAM, make_faults
from broker.configuration.policies.known_names import WrittenName, find_unknown_names, names_at_line
from broker.configuration.policies.site_checks import NameableInPolicies, add_proofs
from broker.configuration.policies.value_syntax import (
    CprKinds,
    ExpectedDecisionShape,
    Levels,
    OneLineText,
    PlacedShape,
    Values,
)
from broker.configuration.strict_yaml import YamlSequence, read_file
from broker.core.entities import Assurance
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.policy.model import Condition, PolicySet
from broker.core.policy_analysis.login_options import write_options
from broker.core.policy_analysis.sample_logins import LoginFilter
from broker.core.policy_analysis.site_rules import Breach, SiteRule, find_breaches

_RULES: Final = "Site rules: each must hold of every login there can be, or a change is refused."


def _read_age(written: object) -> object:
    """Turn the short form of ages, a single age, into the mapping."""
    if not isinstance(written, str):
        return written
    if not is_whole(written):
        raise ValueError("must be a whole number, or {under: 15}")
    return {"from": written, "under": str(int(written) + 1)}


class AgeShape(Shape):
    """Ages, in years."""

    least: Whole = Field(0, alias="from")
    under: Whole = 200

    @model_validator(mode="after")
    def _has_an_age(self) -> "AgeShape":
        if self.least >= self.under:
            raise ValueError("nobody has such an age: under must be more than from")
        return self


class WhenShape(PlacedShape, extra="allow"):
    """The logins that a rule is about; a login has one of the listed values."""

    __pydantic_extra__: dict[str, Values]
    upstream: Values = ()
    assurance: Levels = ()
    cpr: CprKinds = ()
    age: (
        Annotated[AgeShape, BeforeValidator(_read_age, json_schema_input_type=int | AgeShape)]
        | None
    ) = None
    intent: Values = ()
    borrower: Flag | None = None

    def make_filter(self) -> LoginFilter:
        """Return the filter of the logins."""
        named = self.__pydantic_extra__ or {}
        return LoginFilter(
            upstreams=self.upstream,
            levels=tuple(map(Assurance.parse, self.assurance)),
            cpr=self.cpr,
            ages=range(self.age.least, self.age.under) if self.age else None,
            intents=self.intent,
            borrower=self.borrower,
            conditions=tuple(
                Condition(name, values, self.lines[name]) for name, values in named.items()
            ),
        )


class RuleExpectShape(ExpectedDecisionShape):
    """The decision that a rule expects; a key that is not written is not checked."""

    never_releases: Annotated[tuple[OneLineText, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "RuleExpectShape":
        if not self.model_fields_set:
            raise ValueError("says nothing of what must come of it")
        return self


class SiteRuleShape(PlacedShape):
    """One rule."""

    name: OneLineText
    when: WhenShape = Field(default_factory=WhenShape)
    service: Values = ()
    excepted: Values = Field((), alias="except")
    expect: RuleExpectShape

    def rule(self) -> SiteRule:
        """Return the rule."""
        return SiteRule(
            name=self.name,
            when=self.when.make_filter(),
            expect=replace(
                self.expect.expectation(), never_releases=self.expect.never_releases or ()
            ),
            place=self.place,
            services=self.service,
            excepted=self.excepted,
        )


def rules_schema() -> JsonSchema:
    """Return the JSON Schema for editors, as policies/policy_properties.schema.json holds it."""
    schema = schema_of(SiteRuleShape, "One rule.")
    head = {"$schema": schema.pop("$schema"), "description": _RULES, "type": "array"}
    return {**head, "$defs": schema.pop("$defs"), "items": schema}


_FIX_NO_LOGIN: Final = "fix its when or its service: a rule about nobody guards nothing"
_MOST: Final = 3  # breaches shown for one rule


def load(path: Path) -> tuple[SiteRule, ...]:
    """Return the rules in ``path``, none if it does not exist; raises ConfigurationFaults."""
    try:
        names = sorted(each.name for each in path.parent.iterdir())
    except OSError:
        names = [path.name]  # reading the file names the cause
    if path.name not in names:
        misnamed = list(_find_misnamed_files(path, names))
        if misnamed:
            raise ConfigurationFaults(misnamed)
        return ()
    faults: list[Fault] = []
    rules = []
    root = read_file(path, path.name)
    if not isinstance(root, YamlSequence):
        fix = "write - name: ..., one for each rule"
        where = f"{path.name}:{root.line}"
        raise ConfigurationFaults([Fault(where, "must be a list of rules", fix)])
    for node in root:
        try:
            rules.append(validate_node(SiteRuleShape, node, path.name, path.name).rule())
        except ConfigurationFaults as found:
            faults += found.faults
    if faults:
        raise ConfigurationFaults(faults)
    return tuple(rules)


def find_broken_rules(
    policies: PolicySet, names: NameableInPolicies, now: datetime
) -> Iterator[Fault]:
    """Yield the faults of ``policies`` under the site rules, and those of the rules.

    There are none if ``names`` lacks the file of site rules, services or attribute maps.
    """
    if names.site_rules is None or names.services is None or names.maps is None:
        return
    try:
        rules = load(names.site_rules)
    except ConfigurationFaults as found:
        yield from found.faults
        return
    site = names.site.unlimited_by_metadata
    known = add_proofs(names.list_known(policies.policies), policies.policies)
    for rule in rules:
        unknown, unconfigured = find_unknown_names(_list_names(rule), known)
        yield from make_faults("", [*unknown, *unconfigured])
        if not unknown:
            yield from _report_breaches(rule, policies, find_breaches(rule, policies, site, now))


def _find_misnamed_files(path: Path, names: Iterable[str]) -> Iterator[Fault]:
    """Yield a fault for each misspelled file name: the rules in it would be ignored."""
    for name in names:
        stem, _, ending = name.casefold().rpartition(".")
        if stem == path.stem.casefold() and ending in {"yml", "yaml"}:
            yield Fault(name, "holds no site rules under this name", f"name it {path.name}")


def _list_names(rule: SiteRule) -> Iterator[WrittenName]:
    """Yield the names in a site rule."""
    when, expect = rule.when, rule.expect
    attributes = (
        *(each.name for each in when.conditions),
        *(expect.releases or ()),
        *expect.never_releases,
    )
    yield from names_at_line(UPSTREAM, when.upstreams, rule.place)
    yield from names_at_line("service", (*rule.services, *rule.excepted), rule.place)
    yield from names_at_line("affiliation", (*when.intents, expect.affiliation), rule.place)
    yield from names_at_line("reason", (expect.reason,), rule.place)
    yield from names_at_line("category", (expect.category,), rule.place)
    yield from names_at_line("attribute", attributes, rule.place)


def _report_breaches(
    rule: SiteRule, policies: PolicySet, breaches: list[Breach] | None
) -> Iterator[Fault]:
    if breaches is None:
        what = f"{rule.name!r}: no login at its services matches its conditions"
        yield Fault(str(rule.place), what, _FIX_NO_LOGIN)
    for breach in (breaches or ())[:_MOST]:
        found = breach.deviation
        line = f" ({found.place})" if found.place else ""
        what = f"{rule.name!r} does not hold: {breach.service} {found.what}{line}"
        sample = write_options(breach.login, (policies,), rule.when.conditions)
        yield Fault(str(rule.place), what, f"e.g. {sample}")
