"""The commands over the audit log: verify, show, erase, delete, accept."""

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from broker.adapters.audit_log.verification import VerificationReport
from broker.app import audit_operations, diagnostics
from broker.cli.output import FINDINGS, as_json, folder, printing_faults, show, show_done
from broker.core.identity.cpr import looks_like_cpr


@click.group()
def audit() -> None:
    """Check the audit log, read it, and forget what is to be forgotten."""


@audit.command(short_help="Check that no line is changed, missing, moved or put in.")
@folder
@click.option(
    "--key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="audit.key for FOLDER.",
)
@as_json
@printing_faults
def verify(folder: Path | None, key: Path | None, *, as_json: bool) -> None:
    """Check the audit log that is configured, or a copy in FOLDER with --key.

    Exit 1 with the lines that are not right.
    """
    report = _verified(folder, key)
    findings = [str(finding) for finding in report.findings]
    notes = [str(note) for note in report.notes]
    if as_json:
        shown = {
            "findings": findings,
            "notes": notes,
            "lines": report.lines,
            "last": report.number,
            "link": report.link,
        }
        click.echo(json.dumps(shown, indent=2))
    else:
        lines = findings + [f"note: {note}" for note in notes]
        click.echo("\n".join(lines) or "all well")
        last = f"{report.number} {report.link[:16]}"
        click.echo(f"{report.lines} lines; the last is {last}", err=True)
    if findings:
        raise SystemExit(FINDINGS)


def _verified(folder: Path | None, key: Path | None) -> VerificationReport:
    if folder is not None and key is not None:
        return audit_operations.anchored_in_store(folder, key)
    if folder is not None or key is not None:
        raise click.UsageError("FOLDER goes with --key")
    return audit_operations.verified(diagnostics.opened())


@audit.command("show", short_help="Show the events of a page, a borrower or somebody of staff.")
@click.option("--reference", help="A page's reference of eight characters.")
@click.option("--borrower", help="A borrower number.")
@click.option("--staff", metavar="EPPN", help="Somebody who looks at the staff view.")
@as_json
@printing_faults
def show_events(
    reference: str | None, borrower: str | None, staff: str | None, *, as_json: bool
) -> None:
    """Show events, oldest first, as long as their person is not forgotten."""
    if (reference, borrower, staff).count(None) != 2:
        raise click.UsageError("name one of --reference, --borrower and --staff")
    if staff is not None and looks_like_cpr(staff):
        raise click.UsageError("a CPR number is no eppn, and must not stand in a command")
    parts = diagnostics.opened()
    rows = audit_operations.events(parts, reference=reference, borrower=borrower, staff=staff)
    show(rows, as_json=as_json)


@audit.command(short_help="Forget whose a person's events are.")
@click.option(
    "--reference",
    help="The reference of a page that the person was shown: for who has no borrower number.",
)
@click.option("--borrower", help="A borrower number.")
@as_json
@printing_faults
def erase(reference: str | None, borrower: str | None, *, as_json: bool) -> None:
    """Delete the keys by which events are this person's; lines and chain stay whole."""
    _one_of(reference, borrower)
    parts = diagnostics.opened()
    count = audit_operations.erased(parts, reference=reference, borrower=borrower)
    if not count:
        raise click.ClickException("nothing to forget: no key of this person's is kept")
    sentence = f"{count} keys deleted; running workers forget theirs within 5 min"
    show_done(sentence, as_json=as_json, keys_deleted=count)


@audit.command(short_help="Delete the oldest month.")
@click.argument("month")
@as_json
@printing_faults
def delete(month: str, *, as_json: bool) -> None:
    """Delete MONTH (2026-11), which must be the oldest.

    A line says so first, so that the chain stays whole.
    """
    audit_operations.audit_files(diagnostics.opened()).delete(month, datetime.now(UTC))
    show_done(f"{month} deleted", as_json=as_json, deleted=month)


@audit.command(short_help="Write that staff have seen what verify finds.")
@as_json
@printing_faults
def accept(*, as_json: bool) -> None:
    """Write on the audit log that staff have seen what verify finds now: notes from then on."""
    count = audit_operations.accepted(diagnostics.opened())
    show_done(f"{count} findings accepted", as_json=as_json, accepted=count)


def _one_of(reference: str | None, borrower: str | None) -> None:
    if (reference is None) == (borrower is None):
        raise click.UsageError("name one of --reference and --borrower")
