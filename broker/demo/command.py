"""The command ``broker demo``: prints the addresses and waits, or checks every persona."""

import json
import shutil
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path

import click

from broker.core.errors import ConfigurationFaults, Fault
from broker.demo.check import persona_check
from broker.demo.run.demo_folder import Ports, Setting, read, write
from broker.demo.run.running_demo import Running, run_demo, run_parties

_FINDINGS = 1
_POLL_S = 0.5
_ROW = "{:10} {:12} {:22} {:10} {:13} {:8} {:8} {}"
_HEADER = (
    "persona",
    "affiliation",
    "decision",
    "borrower",
    "account",
    "machine",
    "address",
    "released",
)
_PARTIES = (
    ("library", 'log in at "My loans", borrow at the machine, sign up'),
    ("patrons", "the borrowers of the simulated library system"),
    ("mailbox", "the mails that were sent"),
    ("broker", "the broker itself: /saml/idp/metadata, /readyz; staff (bo, cilla): /admin"),
    ("hub", "the simulated WAYF; logins lead here"),
    ("nemlogin", "the simulated NemLog-in; used if MitID is not reached through WAYF"),
)
_REGISTER_TEXT = "the simulated register of persons: its people, and faults to switch on"
_SIP2 = "127.0.0.1:{}"
_SIP2_TEXT = "the library system for self-service machines (SIP2 over TCP)"


def run_demo_command(
    port_base: int,
    *,
    checks: bool,
    as_json: bool,
    store: str = "sqlite:state/broker.db",
    national_eid: str = "wayf",
) -> int:
    """Run the demo in a temporary folder and remove it afterwards. Return the exit code."""
    folder = Path(tempfile.mkdtemp(prefix="broker-demo-"))
    try:
        setting = write(
            folder / "demo",
            Ports(port_base),
            datetime.now(UTC),
            store=store,
            national_eid=national_eid,
            register=True,
        )
        with run_demo(setting) as demo:
            if checks:
                return _check(demo, as_json=as_json)
            return _wait(setting, "The demo is running")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_parties_for(folder: Path) -> int:
    """Run the simulated parties for the broker of ``folder``. Return the exit code.

    Raise ConfigurationFaults unless ``broker init --for demo`` wrote the folder.
    """
    try:
        setting = read(folder)
    except OSError:
        what = "has no keys of the simulated parties"
        fix = "write the folder with broker init DIR --for demo"
        raise ConfigurationFaults([Fault(str(folder), what, fix)]) from None
    with run_parties(setting):
        return _wait(setting, f"The simulated parties for the broker of {folder} are running")


def _wait(setting: Setting, state: str) -> int:
    ports = setting.ports
    origin = ports.origin
    click.echo(f"{state}. Begin at the library:\n")
    for party, text in _PARTIES:
        click.echo(f"  {origin(party):32} {text}")
    if setting.has_register:
        click.echo(f"  {origin('register'):32} {_REGISTER_TEXT}")
    click.echo(f"  {_SIP2.format(ports.number('sip2')):32} {_SIP2_TEXT}")
    forever = threading.Event()
    try:
        click.echo("\nCtrl-C ends it.")
        # Wait in short steps: a signal at the beginning of a wait is handled when that wait ends.
        while not forever.wait(_POLL_S):
            pass
    except KeyboardInterrupt:
        click.echo()
    return 0


def _check(demo: Running, *, as_json: bool) -> int:
    """Print the outcome of each persona, as a row as soon as it is known or all as JSON."""
    if not as_json:
        click.echo(_ROW.format(*_HEADER))
    reports = []
    for report in persona_check.check(demo):
        reports.append(report)
        if not as_json:
            click.echo(_format_row(report))
    if as_json:
        click.echo(json.dumps(persona_check.as_json(reports), indent=2))
    unexpected = ", ".join(report.persona for report in reports if not report.ok)
    if not as_json:
        click.echo(
            f"\nnot as expected: {unexpected}" if unexpected else "\nevery persona as expected"
        )
    return _FINDINGS if unexpected else 0


def _format_row(report: persona_check.PersonaReport) -> str:
    account = report.account or {}
    cells = (
        report.persona,
        report.affiliation,
        report.decision,
        report.borrower,
        " ".join((account.get("category", ""), account.get("number", ""))).strip(),
        report.machine,
        report.register,
        ", ".join(report.released),
    )
    return _ROW.format(*(cell or "-" for cell in cells))
