"""The commands that make, list and rotate the broker's own keys."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from broker.adapters.saml.keys import key_ring, rotation
from broker.app import assembly, fleet_report
from broker.app.named_configuration import configuration
from broker.cli.output import FINDINGS, as_json, folder, printing_faults, show, show_done


@click.group()
def keys() -> None:
    """Make, list and rotate the broker's own keys."""


@keys.command(short_help="Make every key that the broker needs.")
@click.argument("folder", type=click.Path(path_type=Path))
@as_json
@printing_faults
def generate(folder: Path, *, as_json: bool) -> None:
    """Make every key that the broker needs (RSA-3072) in FOLDER, which must be new or empty."""
    key_ring.generate(folder, datetime.now(UTC))
    what = "keep a copy of index.key and person.key: they cannot be replaced"
    show_done(f"keys are in {folder}; {what}", as_json=as_json, folder=str(folder))


@keys.command("list", short_help="List the keys without their secrets.")
@folder
@as_json
@printing_faults
def list_keys(folder: Path | None, *, as_json: bool) -> None:
    """List use, slot, bits, expiry and certificate fingerprint of each key.

    The slot is current, next or previous. The keys are those of FOLDER, or the configured ones.
    """
    listed = key_ring.list_keys(folder or configuration().keys)
    show([asdict(key) for key in listed], as_json=as_json)


@keys.command(short_help="Take the next step of a key rotation.")
@click.option(
    "--only",
    "tracks",
    multiple=True,
    type=click.Choice(rotation.TRACKS),
    help="Rotate only the keys of this kind; repeatable.",
)
@click.option(
    "--now",
    "early",
    is_flag=True,
    help="Do not wait until other parties have read our new metadata: their logins may fail.",
)
@folder
@as_json
@printing_faults
def rotate(folder: Path | None, tracks: tuple[str, ...], *, early: bool, as_json: bool) -> None:
    """Take the next step for the keys of FOLDER or the configured ones: start, switch, finish.

    Reload the broker after each step. Exit 1 if it is too early for the next step, 78 if a machine
    that runs has not loaded the keys of the last step.
    """
    if folder is None:
        fleet_report.refuse_late_machines(assembly.open_broker())
    keys_folder = folder or configuration().keys
    now = datetime.now(UTC)
    rotation.refuse_clock_in_the_past(keys_folder, now)
    steps = rotation.rotate(keys_folder, now, tracks or rotation.TRACKS, early=early)
    show([asdict(step) for step in steps], as_json=as_json)
    if not any(step.did for step in steps):
        earliest = min(step.earliest for step in steps)
        click.echo(f"too early; the next step is due {earliest:%Y-%m-%d %H:%M} UTC", err=True)
        raise SystemExit(FINDINGS)
    click.echo("now reload the broker (SIGHUP), on every machine that has these keys", err=True)
