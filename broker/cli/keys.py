"""The commands that make, list and rotate the broker's own keys."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from broker.adapters.saml.keys import key_ring, rotation
from broker.app.named_configuration import configuration
from broker.cli.output import FINDINGS, as_json, folder, printing_faults, show, show_done


@click.group()
def keys() -> None:
    """Make, list and rotate the broker's own keys."""


@keys.command(short_help="Make every key the broker needs.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--audit", is_flag=True, help="Make only audit.key, in a folder of before there was one."
)
@as_json
@printing_faults
def generate(folder: Path, *, audit: bool, as_json: bool) -> None:
    """Make every key the broker needs in FOLDER, which must be new or empty (RSA-3072)."""
    if audit:
        key_ring.add_audit(folder)
        why = "without it nobody can check the audit log"
        sentence = f"audit.key is in {folder}; keep a copy: {why}"
        show_done(sentence, as_json=as_json, folder=str(folder))
        return
    key_ring.generate(folder, datetime.now(UTC))
    what = "keep a copy of index.key and person.key: nothing replaces them"
    show_done(f"keys are in {folder}; {what}", as_json=as_json, folder=str(folder))


@keys.command("list", short_help="List the keys, none of their secrets.")
@folder
@as_json
@printing_faults
def list_keys(folder: Path | None, *, as_json: bool) -> None:
    """List the keys of FOLDER, else those configured.

    Shown are use, slot, bits, end and fingerprint of the certificate.
    """
    listed = key_ring.list_keys(folder or configuration().keys)
    show([asdict(key) for key in listed], as_json=as_json)


@keys.command(short_help="Take the next step of a rotation.")
@click.option(
    "--only",
    "tracks",
    multiple=True,
    type=click.Choice(rotation.TRACKS),
    help="Rotate this one; repeatable.",
)
@click.option(
    "--now",
    "early",
    is_flag=True,
    help="Do not wait for peers that hold older metadata: they will notice.",
)
@folder
@as_json
@printing_faults
def rotate(folder: Path | None, tracks: tuple[str, ...], *, early: bool, as_json: bool) -> None:
    """Take the next step for the keys of FOLDER (else those configured): start, switch, finish.

    Reload the broker after each step. Exit 1 where it is too early for any.
    """
    place = folder or configuration().keys
    now = datetime.now(UTC)
    rotation.refuse_clock_in_the_past(place, now)
    turns = rotation.rotate(place, now, tracks or rotation.TRACKS, early=early)
    show([asdict(turn) for turn in turns], as_json=as_json)
    if not any(turn.did for turn in turns):
        earliest = min(turn.earliest for turn in turns)
        click.echo(f"too early; next comes {earliest:%Y-%m-%d %H:%M} UTC", err=True)
        raise SystemExit(FINDINGS)
    click.echo("now reload the broker (SIGHUP), on every machine that has these keys", err=True)
