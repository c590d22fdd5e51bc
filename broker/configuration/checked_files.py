"""Validate a YAML file against its pydantic type: each error becomes a fault with line and fix."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, timedelta
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, Final, Literal, TypeVar, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StrictBool,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import ErrorDetails

from broker.configuration.strict_yaml import YamlMapping, YamlNode, YamlSequence, quote
from broker.core.errors import ConfigurationFaults, Fault

KeyPath = tuple[str | int, ...]
KeyPattern = tuple[str, ...]  # a path with ANY_NAME and ANY_ITEM for what the file chooses

# Placeholders in a key's path: the name of an entry, the position in a list.
ANY_NAME: Final = "NAME"
ANY_ITEM: Final = "[]"
_CHOSEN_STEPS: Final[dict[object, str]] = {dict: ANY_NAME, tuple: ANY_ITEM}

FILL_IN: Final = "FILL IN"  # begins each value that `broker init` leaves to the administrator
_WHOLE: Final = re.compile("0|[1-9][0-9]{0,8}")
_DAY: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SPAN: Final = re.compile("([1-9][0-9]{0,3}) ?(m|minutes?|h|hours?|d|days?|months?|years?)")
_UNITS: Final = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "mo": timedelta(days=365) / 12,
    "ye": timedelta(days=365),
}

# Pydantic's kinds of errors in the words of a person who writes the file.
_WORDS: Final = {
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "model_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "string_type": "must be a text",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "must be small letters, digits and -, and begin with a letter",
    "too_short": "must not be empty",
}
_FEW_KEYS: Final = 2
_COMMA: Final = "a comma? put the text in quotes"
# How to write the value that is expected.
_WRITTEN: Final = {
    "tuple_type": "write [one, another]",
    "model_type": "write key: value",
    "dict_type": "write key: value",
    "string_type": "put it between quotes",
}


class Shape(BaseModel):
    """The type of a mapping in a checked file; policy.schema.json is made of its subclasses."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _flag(text: object) -> object:
    """Read true and false, the spellings of YAML 1.2; "yes" and "on" stay texts and are refused."""
    if text in ("true", "false"):
        return text == "true"
    return text


def is_whole(text: str) -> bool:
    """Return whether a text is a whole number, as files write one."""
    return _WHOLE.fullmatch(text) is not None


def _whole(text: object) -> object:
    if isinstance(text, str) and not is_whole(text):
        raise ValueError("must be a whole number")
    return text


def _day(text: object) -> object:
    if not isinstance(text, str):
        return text
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise ValueError("must be a day like 2027-06-30")


def _span(text: object) -> object:
    written = _SPAN.fullmatch(text) if isinstance(text, str) else None
    if written is None:
        raise ValueError("must be a span like 30m, 12 hours, 90 days or 12 months")
    number, unit = written.groups()
    return int(number) * (_UNITS.get(unit[:2]) or _UNITS[unit[0]])


# Every scalar arrives as text; these types state which text may become something else.
Flag = Annotated[StrictBool, BeforeValidator(_flag)]
Whole = Annotated[int, BeforeValidator(_whole)]
Day = Annotated[date, BeforeValidator(_day)]
Span = Annotated[
    timedelta,
    BeforeValidator(_span),
    WithJsonSchema({"type": "string", "pattern": f"^{_SPAN.pattern}$"}),
]
# Text here, and a number to the editors that go by the JSON Schema.
Version = Annotated[Literal["1"], WithJsonSchema({"const": 1})]

S = TypeVar("S", bound=Shape)


def validate_node(shape: type[S], node: YamlNode, name: str, context: object = None) -> S:
    """Return ``node`` as a value of the type ``shape``; ``name`` is what faults call the file.

    ``context`` is what the checks of the type may ask for.

    Raises ConfigurationFaults with line and fix of each error.
    """
    try:
        return shape.model_validate(node, context=context)
    except ValidationError as error:
        faults = [_fault(shape, node, name, misfit) for misfit in once(shape, error.errors())]
        raise ConfigurationFaults(faults) from None


def once(model: type[BaseModel], misfits: Sequence[ErrorDetails]) -> Iterator[ErrorDetails]:
    """Yield the errors without those that follow from another one.

    A misspelt key is also missing under its right name. A list whose items are wrong is also too
    short.
    """
    misspelt: set[KeyPath] = set()
    wrong_inside = {misfit["loc"][:at] for misfit in misfits for at in range(len(misfit["loc"]))}
    for misfit in misfits:
        if misfit["type"] == "extra_forbidden":
            *above, key = misfit["loc"]
            near = get_close_matches(str(key), list_known_keys(model, tuple(above)), n=1)
            misspelt.update((*above, meant) for meant in near)
    for misfit in misfits:
        follows = misfit["type"] == "missing" and misfit["loc"] in misspelt
        emptied = misfit["type"] == "too_short" and misfit["loc"] in wrong_inside
        if not follows and not emptied:
            yield misfit


