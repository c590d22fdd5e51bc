"""The JSON Schema of a policy file with the names of one site, for completion in editors."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from broker.configuration.editor_schemas import JsonSchema
from broker.configuration.policies.file_schema import json_schema
from broker.configuration.policies.property_schema import rules_schema
from broker.core.policy.decision import FIRST_REASONS, NEVER_BY_CATEGORY
from broker.core.policy.model import NAME_ID

_TEXT: Final[JsonSchema] = {"type": "string"}


@dataclass(frozen=True, slots=True)
class SiteNames:
    """The names of one site.

    ``attributes`` are those that policies may name, each with its label. ``fields`` are those of
    the library system, empty if it does not list them. ``categories`` and ``affiliations`` are
    those of the present policies.
    """

    services: Collection[str]
    upstreams: Collection[str]
    attributes: Mapping[str, str]
    fields: Collection[str] = ()
    categories: Collection[str] = ()
    affiliations: Collection[str] = ()

    @property
    def matchable(self) -> dict[str, str]:
        """Return the attributes that conditions may name, each with its label."""
        every = self.attributes.items()
        return {name: label for name, label in every if name not in NEVER_BY_CATEGORY}


def site_schema(names: SiteNames) -> JsonSchema:
    """Return the JSON Schema of a policy file that knows the names of a site.

    An unknown upstream or attribute is an error. For names that a policy may introduce, such as a
    category, editors offer the known ones and accept any.
    """
    schema = json_schema()
    shapes = schema["$defs"]
    _add_values(shapes.values(), names)
    release = schema["properties"]["release"]
    # The name of an entity category is a URL, which has a colon.
    release["patternProperties"] = {":": release["additionalProperties"]}
    _add_keys(release, dict.fromkeys(names.services, ""))
    _add_keys(shapes["AlternativeShape"], names.matchable)
    _add_keys(shapes["LoginShape"], names.attributes)
    if names.fields:
        fields = shapes["BorrowerShape"]["properties"]["fields"]
        _add_keys(fields, dict.fromkeys(names.fields, ""))
    for access in ("make", "need", "none"):
        items = shapes["ReleaseShape"]["properties"][access]["items"]
        _, mapping = items["anyOf"]
        _add_keys(mapping, names.attributes)
        alone = [{"const": name, "description": of} for name, of in names.attributes.items()]
        items["anyOf"] = [*alone, mapping]
    return schema


def site_rules_schema(names: SiteNames) -> JsonSchema:
    """Return the JSON Schema of site rules that knows the names of a site."""
    schema = rules_schema()
    _add_values([schema["items"], *schema["$defs"].values()], names)
    _add_keys(schema["$defs"]["WhenShape"], names.matchable)
    return schema


def _add_values(shapes: Iterable[JsonSchema], names: SiteNames) -> None:
    """Put the known names in place of any text as the values of keys."""
    attributes = _enum(names.attributes)
    released = _enum([*names.attributes, NAME_ID])
    services, categories = _offer(names.services), _offer(names.categories)
    upstreams, affiliations = _enum(names.upstreams), _offer(names.affiliations)
    values = {
        "service": services,
        "except": services,
        "upstream": upstreams,
        "by": upstreams,
        "affiliation": affiliations,
        "intent": affiliations,
        "category": categories,
        "categories": categories,
        "upgrades": categories,
        "reason": _enum(FIRST_REASONS),
        "releases": released,
        "never_releases": released,
        "from": {"anyOf": [attributes, {"type": "string", "pattern": r"^proof\."}]},
    }
    for shape in shapes:
        properties = shape.get("properties", {})
        for key in values.keys() & properties.keys():
            properties[key] = _replace_text(properties[key], values[key])


def _replace_text(schema: Any, values: JsonSchema) -> Any:
    """Return a schema with ``values`` in place of any text, and the same descriptions."""
    if isinstance(schema, list):
        return [_replace_text(part, values) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "string":
        return values | {key: text for key, text in schema.items() if "escription" in key}
    return {key: _replace_text(part, values) for key, part in schema.items()}


def _add_keys(mapping: JsonSchema, listed: Mapping[str, str]) -> None:
    """Allow only the ``listed`` keys, each with its label, in place of any key."""
    one = mapping["additionalProperties"]
    properties = mapping.setdefault("properties", {})
    for name, label in sorted(listed.items()):
        described = {key: f"{label}. {text}" for key, text in one.items() if "escription" in key}
        properties.setdefault(name, {**one, **described} if label else one)
    mapping["additionalProperties"] = False


def _enum(names: Iterable[str]) -> JsonSchema:
    return {"enum": sorted(names)}


def _offer(names: Collection[str]) -> JsonSchema:
    """Return a schema that accepts any text; editors offer the names."""
    return {"anyOf": [_enum(names), _TEXT]} if names else _TEXT
