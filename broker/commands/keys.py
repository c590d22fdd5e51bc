"""The commands that make and list the broker's own keys."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from broker.commands.telling import as_json, folder, show, told
from broker.inspection import configuration
from broker.saml import keys as saml_keys


@click.group()
def keys() -> None:
    """Make and list the broker's own keys."""


@keys.command(short_help="Make every key the broker needs.")
@click.argument("folder", type=click.Path(path_type=Path))
@told
def generate(folder: Path) -> None:
    """Make every key the broker needs in FOLDER, which must be new or empty (RSA-3072)."""
    saml_keys.generate(folder, datetime.now(UTC))
    click.echo(f"keys are in {folder}; keep a copy of index.key and person.key: nothing replaces them")


@keys.command("list", short_help="List the keys, none of their secrets.")
@folder
@as_json
@told
def list_keys(folder: Path | None, *, as_json: bool) -> None:
    """List the keys of FOLDER (else those configured): use, slot, bits, end of the certificate, fingerprint."""
    show([asdict(each) for each in saml_keys.listing(folder or configuration().keys)], as_json=as_json)