def line(node: YamlNode, path: KeyPath) -> int:
    """Return the line of the key or item at ``path``, or of the nearest existing parent."""
    for step in path:
        found = _step_into(node, step)
        if found is None:
            break
        node = found
    return node.line


def _step_into(node: YamlNode, step: str | int) -> YamlNode | None:
    """Return the node below a key, a position or an item's name; None without one."""
    if isinstance(node, YamlMapping):
        return node.get(str(step))
    if isinstance(node, YamlSequence):
        for position, item in enumerate(node):
            if step in (position, item):
                return item
            # The name of an item is a single word, or the only key of a mapping.
            if isinstance(item, YamlMapping) and [*item] == [step]:
                return item[str(step)]
    return None


def _fault(shape: type[Shape], node: YamlNode, name: str, misfit: ErrorDetails) -> Fault:
    kind = misfit["type"]
    path = tuple(step for step in misfit["loc"] if step != "[key]")
    where = f"{name}:{line(node, path)}"
    if kind == "extra_forbidden":
        key = str(path[-1])
        return Fault(where, f"unknown key {quote(key)}", _fix_unknown_key(shape, path))
    # People count from one.
    spelt = ".".join(str(step + 1 if isinstance(step, int) else step) for step in path)
    if kind == "missing":
        return Fault(where, f"{spelt} is missing")
    what = f"{spelt or 'the file'}: {_WORDS.get(kind) or sentence(misfit)}"
    keys = list_known_keys(shape, path) if kind == "model_type" else ()
    if 0 < len(keys) <= _FEW_KEYS:
        return Fault(where, what, f"write {{{', '.join(f'{key}: ...' for key in keys)}}}")
    return Fault(where, what, _WRITTEN.get(kind, ""))


def _fix_unknown_key(shape: type[Shape], path: KeyPath) -> str:
    key = str(path[-1])
    known = list_known_keys(shape, path[:-1])
    comma = _COMMA if " " in key else ""
    return _elsewhere(shape, path) or did_you_mean(key, known) or comma or ", ".join(known)


def _elsewhere(shape: type[Shape], path: KeyPath) -> str:
    """Return the only place where a key is known, if it stands in another one."""
    key = str(path[-1])
    above = {pattern[:-1] for pattern in key_patterns(shape) if pattern[-1] == key}
    if len(above) != 1:
        return ""
    (steps,) = above
    if not steps and isinstance(path[-2], int):
        whole = f"{key} is for the whole file, at the left edge"
        return f"{whole}; an entry of {path[0]} cannot have one"
    place = ".".join(steps).replace(f".{ANY_ITEM}", "")
    belongs = f"stands under {place}" if place else "stands at the left edge"
    return f"{key} {belongs}: mind the indent"


def sentence(misfit: ErrorDetails) -> str:
    """Return the validator's message as the end of a sentence that begins with the key."""
    message = misfit["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def did_you_mean(word: str, words: Iterable[str], spelt: Callable[[str], str] = repr) -> str:
    """Return "did you mean 'word'?" for the nearest of ``words``, or "" where none is near."""
    known = tuple(words)
    # Swapped letters and another case are the commonest typos; difflib rates them as unlike.
    near = [other for other in known if _letters(other) == _letters(word)]
    near += get_close_matches(word, known, n=1)
    if not near:
        return ""
    meant = spelt(near[0])
    return f"did you mean {meant}?"


def _letters(word: str) -> list[str]:
    return sorted(word.casefold())


def list_known_keys(model: type[BaseModel], table: KeyPath) -> tuple[str, ...]:
    """Return the keys that the mapping at the path ``table`` may have."""
    return tuple(pattern[-1] for pattern in key_patterns(model) if _leads_to(pattern[:-1], table))


def _leads_to(pattern: KeyPattern, path: KeyPath) -> bool:
    if len(pattern) != len(path):
        return False
    for expected, step in zip(pattern, path, strict=True):
        name = ANY_ITEM if isinstance(step, int) else step
        if expected not in {name, ANY_NAME}:
            return False
    return True


@cache
def key_patterns(model: type[BaseModel]) -> tuple[KeyPattern, ...]:
    """Return the path of every key below ``model``: ``("upstreams", "NAME", "only")``."""
    found: list[KeyPattern] = []
    for name, field in model.model_fields.items():
        key = field.alias or name
        found.append((key,))
        found += [(key, *below) for below in _patterns_in(field.annotation)]
    found += _patterns_in(vars(model).get("__annotations__", {}).get("__pydantic_extra__"))
    return tuple(found)


def _patterns_in(annotation: Any) -> Iterator[KeyPattern]:
    """Yield the patterns of the keys below a key of this type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from key_patterns(annotation)
    chosen = _CHOSEN_STEPS.get(get_origin(annotation))
    for part in get_args(annotation):
        for below in _patterns_in(part):
            if chosen:
                yield (chosen, *below)
            else:
                yield below
