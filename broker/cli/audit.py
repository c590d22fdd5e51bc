"""The commands over the audit log: verify, show, delete and accept."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from broker.adapters.audit_log.monthly_files import AuditFiles
from broker.adapters.audit_log.verification import AuditFinding, VerificationReport, verify
from broker.app import assembly
from broker.app.assembly import Parts, now
from broker.app.readiness import STORE_LOST
from broker.cli.output import FINDINGS, Row, as_json, folder, printing_faults, show, show_done
from broker.core.identity.cpr import looks_like_cpr
from broker.core.identity.person_id import PersonIds
from broker.use_cases.staff import staff_sessions


@click.group()
def audit() -> None:
    """Verify and read the audit log."""


@audit.command("verify", short_help="Check that no line was changed, removed, moved or added.")
@folder
@click.option(
    "--key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The file audit.key that belongs to FOLDER.",
)
@as_json
@printing_faults
def verify_audit_log(folder: Path | None, key: Path | None, *, as_json: bool) -> None:
    """Check the configured audit log, or a copy of one in FOLDER with --key.

    Exit 1 with the lines that are wrong.
    """
    if (folder is None) != (key is None):
        raise click.UsageError("FOLDER and --key go together")
    if folder is not None and key is not None:
        report = verify(AuditFiles(folder, key.read_bytes()))
    else:
        report = verify_configured(assembly.open_broker())
    findings = [str(finding) for finding in report.findings]
    notes = [str(note) for note in report.notes]
    if as_json:
        last = {"lines": report.lines, "last": report.number, "link": report.link}
        click.echo(json.dumps({"findings": findings, "notes": notes, **last}, indent=2))
    else:
        lines = findings + [f"note: {note}" for note in notes]
        click.echo("\n".join(lines) or "all well")
        what = f"{report.lines} lines; the last is {report.number} {report.link[:16]}"
        click.echo(what, err=True)
    if findings:
        raise SystemExit(FINDINGS)


def verify_configured(parts: Parts) -> VerificationReport:
    """Verify the audit log of a broker, and compare it with the anchors in the store.

    An anchor is the link of an earlier line.
    """
    audit_log = parts.audit_log
    report = verify(audit_log.files, audit_log.anchors.links(now()))
    if report.head is not None and not audit_log.anchors.has_any(report.head, now()):
        report.findings.append(AuditFinding("store", STORE_LOST))
    return report


@audit.command("show", short_help="Show the events of a page, a borrower or a member of staff.")
@click.option("--reference", help="The help code on a page.")
@click.option("--borrower", help="The borrower number of the library system.")
@click.option("--staff", metavar="EPPN", help="A person listed in [admin].")
@as_json
@printing_faults
def show_events(
    reference: str | None, borrower: str | None, staff: str | None, *, as_json: bool
) -> None:
    """Show events, oldest first. Events of deleted persons cannot be shown."""
    if (reference, borrower, staff).count(None) != 2:
        raise click.UsageError("name one of --reference, --borrower and --staff")
    if staff is not None and looks_like_cpr(staff):
        raise click.UsageError("--staff takes an eppn; a CPR number must not stand in a command")
    rows = find_events(assembly.open_broker(), reference, borrower, staff)
    show(rows, as_json=as_json)


def find_events(
    parts: Parts,
    reference: str | None = None,
    borrower: str | None = None,
    staff: str | None = None,
) -> Sequence[Row]:
    """Return the events of a help code, of a borrower or of the member of staff with an eppn."""
    if reference is not None:
        return list(parts.audit_log.list_by_reference(reference, now()))
    if borrower is not None:
        stored = parts.stored_data
        return stored.list_events(stored.find_of_borrower(borrower))
    rules = parts.config.staff_rules()
    if rules is None:
        raise click.UsageError("there is no staff view: broker.toml has no table [admin]")
    staff_id = staff_sessions.compute_staff_id(parts.keys.index, rules, staff or "")
    return list(parts.audit_log.list_events(PersonIds((staff_id,)), now()))


@audit.command(short_help="Delete the oldest month.")
@click.argument("month")
@as_json
@printing_faults
def delete(month: str, *, as_json: bool) -> None:
    """Delete MONTH (2026-11), which must be the oldest.

    A line that records the deletion is written first, so that the chain stays whole.
    """
    assembly.open_broker().audit_log.files.delete(month, now())
    show_done(f"{month} deleted", as_json=as_json, deleted=month)


@audit.command(short_help="Accept what verify finds now.")
@as_json
@printing_faults
def accept(*, as_json: bool) -> None:
    """Write to the audit log that staff have seen the present findings of "broker audit verify".

    "verify" then lists them as notes instead of findings, and exits 0.
    """
    parts = assembly.open_broker()
    report = verify_configured(parts)
    if report.findings:
        marks = [finding.mark for finding in report.findings]
        parts.audit_log.files.accept(now(), marks, (report.number, report.link))
        parts.audit_log.anchors.drop_after(report.number, now())
        if report.anchor is not None:
            parts.audit_log.anchors.add(report.anchor, now())
    count = len(report.findings)
    show_done(f"{count} findings accepted", as_json=as_json, accepted=count)
