"""The syntax of single values in a policy file: texts, levels, spans, days, and lists."""

import re
from calendar import monthrange
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from broker.configuration.checked_files import Shape, step_into
from broker.configuration.editor_schemas import JsonSchema
from broker.configuration.strict_yaml import YamlMapping, YamlNode
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


@dataclass(frozen=True, slots=True)
class FilePlace:
    """A place in a policy file: the file's name, the node there, and its line.

    ``node`` is None if nothing is there; the line is then that of the nearest parent.
    """

    file: str
    node: YamlNode | None
    number: int

    def below(self, *steps: str | int) -> "FilePlace":
        """Return the place at the path ``steps`` below this one."""
        node, number = self.node, self.number
        for step in steps:
            node, number = step_into(node, step) or (None, number)
        return FilePlace(self.file, node, number)

    @property
    def line(self) -> PolicyLine:
        """Return the line of this place."""
        return PolicyLine(self.file, self.number)

    def key_lines(self) -> dict[str, PolicyLine]:
        """Return the lines of the keys of the mapping that is here."""
        lines = self.node.lines if isinstance(self.node, YamlMapping) else {}
        return {key: PolicyLine(self.file, number) for key, number in lines.items()}


# Fields that the person tells the library and that staff correct: no upstream knows them better.
PERSONS_OWN: Final = frozenset({"email", "phone", "mobile"})


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
