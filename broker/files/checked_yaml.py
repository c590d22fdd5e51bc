"""What a file must look like, said once as a type, and every way in which it does not, with its line and its mend."""

import re
from collections.abc import Iterable
from datetime import date
from difflib import get_close_matches
from typing import Annotated, Any, Final, TypeVar, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, StrictBool, ValidationError
from pydantic_core import ErrorDetails

from broker.core.errors import ConfigurationFaults, Fault
from broker.files.strict_yaml import YamlMapping, YamlNode, YamlScalar, YamlSequence, quoted


class Shape(BaseModel):
    """What a mapping in a file must look like; the JSON Schema is made of its subclasses."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _flag(text: object) -> object:
    """Read the one spelling YAML 1.2 has; "yes" and "on" stay texts, and are refused."""
    return {"true": True, "false": False}.get(text, text) if isinstance(text, str) else text


def _whole(text: object) -> object:
    if isinstance(text, str) and not re.fullmatch("0|[1-9][0-9]{0,8}", text):
        raise ValueError("must be a whole number")
    return text


def _day(text: object) -> object:
    if isinstance(text, str) and not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError("must be a day like 2027-06-30")
    return text


# Every scalar arrives as text; these say what text may become something else.
Flag = Annotated[StrictBool, BeforeValidator(_flag)]
Whole = Annotated[int, BeforeValidator(_whole)]
Day = Annotated[date, BeforeValidator(_day)]

# In words of a file, not of a program.
_SAID: Final = {
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "model_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "string_type": "must be a text",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
}

S = TypeVar("S", bound=Shape)


def validated(shape: type[S], node: YamlNode, name: str) -> S:
    """Give ``node`` as a ``shape``; ConfigurationFaults with line and mend for every way in which it is none."""
    try:
        return shape.model_validate(plain(node))
    except ValidationError as error:
        found = [_misshapen(shape, node, name, each) for each in error.errors()]
        raise ConfigurationFaults(found) from None


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Give "did you mean 'word'?" for the nearest of ``words``, or nothing where none is near."""
    near = get_close_matches(word, tuple(words), n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def _misshapen(shape: type[Shape], node: YamlNode, name: str, error: ErrorDetails) -> Fault:
    kind, path, message = error["type"], error["loc"], error["msg"]
    where = f"{name}:{line(node, path)}"
    last = path[-1] if path else "the file"
    known = _keys(shape, path[:-1])
    if kind == "extra_forbidden":
        return Fault(
            where, f"unknown key {quoted(last)}", did_you_mean(str(last), known) or ", ".join(known)
        )
    spelt = ".".join(
        str(each + 1) if isinstance(each, int) else each for each in path if not _is_marker(each)
    )
    if kind == "missing":
        return Fault(where, f"{spelt or last} is missing")
    said = _SAID.get(kind) or message.removeprefix("Value error, ")
    return Fault(where, f"{spelt or last}: {said[0].lower()}{said[1:]}")


def _is_marker(step: str | int) -> bool:
    """Say whether pydantic, not the file, put ``step`` into the path (it names the alternative of a union it tried)."""
    return isinstance(step, str) and ("[" in step or step == "str")


def _keys(shape: type[BaseModel], path: tuple[str | int, ...]) -> tuple[str, ...]:
    """Give the keys that a mapping at ``path`` may have; none where any key may stand."""
    here: type[BaseModel] | None = shape
    named = False  # the next step is a name of the file's own choosing
    for step in path:
        if isinstance(step, int):
            continue
        if named or here is None:
            named = False
            continue
        found = next(
            (each for key, each in here.model_fields.items() if step == (each.alias or key)), None
        )
        annotation = found.annotation if found else None
        here, named = _shape_in(annotation), get_origin(annotation) is dict
    if here is None or named:
        return ()
    return tuple(each.alias or key for key, each in here.model_fields.items())


def _shape_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation if issubclass(annotation, BaseModel) else None
    return next((found for each in get_args(annotation) if (found := _shape_in(each))), None)


def plain(node: YamlNode) -> Any:
    """Give ``node`` as text, lists and dicts, for a validator; lines are found again by ``line``."""
    match node:
        case YamlScalar():
            return node.text
        case YamlSequence():
            return [plain(each) for each in node.nodes]
        case YamlMapping():
            return {each.key: plain(each.node) for each in node.entries}


def line(node: YamlNode, path: tuple[str | int, ...]) -> int:
    """Give the line of what ``path`` (keys and positions) leads to, or of the nearest thing above that is there."""
    found = node.line
    for step in path:
        if isinstance(node, YamlMapping):
            entry = next((each for each in node.entries if each.key == step), None)
            if entry is None:
                return found
            node, found = entry.node, entry.line
        elif isinstance(node, YamlSequence) and isinstance(step, int) and step < len(node.nodes):
            node = node.nodes[step]
            found = node.line
        else:
            return found
    return found
