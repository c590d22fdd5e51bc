"""Validate a YAML file against its pydantic type: each error becomes a fault with line and fix."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StrictBool,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import ErrorDetails

from broker.configuration.strict_yaml import (
    YamlEntry,
    YamlMapping,
    YamlNode,
    YamlScalar,
    YamlSequence,
    quote,
)
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

# In the path of an error, pydantic names the alternative of a union: a text, or a Shape.
_TEXT_MARKERS: Final = frozenset({"str", "constrained-str"})
_SHAPE: Final = "Shape"

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
    """The type of a mapping in a checked file; policy.schema.json is made of its subclasses.

    ``asides`` add a sentence to the fault of a key that stands in the wrong place.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    asides: ClassVar[Mapping[str, str]] = {}


def _flag(text: object) -> object:
    """Read true and false, the spellings of YAML 1.2; "yes" and "on" stay texts and are refused."""
    match text:
        case "true":
            return True
        case "false":
            return False
        case _:
            return text


def is_whole(text: str) -> bool:
    """Return whether a text is a whole number, as files write one."""
    return _WHOLE.fullmatch(text) is not None


def _whole(text: object) -> object:
    if isinstance(text, str) and not is_whole(text):
        raise ValueError("must be a whole number")
    return text


def _day(text: object) -> object:
    if isinstance(text, str):
        try:
            if _DAY.fullmatch(text):
                return date.fromisoformat(text)
        except ValueError:
            pass
        raise ValueError("must be a day like 2027-06-30")
    return text


# Every scalar arrives as text; these types state which text may become something else.
Flag = Annotated[StrictBool, BeforeValidator(_flag)]
Whole = Annotated[int, BeforeValidator(_whole)]
Day = Annotated[date, BeforeValidator(_day)]
# Text here, and a number to the editors that go by the JSON Schema.
Version = Annotated[Literal["1"], WithJsonSchema({"const": 1})]

S = TypeVar("S", bound=Shape)


def validate_node(shape: type[S], node: YamlNode, name: str) -> S:
    """Return ``node`` as a value of the type ``shape``; ``name`` is what faults call the file.

    Raise ConfigurationFaults with line and fix of each error.
    """
    try:
        return shape.model_validate(plain(node))
    except ValidationError as error:
        faults = []
        for misfit in once(shape, _likeliest(error.errors())):
            fault = _fault(shape, node, name, misfit)
            faults.append(fault)
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


def plain(node: YamlNode) -> Any:
    """Return ``node`` as str, list and dict for a validator; ``line`` finds the line of a path."""
    if isinstance(node, YamlScalar):
        return node.text
    if isinstance(node, YamlSequence):
        return [plain(item) for item in node.nodes]
    return {entry.key: plain(entry.node) for entry in node.entries}


def line(node: YamlNode, path: KeyPath) -> int:
    """Return the line of the key or item at ``path``, or of the nearest existing parent."""
    line_number = node.line
    for step in path:
        entry = entry_at(node, step)
        if entry is None:
            break
        node, line_number = entry.node, entry.line
    return line_number


def entry_at(node: YamlNode | None, step: str | int) -> YamlEntry | None:
    """Return the entry of a mapping or a sequence at a step; None where there is none."""
    if isinstance(node, YamlMapping):
        for entry in node.entries:
            if entry.key == step:
                return entry
    elif isinstance(node, YamlSequence) and isinstance(step, int) and step < len(node.nodes):
        item = node.nodes[step]
        return YamlEntry(str(step), item.line, item)
    elif isinstance(node, YamlSequence):
        return next(
            (entry for entry in map(_find_item_name, node.nodes) if entry.key == step), None
        )
    return None


def _find_item_name(item: YamlNode) -> YamlEntry:
    """Return an item of a list by its name: a word alone, or the one key of a mapping."""
    if isinstance(item, YamlMapping) and len(item.entries) == 1:
        return item.entries[0]
    return YamlEntry(item.text if isinstance(item, YamlScalar) else "", item.line, item)


