"""The JSON Schema of a policy file with a site's own names in it, for completion and red lines."""

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
    the library system, empty where it does not say. ``categories`` and ``affiliations`` are those
    that the policies name already: new ones are added by writing them.
    """

    services: Collection[str]
    upstreams: Collection[str]
    attributes: Mapping[str, str]
    fields: Collection[str] = ()
    categories: Collection[str] = ()
    affiliations: Collection[str] = ()


def site_schema(names: SiteNames) -> JsonSchema:
    """Return the JSON Schema of a policy file that knows the names of a site.

    A name that the site does not have breaks it, where a policy may name no other. Where it may, as
    a new category, the known names are offered and any is taken.
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
    """Write into the schema of a list's items which attributes there are."""
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
    """Write into the schemas of mappings what their keys may hold, and which there may be."""
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
    """Return the attributes that may be looked at, each with its label."""
    every = names.attributes.items()
    return {name: label for name, label in every if name not in NEVER_BY_CATEGORY}


def _values(names: SiteNames) -> Iterable[tuple[str, str, JsonSchema]]:
    """Yield what a key may hold, by shape and key."""
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
    """Yield the keys that a mapping may have beside its own, by shape and key; "" its own."""
    yield "PolicyShape", "release", dict.fromkeys(names.services, "")
    yield "AlternativeShape", "", _matchable(names)
    yield "LoginShape", "", names.attributes
    if names.fields:
        yield "BorrowerShape", "fields", dict.fromkeys(names.fields, "")


def _add_key_names(mapping: JsonSchema, listed: Mapping[str, str]) -> None:
    """Put ``listed`` keys, each with its label, in the place of any key."""
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
    """Return the schema ``values`` with the description of the key whose values they are."""
    kept = {key: text for key, text in described.items() if key.lower().endswith("description")}
    return {**values, **kept}


def _enum(names: Iterable[str]) -> JsonSchema:
    return {"enum": list(names)}


def _offer(names: Collection[str]) -> JsonSchema:
    """Return a schema that takes any text, and by which editors offer the names."""
    if not names:
        return _TEXT
    return {"anyOf": [_enum(names), _TEXT]}


def _list_of(one: JsonSchema) -> JsonSchema:
    return {"type": "array", "items": one}


def _one_or_several(one: JsonSchema) -> JsonSchema:
    return {"anyOf": [one, {**_list_of(one), "minItems": 1}]}
