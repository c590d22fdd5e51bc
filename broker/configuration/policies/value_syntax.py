"""The syntax of parts of a policy file: mappings with their lines, texts, levels, days, lists."""

import re
from calendar import monthrange
from collections.abc import Callable, Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from broker.configuration.checked_files import Shape
from broker.configuration.editor_schemas import JsonSchema
from broker.configuration.strict_yaml import (
    YamlMapping,
    YamlNode,
    YamlSequence,
    YamlText,
    place_node,
)
from broker.core.policy.expiry import MONTHS, Expiry
from broker.core.policy.model import Expectation, PolicyLine

_MONTHS: Final = re.compile("([1-9][0-9]{0,2}) ?(months?|years?)")
_DAY_OF_YEAR: Final = re.compile(f"([1-9]|[12][0-9]|3[01]) ({'|'.join(MONTHS)})")
_COMMON_YEAR: Final = 2027

OneLineText = Annotated[str, Field(min_length=1, max_length=500)]
Level = Literal["self_asserted", "low", "substantial", "high"]
CprKind = Literal["real", "replacement", "constructed", "invalid", "none"]


def _several(written: object) -> object:
    return [written] if isinstance(written, str) else written


def _expiry(text: object) -> object:
    if isinstance(text, str) and (span := _MONTHS.fullmatch(text)):
        return Expiry(int(span[1]) * (12 if span[2].startswith("year") else 1))
    if isinstance(text, str) and (day := _DAY_OF_YEAR.fullmatch(text)):
        month = MONTHS.index(day[2]) + 1
        if int(day[1]) > monthrange(_COMMON_YEAR, month)[1]:
            raise ValueError(f"{text} is not in every year")
        return Expiry(day_of_year=(month, int(day[1])))
    raise ValueError("must be a span like 24 months or 2 years, or a day like 31 August")


NameList = Annotated[tuple[OneLineText, ...], Field(min_length=1)]
# One value or several; a value is exact, or a prefix that ends with "*".
Values = Annotated[
    NameList, BeforeValidator(_several, json_schema_input_type=OneLineText | NameList)
]
_Levels = Annotated[tuple[Level, ...], Field(min_length=1)]
Levels = Annotated[_Levels, BeforeValidator(_several, json_schema_input_type=Level | _Levels)]
_CprKinds = Annotated[tuple[CprKind, ...], Field(min_length=1)]
CprKinds = Annotated[
    _CprKinds, BeforeValidator(_several, json_schema_input_type=CprKind | _CprKinds)
]
ExpiryText = Annotated[
    Expiry,
    BeforeValidator(_expiry),
    WithJsonSchema({"type": "string", "pattern": f"^({_MONTHS.pattern}|{_DAY_OF_YEAR.pattern})$"}),
]


class PlacedShape(Shape):
    """A mapping of a policy file that knows its line, and the lines of its keys.

    The context of its validation is the name of the file.
    """

    _place: PolicyLine | None = None
    _nodes: Mapping[str, YamlNode] = {}

    @property
    def place(self) -> PolicyLine:
        """Return the line of the mapping; line 1 of an empty name if it is not from a file."""
        return self._place or PolicyLine("", 1)

    @property
    def nodes(self) -> Mapping[str, YamlNode]:
        """Return the nodes below the keys."""
        return self._nodes

    @property
    def lines(self) -> Mapping[str, PolicyLine]:
        """Return the lines of the keys."""
        file = self.place.file
        return {key: PolicyLine(file, node.line) for key, node in self.nodes.items()}

    @model_validator(mode="wrap")
    @classmethod
    def _keep_lines(
        cls, node: object, validate: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        shape = validate(node)
        if isinstance(node, YamlMapping):
            shape.set_nodes(PolicyLine(str(info.context), node.line), node)
        return shape

    def set_nodes(self, place: PolicyLine, nodes: Mapping[str, YamlNode]) -> None:
        """Set the line of the mapping, and the nodes below its keys."""
        self._place, self._nodes = place, nodes

    def override(self, other: "PlacedShape") -> Self:
        """Return a copy where each key that ``other`` also sets has its value and line of there."""
        keys = other.model_fields_set.intersection(type(self).model_fields)
        if not keys:
            return self
        changed = self.model_copy(update={key: getattr(other, key) for key in keys})
        changed.set_nodes(other.place, {**self.nodes, **other.nodes})
        return changed


def expand_short_form(key: str) -> Callable[[object], object]:
    """Return a function that expands a mapping of which only the value of ``key`` is written."""

    def expand(node: object) -> object:
        if isinstance(node, YamlText | YamlSequence):
            return place_node(YamlMapping({key: node}), node.line)
        return node

    return expand


def _drop_description(schema: JsonSchema) -> None:
    """Remove the description: an editor would show it in place of that of the key."""
    schema.pop("description", None)


class ExpectBorrowerShape(Shape, json_schema_extra=_drop_description):
    """The category of the borrower that is expected; None if no account is expected."""

    category: OneLineText | None


def _read_no_borrower(written: object) -> object:
    return {"category": None} if written == "none" else written


class ExpectedDecisionShape(Shape):
    """The decision that is expected; a key that is not written is not checked."""

    effect: Literal["permit", "deny"] | None = None
    reason: OneLineText | None = None
    affiliation: OneLineText | None = None
    borrower: (
        Annotated[
            ExpectBorrowerShape,
            BeforeValidator(
                _read_no_borrower, json_schema_input_type=Literal["none"] | ExpectBorrowerShape
            ),
        ]
        | None
    ) = None
    releases: tuple[OneLineText, ...] | None = None

    def expectation(self) -> Expectation:
        """Return the expectation."""
        borrower = self.borrower
        return Expectation(
            effect=self.effect or "",
            reason=self.reason,
            category=borrower.category if borrower else None,
            releases=self.releases,
            affiliation=self.affiliation,
            no_borrower=borrower is not None and borrower.category is None,
        )