def _fault(shape: type[Shape], node: YamlNode, name: str, misfit: ErrorDetails) -> Fault:
    kind = misfit["type"]
    path = misfit["loc"]
    line_number = line(node, path)
    where = f"{name}:{line_number}"
    key = "the file"
    if path:
        key = str(path[-1])
    if kind == "extra_forbidden":
        what = f"unknown key {quote(key)}"
        return Fault(where, what, _fix_unknown_key(shape, node, path))
    spelt = ".".join(_steps(path)) or key
    if kind == "missing":
        return Fault(where, f"{spelt} is missing")
    what = _WORDS.get(kind) or sentence(misfit)
    return Fault(where, f"{spelt}: {what}", _list_needed_keys(misfit) or _WRITTEN.get(kind, ""))


def _list_needed_keys(misfit: ErrorDetails) -> str:
    """Return how to write the mapping that is expected in place of a word, if it needs few keys."""
    name = misfit.get("ctx", {}).get("class_name")
    for shape in _all_below(Shape):
        if shape.__name__ != name:
            continue
        needed = [key for key, field in shape.model_fields.items() if field.is_required()]
        if 0 < len(needed) <= _FEW_KEYS:
            return f"write {{{', '.join(f'{key}: ...' for key in needed)}}}"
    return ""


def _all_below(shape: type[Shape]) -> Iterator[type[Shape]]:
    for below in shape.__subclasses__():
        yield below
        yield from _all_below(below)


def _fix_unknown_key(shape: type[Shape], node: YamlNode, path: KeyPath) -> str:
    key = str(path[-1])
    known = list_known_keys(shape, tuple(step for step in path[:-1] if not _is_marker(step)))
    fix = _elsewhere(shape, path) or did_you_mean(key, known)
    if fix:
        return fix
    if _has_no_value(node, path):
        return _COMMA
    return ", ".join(known)


def _has_no_value(node: YamlNode, path: KeyPath) -> bool:
    """Return whether a key has no value, like the rest of an unquoted text behind a comma."""
    found = node
    for step in path:
        entry = entry_at(found, step)
        if entry is not None:
            found = entry.node
    return isinstance(found, YamlScalar) and not found.text


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
    aside = shape.asides.get(key, "")
    return f"{key} {belongs}: mind the indent{aside}"


def _steps(path: KeyPath) -> Iterator[str]:
    """Yield the steps of a path as people count and name them."""
    for step in path:
        if isinstance(step, int):
            yield str(step + 1)
        elif not _is_marker(step):
            yield step


def _is_marker(step: str | int) -> bool:
    """Return whether pydantic put ``step`` into the path: it names a union's alternative."""
    if not isinstance(step, str):
        return False
    return step in _TEXT_MARKERS or step.endswith(_SHAPE) or "[" in step


def _likeliest(misfits: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Return the errors; of a union only those of the alternative that fits the file best.

    The best alternative is the one with the deepest error: the others fail as a whole.
    """
    nearest: dict[KeyPath, tuple[int, KeyPath]] = {}
    for misfit in misfits:
        union, alternative = _alternative(misfit)
        depth = len(misfit["loc"])
        if union not in nearest or nearest[union][0] < depth:
            nearest[union] = (depth, alternative)
    return [
        misfit
        for misfit in misfits
        if nearest[_alternative(misfit)[0]][1] == _alternative(misfit)[1]
    ]


def _alternative(misfit: ErrorDetails) -> tuple[KeyPath, KeyPath]:
    """Return the path of the union that an error lies in, and the path of the alternative."""
    path = misfit["loc"]
    for at, step in enumerate(path):
        if _is_marker(step):
            return path[:at], path[: at + 1]
    return path, path


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
    keys = []
    for pattern in key_patterns(model):
        *above, key = pattern
        if _leads_to(above, table):
            keys.append(key)
    return tuple(keys)


def _leads_to(pattern: list[str], path: KeyPath) -> bool:
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
