"""The command that gives editors the schemas of the files that people write."""

import os
from pathlib import Path

import click

from broker.app import editor_files
from broker.app.named_configuration import configuration
from broker.cli.output import existing_folder, printing_faults
from broker.configuration.policies.site_schema import SiteNames
from broker.configuration.settings.toml_and_environment import CONFIG


@click.command("schema", short_help="Print the schema by which editors check the files.")
@click.option(
    "--of",
    "kind",
    type=click.Choice(editor_files.KINDS),
    default=editor_files.POLICY,
    show_default=True,
    help="The kind of file.",
)
@click.option(
    "--write",
    "writes",
    is_flag=True,
    help="Write all of them where the configured files name them.",
)
@click.option(
    "--into",
    metavar="FOLDER",
    type=existing_folder,
    help="Write those of the policies into a draft in their place.",
)
@printing_faults
def schema(kind: str, into: Path | None, *, writes: bool) -> None:
    """Print the JSON Schema of a kind of file, for completion, explanations and red lines.

    With a configuration the policies' schema knows the site's own services, upstreams and
    attributes, and the categories of the policies. Without one any name will do.
    """
    if writes or into:
        settings = configuration()
        for path in editor_files.write(settings, _names(), into):
            click.echo(f"written: {path}")
        return
    names = None
    if CONFIG in os.environ:
        names = _names()
    elif kind == editor_files.POLICY:
        click.echo(f"any name will do: {CONFIG} is not set", err=True)
    click.echo(editor_files.schema_text(kind, names), nl=False)


def _names() -> SiteNames:
    names, faults = editor_files.collect_site_names(configuration())
    if faults:
        told = "broker policy check tells which"
        click.echo(f"without categories: the policies have faults ({told})", err=True)
    return names
