"""The JSON Schema of a policy file with the names of one site, for completion in editors."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from broker.configuration.editor_schemas import JsonSchema, mappings
from broker.configuration.policies.file_schema import PolicyShape, json_schema
from broker.configuration.policies.property_schema import SiteRuleShape, rules_schema
from broker.core.policy.decision import FIRST_REASONS, NEVER_BY_CATEGORY
from broker.core.policy.model import NAME_ID

_TEXT: Final[JsonSchema] = {"type": "string"}
_CATEGORY: Final = ":"  # in the URL of an entity category, and in no service's name
_PROOF: Final[JsonSchema] = {"type": "string", "pattern": r"^proof\."}


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


def site_schema(names: SiteNames) -> JsonSchema:
    """Return the JSON Schema of a policy file that knows the names of a site.

    An unknown service, upstream or attribute is an error. For names that a policy may introduce,
    such as a category, editors offer the known ones and accept any.
    """
    schema = json_schema()
    shapes = dict(mappings(schema, PolicyShape))
    release = schema["properties"]["release"]
    release["patternProperties"] = {_CATEGORY: release["additionalProperties"]}
    _add_names(shapes, _values(names), _keys(names))
    for access in ("make", "need", "none"):
        _add_item_names(shapes["ReleaseShape"]["properties"][access]["items"], names.attributes)
    return schema


def _add_item_names(items: JsonSchema, attributes: Mapping[str, str]) -> None:
    """Add the known attributes to the schema of a list's items."""
    _, mapping = items["anyOf"]
    _add_key_names(mapping, attributes)
    alone = [{"const": name, "description": label} for name, label in sorted(attributes.items())]
    items["anyOf"] = [*alone, mapping]


def site_rules_schema(names: SiteNames) -> JsonSchema:
    """Return the JSON Schema of site rules that knows the names of a site."""
    schema = rules_schema()
    shapes = dict(mappings(schema, SiteRuleShape))
    _add_names(shapes, _values_of_rules(names), [("WhenShape", "", _matchable(names))])
    return schema


def _add_names(
    shapes: Mapping[str, JsonSchema],
    values: Iterable[tuple[str, str, JsonSchema]],
    keys: Iterable[tuple[str, str, Mapping[str, str]]],
) -> None:
    """Add the known names to the schemas of mappings, as values and as keys."""
    for shape, key, schema in values:
        properties = shapes[shape]["properties"]
        properties[key] = _keep_description(properties[key], schema)
    for shape, key, listed in keys:
        mapping = shapes[shape]["properties"].get(key, shapes[shape])
        _add_key_names(mapping, listed)


def _values_of_rules(names: SiteNames) -> Iterable[tuple[str, str, JsonSchema]]:
    services = _one_or_several(_enum(names.services))
    released = _list_of(_enum([*sorted(names.attributes), NAME_ID]))
    yield "SiteRuleShape", "service", services
    yield "SiteRuleShape", "except", services
    yield "WhenShape", "upstream", _one_or_several(_enum(names.upstreams))
    yield "WhenShape", "intent", _one_or_several(_offer(names.affiliations))
    yield "RuleExpectShape", "affiliation", _offer(names.affiliations)
    yield "RuleExpectShape", "reason", _enum(sorted(FIRST_REASONS))
    yield "RuleExpectShape", "releases", released
    yield "RuleExpectShape", "never_releases", released
    yield "ExpectBorrowerShape", "category", _offer(names.categories)


def _matchable(names: SiteNames) -> dict[str, str]:
    """Return the attributes that conditions may name, each with its label."""
    every = names.attributes.items()
    return {name: label for name, label in every if name not in NEVER_BY_CATEGORY}


def _values(names: SiteNames) -> Iterable[tuple[str, str, JsonSchema]]:
    """Yield shape, key and the schema of the key's value."""
    upstreams = _one_or_several(_enum(names.upstreams))
    categories = _offer(names.categories)
    affiliations = _offer(names.affiliations)
    sources = {"anyOf": [_enum(sorted(names.attributes)), _PROOF]}
    yield "ExampleShape", "service", _offer(names.services)
    yield "AlternativeShape", "upstream", upstreams
    yield "RequireShape", "upstream", upstreams
    yield "LowersShape", "by", upstreams
    yield "LoginShape", "upstream", _enum(names.upstreams)
    yield "LoginShape", "intent", affiliations
    yield "FieldShape", "from", _one_or_several(sources)
    yield "BorrowerShape", "category", categories
    yield "BorrowerShape", "upgrades", _list_of(categories)
    yield "LowersShape", "categories", _list_of(categories)
    yield "ExpectShape", "affiliation", affiliations
    yield "ExpectShape", "reason", _enum(sorted(FIRST_REASONS))
    yield "ExpectShape", "releases", _list_of(_enum([*sorted(names.attributes), NAME_ID]))
    yield "ExpectBorrowerShape", "category", categories


def _keys(names: SiteNames) -> Iterable[tuple[str, str, Mapping[str, str]]]:
    """Yield shape, key ("" for the shape itself) and the names that may stand there as keys."""
    yield "PolicyShape", "release", dict.fromkeys(names.services, "")
    yield "AlternativeShape", "", _matchable(names)
    yield "LoginShape", "", names.attributes
    if names.fields:
        yield "BorrowerShape", "fields", dict.fromkeys(names.fields, "")


def _add_key_names(mapping: JsonSchema, listed: Mapping[str, str]) -> None:
    """Allow only the ``listed`` keys, each with its label, in place of any key."""
    one = mapping["additionalProperties"]
    properties = mapping.setdefault("properties", {})
    for name, label in sorted(listed.items()):
        properties.setdefault(name, _add_label(one, label))
    mapping["additionalProperties"] = False


def _add_label(schema: JsonSchema, label: str) -> JsonSchema:
    if not label:
        return schema
    described = {"description": "", "markdownDescription": "", **schema}
    told = {key: f"{label}. {described[key]}" for key in ("description", "markdownDescription")}
    return {**schema, **told}


def _keep_description(described: JsonSchema, values: JsonSchema) -> JsonSchema:
    """Return the schema ``values`` with the description of its key."""
    kept = {key: text for key, text in described.items() if key.lower().endswith("description")}
    return {**values, **kept}


def _enum(names: Iterable[str]) -> JsonSchema:
    return {"enum": list(names)}


def _offer(names: Collection[str]) -> JsonSchema:
    """Return a schema that accepts any text; editors offer the names."""
    if not names:
        return _TEXT
    return {"anyOf": [_enum(names), _TEXT]}


def _list_of(one: JsonSchema) -> JsonSchema:
    return {"type": "array", "items": one}


def _one_or_several(one: JsonSchema) -> JsonSchema:
    return {"anyOf": [one, {**_list_of(one), "minItems": 1}]}
