"""JSON Schemas for editors: they complete, explain and check the files of administrators."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from broker.configuration.checked_files import Shape
from broker.configuration.strict_yaml import read_file

JsonSchema = dict[str, Any]

# The key of the description of names that the file chooses itself.
ANY_ATTRIBUTE: Final = "ATTRIBUTE"
_ANY_NAME: Final = ": NAME"
_TEXTS: Final = Path(__file__).with_name("key_descriptions.yaml")
_NULL: Final = {"type": "null"}
_FOR_PROGRAMS: Final = frozenset({"title", "default"})
_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, slots=True)
class KeyDescription:
    """The meaning of a key in one sentence, and an example as a file has it."""

    means: str
    example: str

    def describe(self, schema: JsonSchema) -> JsonSchema:
        """Return a key's schema with the sentence, and in Markdown also the example."""
        shown = f"{self.means}\n\nExample: `{self.example}`"
        return {**schema, "description": self.means, "markdownDescription": shown}


def descriptions() -> Mapping[str, Mapping[str, KeyDescription]]:
    """Return the description of every key, by the name of its shape."""
    written: Any = read_file(_TEXTS, _TEXTS.name)
    return {
        shape: {key: KeyDescription(**text) for key, text in keys.items()}
        for shape, keys in written.items()
    }


def schema_of(shape: type[Shape], what: str) -> JsonSchema:
    """Return the JSON Schema of the files that ``shape`` reads, every key with its description.

    ``what`` describes the whole file. The schema has no title, because editors would show it above
    each description. Raises KeyError for a key without a description.
    """
    schema = _plain(shape.model_json_schema(by_alias=True))
    texts = descriptions()
    for name, mapping in mappings(schema, shape):
        _describe(mapping, texts[name])
    return {"$schema": _DRAFT, **schema, "description": what}


def mappings(schema: JsonSchema, shape: type[Shape]) -> Iterator[tuple[str, JsonSchema]]:
    """Yield the schema of every mapping in a file, with the name of its shape."""
    yield shape.__name__, schema.get("items", schema)
    for name, mapping in schema.get("$defs", {}).items():
        if "properties" in mapping:
            yield name, mapping


def _describe(mapping: JsonSchema, texts: Mapping[str, KeyDescription]) -> None:
    properties = mapping["properties"]
    for key, schema in properties.items():
        properties[key] = texts[key].describe(schema)
        chosen = schema.get("additionalProperties")
        if isinstance(chosen, dict):
            named = texts[key + _ANY_NAME].describe(chosen)
            properties[key]["additionalProperties"] = named
    chosen = mapping.get("additionalProperties")
    if isinstance(chosen, dict):
        mapping["additionalProperties"] = texts[ANY_ATTRIBUTE].describe(chosen)


def _plain(schema: Any) -> Any:
    """Return a schema without what pydantic adds for programs.

    Remove titles, which editors show first, defaults, and null, which is no value in a file.
    """
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if _NULL in schema.get("anyOf", ()):
        parts = [part for part in schema["anyOf"] if part != _NULL]
        schema = parts[0] if len(parts) == 1 else {**schema, "anyOf": parts}
    return {
        key: _plain(part)
        for key, part in schema.items()
        if key not in _FOR_PROGRAMS or isinstance(part, dict)
    }
