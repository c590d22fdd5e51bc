"""The command that prints JSON Schemas, by which editors check and complete files."""

import json
from typing import Final

import click

from broker.adapters.web.sign_up import content_files
from broker.configuration import attribute_maps
from broker.configuration.policies import file_schema, policy_properties

_POLICY: Final = "policy"
_SCHEMAS: Final = {
    _POLICY: file_schema.json_schema,
    "services": file_schema.services_schema,
    "policy-properties": policy_properties.rules_schema,
    "attribute-map": attribute_maps.map_schema,
    "labels": attribute_maps.labels_schema,
    "page": content_files.page_schema,
    "faq": content_files.faq_schema,
}


@click.command("schema", short_help="Print the schemas for editors.")
@click.option(
    "--of",
    "kind",
    type=click.Choice(tuple(_SCHEMAS)),
    default=_POLICY,
    show_default=True,
    help="The kind of file.",
)
def schema(kind: str) -> None:
    """Print the JSON Schema of a kind of file, for completion and error marks in editors."""
    click.echo(json.dumps(_SCHEMAS[kind](), indent=2, ensure_ascii=False))
