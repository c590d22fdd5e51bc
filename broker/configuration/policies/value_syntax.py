"""The syntax of single values in a policy file: texts, levels, spans, days, and lists."""

import re
from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema

from broker.configuration.checked_files import Shape, entry_at
from broker.configuration.strict_yaml import YamlNode
from broker.core.policy.expiry import MONTHS, Expiry
from broker.core.policy.model import PolicyLine

_SPAN: Final = re.compile("([1-9][0-9]{0,3}) ?(m|minutes?|h|hours?|d|days?|months?|years?)")
_MONTHS: Final = re.compile("([1-9][0-9]{0,2}) ?(months?|years?)")
_DAY_OF_YEAR: Final = re.compile(f"([1-9]|[12][0-9]|3[01]) ({'|'.join(MONTHS)})")
_COMMON_YEAR: Final = 2027
_DAYS: Final = {"m": 1 / 1440, "h": 1 / 24, "d": 1.0, "months": 365 / 12, "years": 365.0}
_MINUTES_A_DAY: Final = 1440

OneLineText = Annotated[str, Field(min_length=1, max_length=500)]
Level = Literal["self_asserted", "low", "substantial", "high"]
CprKind = Literal["real", "replacement", "constructed", "invalid", "none"]


def _several(written: object) -> object:
    listed = written if isinstance(written, list) else [written]
    for each in listed:
        if isinstance(each, dict) and "until" in each:
            meant = each.get("name", "the domain")
            raise ValueError(f"until stands only under proofs; write {meant} alone here")
    return listed if isinstance(written, str) else written


def _one_or_several(words: tuple[str, ...]) -> WithJsonSchema:
    """Return the schema of one of some words, or a list of them."""
    one = {"enum": list(words)}
    return WithJsonSchema({"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]})


def _span(text: object) -> object:
    written = _SPAN.fullmatch(text) if isinstance(text, str) else None
    if written is None:
        raise ValueError("must be a span like 30m, 12 hours, 90 days or 12 months")
    number, unit = written.groups()
    # Months and years by their plural, the other units by their first letter.
    long = unit.startswith(("month", "year"))
    key = unit.rstrip("s") + "s" if long else unit[0]
    days = int(number) * _DAYS[key]
    minutes = round(days * _MINUTES_A_DAY)
    return timedelta(days=minutes / _MINUTES_A_DAY)


def _expiry(text: object) -> object:
    if isinstance(text, str) and (span := _MONTHS.fullmatch(text)):
        return Expiry(int(span[1]) * (12 if span[2].startswith("year") else 1))
    if isinstance(text, str) and (day := _DAY_OF_YEAR.fullmatch(text)):
        month = MONTHS.index(day[2]) + 1
        if int(day[1]) > monthrange(_COMMON_YEAR, month)[1]:
            raise ValueError(f"{text} is not in every year")
        return Expiry(day_of_year=(month, int(day[1])))
    raise ValueError("must be a span like 24 months or 2 years, or a day like 31 August")


# One value or several; a value is exact, or a prefix that ends with "*".
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
Levels = Annotated[
    tuple[Level, ...],
    BeforeValidator(_several),
    Field(min_length=1),
    _one_or_several(get_args(Level)),
]
CprKinds = Annotated[
    tuple[CprKind, ...],
    BeforeValidator(_several),
    Field(min_length=1),
    _one_or_several(get_args(CprKind)),
]
NameList = Annotated[tuple[OneLineText, ...], Field(min_length=1)]
Span = Annotated[
    timedelta,
    BeforeValidator(_span),
    WithJsonSchema({"type": "string", "pattern": f"^{_SPAN.pattern}$"}),
]
ExpiryText = Annotated[
    Expiry,
    BeforeValidator(_expiry),
    WithJsonSchema({"type": "string", "pattern": f"^({_MONTHS.pattern}|{_DAY_OF_YEAR.pattern})$"}),
]


@dataclass(frozen=True, slots=True)
class FilePlace:
    """A place in a policy file: the file's name, the line, and the node there.

    ``node`` is None if nothing is there; the line is then that of the nearest parent.
    """

    file: str
    node: YamlNode | None
    number: int

    @classmethod
    def top(cls, file: str, root: YamlNode) -> "FilePlace":
        """Return the place of the whole file."""
        return cls(file, root, root.line)

    def below(self, *steps: str | int) -> "FilePlace":
        """Return the place at the path ``steps`` below this one."""
        node = self.node
        number = self.number
        for step in steps:
            entry = entry_at(node, step)
            if entry is None:
                return FilePlace(self.file, None, number)
            node = entry.node
            number = entry.line
        return FilePlace(self.file, node, number)

    @property
    def line(self) -> PolicyLine:
        """Return the line of this place."""
        return PolicyLine(self.file, self.number)

    def lines_of(self, keys: Iterable[str]) -> dict[str, PolicyLine]:
        """Return the lines of these keys."""
        return {key: self.below(key).line for key in keys}


# Fields that the person tells the library and that staff correct: no upstream knows them better.
PERSONS_OWN: Final = frozenset({"email", "phone", "mobile"})
NO_BORROWER: Final = "none"


def _drop_description(schema: dict[str, Any]) -> None:
    """Remove the description: an editor would show it in place of that of the key."""
    schema.pop("description", None)


class ExpectBorrowerShape(Shape, json_schema_extra=_drop_description):
    """The category of the borrower that is expected."""

    category: OneLineText


ExpectedBorrower = ExpectBorrowerShape | Literal["none"]


def find_expected_category(written: ExpectedBorrower | None) -> str | None:
    """Return the expected category; None if no category, or no account, is expected."""
    return written.category if isinstance(written, ExpectBorrowerShape) else None
