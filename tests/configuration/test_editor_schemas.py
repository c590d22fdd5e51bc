"""The schemas of editors: every key of every file has its description, and no description is left over."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker.adapters.web.sign_up import content_files
from broker.adapters.web.sign_up.content_files import FaqShape, PageShape
from broker.configuration import attribute_maps
from broker.configuration.attribute_maps import LabelsShape, MapShape
from broker.configuration.checked_files import Shape
from broker.configuration.editor_schemas import ANY_ATTRIBUTE, JsonSchema, descriptions, mappings
from broker.configuration.policies.file_schema import PolicyShape, ServicesShape, json_schema, services_schema
from broker.configuration.policies.policy_properties import SiteRuleShape, rules_schema

ROOT = Path(__file__).resolve().parents[2]
CONTENT = "broker/adapters/web/sign_up/content"
SCHEMAS: dict[str, tuple[type[Shape], Callable[[], JsonSchema]]] = {
    "policies/policy.schema.json": (PolicyShape, json_schema),
    "policies/services.schema.json": (ServicesShape, services_schema),
    "policies/policy_properties.schema.json": (SiteRuleShape, rules_schema),
    "attribute_maps/attribute_map.schema.json": (MapShape, attribute_maps.map_schema),
    "attribute_maps/labels.schema.json": (LabelsShape, attribute_maps.labels_schema),
    f"{CONTENT}/page.schema.json": (PageShape, content_files.page_schema),
    f"{CONTENT}/faq.schema.json": (FaqShape, content_files.faq_schema),
}


def keys(mapping: JsonSchema) -> Iterator[tuple[str, JsonSchema]]:
    """Give the keys of a mapping, and what stands under names that the file chooses, with their schemas."""
    for key, schema in mapping["properties"].items():
        yield key, schema
        if isinstance(schema.get("additionalProperties"), dict):
            yield f"{key}: NAME", schema["additionalProperties"]
    if mapping["additionalProperties"]:
        yield ANY_ATTRIBUTE, mapping["additionalProperties"]


@pytest.mark.long("makes the schema of each kind of file")
def test_every_key_has_a_description_and_every_description_a_key() -> None:
    """One sentence for each key of each kind of file, and an example of that very key."""
    found: dict[str, set[str]] = {}
    for shape, made in SCHEMAS.values():
        for name, mapping in mappings(made(), shape):
            for key, schema in keys(mapping):
                text = descriptions()[name][key]
                assert schema["description"] == text.means
                assert schema["markdownDescription"] == f"{text.means}\n\nExample: `{text.example}`"
                found.setdefault(name, set()).add(key)
    assert found == {name: set(texts) for name, texts in descriptions().items()}


@pytest.mark.parametrize("path", SCHEMAS)
def test_the_schemas_beside_the_files_are_those_that_validate(path: str) -> None:
    """The types that read the files make each schema."""
    assert json.loads((ROOT / path).read_text()) == SCHEMAS[path][1]()


@pytest.mark.parametrize(
    ("folder", "schema", "others"),
    [
        ("policies", "policy", {"services.yaml": "services"}),
        ("attribute_maps", "attribute_map", {attribute_maps.LABELS: "labels"}),
        (CONTENT, "page", {"faq.yaml": "faq"}),
    ],
)
def test_every_shipped_file_names_its_schema_in_its_first_line(
    folder: str, schema: str, others: dict[str, str]
) -> None:
    """An editor looks there, and nowhere else."""
    for path in (ROOT / folder).glob("*.yaml"):
        name = others.get(path.name, schema)
        assert path.read_text().splitlines()[0] == f"# yaml-language-server: $schema=./{name}.schema.json"
