"""What a policy file may hold: the one description that validates the files and makes their JSON Schema."""

import re
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from broker.core.policy.model import LegalBasis
from broker.files.checked_yaml import Day, Flag, Shape, Whole

_SPAN: Final = re.compile("([1-9][0-9]{0,3}) ?(m|minutes?|h|hours?|d|days?|months?|years?)")
_DAYS: Final = {"m": 1 / 1440, "h": 1 / 24, "d": 1.0, "months": 365 / 12, "years": 365.0}

OneLineText = Annotated[str, Field(min_length=1, max_length=500)]
Level = Literal["self_asserted", "low", "substantial", "high"]


def _several(found: object) -> object:
    return [found] if isinstance(found, str) else found


def _span(text: object) -> object:
    found = _SPAN.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("must be a span like 30m, 12 hours, 90 days or 12 months")
    number, unit = found.groups()
    front = unit.rstrip("s") + "s" if unit.startswith(("month", "year")) else unit[0]
    return timedelta(days=round(int(number) * _DAYS[front] * 1440) / 1440)


def _months(text: object) -> object:
    found = (
        re.fullmatch("([1-9][0-9]{0,2}) ?(months?|years?)", text) if isinstance(text, str) else None
    )
    if found is None:
        raise ValueError("must be a span like 24 months or 2 years")
    return int(found[1]) * (12 if found[2].startswith("year") else 1)


# One value or several; each exact, or the front of what it stands for, ended by "*".
Values = Annotated[
    tuple[OneLineText, ...],
    BeforeValidator(_several),
    Field(min_length=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ]
        }
    ),
]
NameList = Annotated[tuple[OneLineText, ...], Field(min_length=1)]
Span = Annotated[
    timedelta, BeforeValidator(_span), WithJsonSchema({"type": "string", "pattern": _SPAN.pattern})
]
Months = Annotated[
    int,
    BeforeValidator(_months),
    WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]{0,2} ?(months?|years?)$"}),
]
Version = Annotated[Literal["1"], WithJsonSchema({"const": 1})]


class Words(Shape):
    """One text in both languages."""

    en: OneLineText
    da: OneLineText


class AlternativeShape(Shape, extra="allow"):
    """One way to match: an upstream, a least assurance, and attributes with the values that match; all must hold."""

    __pydantic_extra__: dict[str, Values]
    upstream: Values
    assurance: Level | None = None


class DomainShape(Shape):
    """A mail domain that proves something until a day."""

    name: OneLineText
    until: Day


class ProofShape(Shape):
    """A mailbox shown to be the person's own."""

    kind: Literal["mailbox"]
    domains: Annotated[tuple[OneLineText | DomainShape, ...], Field(min_length=1)]
    code_valid_for: Span
    remembered_for: Span


class RequireShape(Shape):
    """What enrolling by oneself needs."""

    cpr: Literal["real"] | None = None
    age: Whole | None = None
    assurance: Level | None = None
    upstream: Values = ()  # the ways to log in by which an account is made


class FieldShape(Shape):
    """Where a borrower field comes from, and when it is written."""

    source: Values = Field(alias="from")  # the first that there is
    set: Literal["create", "if_empty", "always"]


class LowersShape(Shape):
    """Which categories a login by which upstreams may lower to this one."""

    by: Values
    categories: NameList


class BorrowerShape(Shape):
    """The borrower that a person of this affiliation becomes."""

    find_by: tuple[Literal["cpr"], ...]
    category: OneLineText
    upgrades: tuple[OneLineText, ...] = ()
    lowers: LowersShape | None = None
    temporary: tuple[
        OneLineText, ...
    ] = ()  # categories without a CPR that become this one when it arrives
    expires_after: Months
    fields: dict[str, FieldShape]
    pin: Literal["mail", "none"]


class AttributeShape(Shape):
    """One attribute that leaves, and why."""

    why: Words
    values: Values = ()
    mask: Flag = False
    optional: Flag = False


class ReleaseShape(Shape):
    """What one service, or the members of an entity category, get."""

    service: OneLineText
    borrower: Literal["make", "need", "none"]
    legal_basis: LegalBasis
    purpose: Words
    name_id: Literal["persistent", "transient"] = "persistent"
    notice: Literal["ours", "upstream"] = "ours"
    attributes: dict[str, AttributeShape]


class LoginShape(Shape, extra="allow"):
    """An example's login: attributes under their names, the CPR as a kind, never a number."""

    __pydantic_extra__: dict[str, Values]
    upstream: OneLineText
    assurance: Level | None = None
    cpr: Literal["real", "replacement", "constructed", "invalid", "none"] = "none"
    age: Whole | None = None
    intent: OneLineText | None = None
    borrower: Flag | None = None
    proof: dict[str, OneLineText] = Field(default_factory=dict)


class ExpectBorrowerShape(Shape):
    """The category of the borrower that is expected."""

    category: OneLineText


class ExpectShape(Shape):
    """What must come of an example; what is not mentioned is not checked."""

    effect: Literal["permit", "deny"]
    reason: OneLineText | None = None
    affiliation: OneLineText | None = None
    borrower: ExpectBorrowerShape | None = None
    releases: tuple[OneLineText, ...] | None = None


class ExampleShape(Shape):
    """A login, a service, and what must come of it."""

    name: OneLineText
    login: LoginShape
    service: OneLineText
    expect: ExpectShape


class PolicyShape(Shape):
    """One affiliation: who has it, what borrower they become, and what each service gets of them."""

    version: Version
    affiliation: Annotated[str, Field(pattern="^[a-z][a-z0-9-]{0,39}$")]
    precedence: Whole
    label: Words
    owner: OneLineText
    review_by: Day
    match: Annotated[tuple[AlternativeShape, ...], Field(min_length=1)]
    proofs: dict[str, ProofShape] = Field(default_factory=dict)
    require: RequireShape = RequireShape()
    borrower: BorrowerShape | None = None
    release: tuple[ReleaseShape, ...]
    examples: Annotated[tuple[ExampleShape, ...], Field(min_length=1)]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema for editors (policies/policy.schema.json); a test keeps the file equal to it."""
    schema = PolicyShape.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Policy file",
    }
