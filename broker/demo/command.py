"""The command ``broker demo``: prints where everything is and waits, or checks every persona and reports."""

import json
import shutil
import tempfile
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from broker.demo.check import persona_check
from broker.demo.run.demo_folder import Ports, write
from broker.demo.run.running_demo import Running, running

_FINDINGS = 1


def run_demo_command(
    port_base: int,
    *,
    checks: bool,
    as_json: bool,
    store: str = "sqlite:state/broker.db",
    national_eid: str = "wayf",
) -> int:
    """Run the demo in a folder of its own, removed at the end; give the exit code."""
    folder = Path(tempfile.mkdtemp(prefix="broker-demo-"))
    try:
        setting = write(
            folder / "demo",
            Ports(port_base),
            datetime.now(UTC),
            store=store,
            national_eid=national_eid,
        )
        with running(setting) as demo:
            return _check(demo, as_json=as_json) if checks else _wait(demo)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(demo: Running) -> int:
    origin = demo.setting.ports.origin
    click.echo("The demo is running. Begin at the library:\n")
    for party, what in (
        ("library", 'log in at "My loans", borrow at the machine, sign up'),
        ("patrons", "the borrowers of the simulated library system"),
        ("mailbox", "the mails that people got"),
        ("broker", "the broker itself: /saml/idp/metadata, /readyz"),
        ("hub", "the simulated WAYF; one comes here by logging in"),
        ("nemlogin", "the simulated NemLog-in, where the national eID does not go by WAYF"),
    ):
        click.echo(f"  {origin(party):32} {what}")
    click.echo("\nCtrl-C ends it.")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        click.echo()
    return 0


def _check(demo: Running, *, as_json: bool) -> int:
    reports = persona_check.check(demo)
    click.echo(json.dumps(persona_check.as_json(reports), indent=2) if as_json else _table(reports))
    return 0 if all(each.ok for each in reports) else _FINDINGS


def _table(reports: Sequence[persona_check.PersonaReport]) -> str:
    rows = [("persona", "affiliation", "decision", "borrower", "account", "released")]
    rows += [
        (
            each.persona,
            each.affiliation or "-",
            each.decision,
            each.borrower,
            "{category} {number}".format(**each.account) if each.account else "-",
            ", ".join(each.released) or "-",
        )
        for each in reports
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[5]])
        for row in rows
    ]
    wrong = [each.persona for each in reports if not each.ok]
    return "\n".join(
        [
            *lines,
            "",
            f"not as expected: {', '.join(wrong)}" if wrong else "every persona as expected",
        ]
    )
