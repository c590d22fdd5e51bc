"""The command that prints or writes JSON Schemas, by which editors check and complete files."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import click

from broker.adapters.web.sign_up import content_files
from broker.app import assembly, policy_configuration
from broker.app.named_configuration import configuration
from broker.cli.output import existing_folder, printing_faults
from broker.configuration import attribute_maps
from broker.configuration.editor_schemas import JsonSchema
from broker.configuration.policies import file_schema, live_policies, property_schema
from broker.configuration.policies.site_schema import SiteNames, site_rules_schema, site_schema
from broker.configuration.settings.config import Config
from broker.configuration.settings.toml_and_environment import CONFIG
from broker.core.borrowers.library_system import ExpectedSetup
from broker.core.errors import ConfigurationFaults
from broker.core.policy.model import PolicySet


class _Schema(NamedTuple):
    """A kind of file; ``of_site`` makes the schema that allows only the names of a site."""

    folder: str
    file: str
    any_names: Callable[[], JsonSchema]
    of_site: Callable[[SiteNames], JsonSchema] | None = None


_POLICY: Final = "policy"
_SCHEMAS: Final = {
    _POLICY: _Schema("policies", "policy", file_schema.json_schema, site_schema),
    "services": _Schema("policies", "services", file_schema.services_schema),
    "policy-properties": _Schema(
        "policies", "policy_properties", property_schema.rules_schema, site_rules_schema
    ),
    "attribute-map": _Schema("attribute_maps", "attribute_map", attribute_maps.map_schema),
    "labels": _Schema("attribute_maps", "labels", attribute_maps.labels_schema),
    "page": _Schema("content", "page", content_files.page_schema),
    "faq": _Schema("content", "faq", content_files.faq_schema),
}


@click.command("schema", short_help="Print or write the schemas for editors.")
@click.option(
    "--of",
    "kind",
    type=click.Choice(tuple(_SCHEMAS)),
    default=_POLICY,
    show_default=True,
    help="The kind of file.",
)
@click.option("--write", "writes", is_flag=True, help="Write all schemas beside the files.")
@click.option(
    "--into", metavar="FOLDER", type=existing_folder, help="Write the policies' schemas to a draft."
)
@printing_faults
def schema(kind: str, into: Path | None, *, writes: bool) -> None:
    """Print the JSON Schema of a kind of file, for completion and error marks in editors.

    With a configuration the schema allows only the names of your services, upstreams, attributes
    and categories. Without one it allows any name.
    """
    if writes or into:
        settings = configuration()
        names = _collect_names(settings)
        for path in _write(settings, names, into):
            click.echo(f"written: {path}")
        return
    site_names = _collect_names(configuration()) if CONFIG in os.environ else None
    if site_names is None and kind == _POLICY:
        click.echo(f"any name is allowed: {CONFIG} is not set", err=True)
    click.echo(_format(_SCHEMAS[kind], site_names), nl=False)


def _format(kind: _Schema, names: SiteNames | None) -> str:
    schema = kind.of_site(names) if names and kind.of_site else kind.any_names()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _write(settings: Config, names: SiteNames, into: Path | None) -> Iterator[Path]:
    """Write each schema where the files refer to it, or only the policies' schemas into a draft."""
    folders = {"policies": into}
    if into is None:
        folders = {
            "policies": settings.policies,
            "attribute_maps": settings.attribute_maps,
            "content": settings.content,
        }
    for kind in _SCHEMAS.values():
        folder = folders.get(kind.folder)
        if folder is not None:
            path = folder / f"{kind.file}.schema.json"
            path.write_text(_format(kind, names), encoding="utf-8")
            yield path


def _collect_names(settings: Config) -> SiteNames:
    """Return the names of the site; policies with faults give no categories."""
    maps = attribute_maps.load(settings.attribute_maps)
    labels = {name: maps.labels[name].en if name in maps.labels else "" for name in maps.attributes}
    policies = PolicySet((), "")
    with suppress(ConfigurationFaults):
        policies = live_policies.load(settings.policies, assembly.now())
    categories = (
        *ExpectedSetup.from_policies(policies).categories,
        *settings.library.desk_categories,
    )
    return SiteNames(
        services=tuple(settings.services),
        upstreams=tuple(settings.upstreams),
        attributes=labels,
        fields=sorted(policy_configuration.find_borrower_fields(settings) or ()),
        categories=tuple(dict.fromkeys(categories)),
        affiliations=tuple(policy.affiliation for policy in policies.policies),
    )
