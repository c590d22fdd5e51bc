"""The schema of policy_properties.yaml: rules that hold for every login under all policies."""

from typing import Annotated, Final

from pydantic import BeforeValidator, Field, model_validator

from broker.configuration.checked_files import Flag, Shape, Whole, is_whole
from broker.configuration.editor_schemas import JsonSchema, schema_of
from broker.configuration.policies.value_syntax import (
    CprKinds,
    ExpectedDecisionShape,
    Levels,
    OneLineText,
    PlacedShape,
    Values,
)
from broker.core.entities import Assurance
from broker.core.policy.model import Condition
from broker.core.policy_analysis.personas import LoginFilter
from broker.core.policy_analysis.site_rules import SiteRule

_RULES: Final = "Site rules: each must hold of every login there can be, or a change is refused."


def _read_age(written: object) -> object:
    """Turn the short form of ages, one age alone, into the mapping."""
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
            expect=self.expect.expectation(),
            place=self.place,
            services=self.service,
            excepted=self.excepted,
            never_releases=self.expect.never_releases or (),
        )


def rules_schema() -> JsonSchema:
    """Return the JSON Schema for editors, as policies/policy_properties.schema.json holds it."""
    schema = schema_of(SiteRuleShape, "One rule.")
    head = {"$schema": schema.pop("$schema"), "description": _RULES, "type": "array"}
    return {**head, "$defs": schema.pop("$defs"), "items": schema}
