"""The JSON Schemas by which editors complete, explain and check the files that people write."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from broker.configuration.checked_files import Shape, plain
from broker.configuration.strict_yaml import read_file

JsonSchema = dict[str, Any]

# The key of what stands under names that the file chooses itself, beside the keys that are known.
ANY_ATTRIBUTE: Final = "ATTRIBUTE"
_ANY_NAME: Final = ": NAME"
_TEXTS: Final = Path(__file__).with_name("key_descriptions.yaml")
_NULL: Final = {"type": "null"}
_FOR_PROGRAMS: Final = frozenset({"title", "default"})
_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, slots=True)
class KeyDescription:
    """What a key means: one sentence, and an example as a file would have it."""

    means: str
    example: str

    def describe(self, schema: JsonSchema) -> JsonSchema:
        """Return a key's schema with the sentence, and for editors that can show it the example."""
        shown = f"{self.means}\n\nExample: `{self.example}`"
        return {**schema, "description": self.means, "markdownDescription": shown}


def descriptions() -> Mapping[str, Mapping[str, KeyDescription]]:
    """Return the description of every key, by the name of its shape."""
    written: Mapping[str, Mapping[str, Mapping[str, str]]]
    written = plain(read_file(_TEXTS, _TEXTS.name))
    texts: dict[str, dict[str, KeyDescription]] = {}
    for shape, keys in written.items():
        texts[shape] = {key: KeyDescription(**text) for key, text in keys.items()}
    return texts


def schema_of(shape: type[Shape], what: str) -> JsonSchema:
    """Return the JSON Schema of the files that ``shape`` reads, every key with its description.

    ``what`` is said of the whole file. It has no title: editors would show that above each
    description. KeyError for a key that has none.
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

    Titles made of names, which editors show first; defaults; and null, which is no value in a file:
    a key with nothing behind it is a fault.
    """
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if _NULL in schema.get("anyOf", ()):
        parts = [part for part in schema["anyOf"] if part != _NULL]
        schema = parts[0] if len(parts) == 1 else {**schema, "anyOf": parts}
    kept = {}
    for key, part in schema.items():
        if key not in _FOR_PROGRAMS or isinstance(part, dict):
            kept[key] = _plain(part)
    return kept
