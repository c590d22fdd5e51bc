"""The command line: serve, check, keys, policies, enrolments and the demo."""

import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial, wraps
from pathlib import Path
from typing import Any, Final, NoReturn, ParamSpec, TypeVar

import click

from broker import inspection
from broker.core.errors import ConfigurationFaults
from broker.inspection import configuration
from broker.saml import keys as saml_keys

FINDINGS: Final = 1
CONFIGURATION: Final = 78

_ENDS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_BASES: Final = click.IntRange(1, 65535 - 5)  # the demo takes six ports
_FOLDER: Final = click.Path(path_type=Path, exists=True, file_okay=False)

P = ParamSpec("P")
R = TypeVar("R")


def main() -> None:
    """Run the command line; refuses ``python -O``, under which pysaml2's own checks vanish (attacks.md row 34)."""
    if not __debug__:
        click.echo("broker does not run under python -O: assertions are checks in libraries it uses", err=True)
        raise SystemExit(CONFIGURATION)
    broker(prog_name="broker")


def told(command: Callable[P, R]) -> Callable[P, R]:
    """Tell every fault, one a line on standard error: of the configuration, ending with 78; others with 1."""

    @wraps(command)
    def run(*args: P.args, **options: P.kwargs) -> R:
        try:
            return command(*args, **options)
        except click.ClickException:
            raise
        except Exception as error:  # noqa: BLE001 - no traceback: it may quote anything, a CPR number too
            for line in inspection.account(error):
                click.echo(line, err=True)
            mistaken = isinstance(error, ConfigurationFaults | OSError)  # files the administrator named
            raise SystemExit(CONFIGURATION if mistaken else FINDINGS) from None

    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def broker() -> None:
    """Broker logins between WAYF, NemID and a library's services.

    The configuration is the file that BROKER_CONFIG names. Exit codes: 0 well, 1 findings, 2 usage, 78 configuration.
    """


@broker.command(short_help="Serve the broker under gunicorn.")
@told
def serve() -> None:
    """Serve the broker under gunicorn until SIGTERM; SIGHUP reads everything again, if it is sound."""
    from broker import serving  # noqa: PLC0415 - no other command needs a web server

    serving.serve(configuration)


_folder = click.argument("folder", type=_FOLDER, required=False)
_json = click.option("--json", "as_json", is_flag=True, help="Print for programs.")


@broker.command(short_help="Check everything that the broker is made of.")
@click.option("--reference", help="Show what a page's reference of eight characters stands for.")
@_json
@told
def check(reference: str | None, *, as_json: bool) -> None:
    """Check configuration, keys, metadata, maps, policies, store and library; exit 1 with findings, 78 with faults."""
    parts = inspection.opened()
    if reference is not None:
        trace = inspection.trace(parts, reference)
        if trace is None:
            raise click.ClickException("no page of the last thirty days had this reference")
        _print([trace], as_json=as_json, alone=True)
        return
    findings = inspection.findings(parts)
    click.echo(json.dumps({"findings": findings}, indent=2) if as_json else "\n".join(findings) or "all well")
    if findings:
        raise SystemExit(FINDINGS)


@broker.command(short_help="Ask the running broker whether it is ready.")
@_json
@told
def healthcheck(*, as_json: bool) -> None:
    """Ask the running broker on this machine whether it is ready; exit 1 if not, with the reasons."""
    health = inspection.health(configuration())
    click.echo(json.dumps(asdict(health)) if as_json else "\n".join((health.status, *health.faults)))
    if health.status != "ready":
        raise SystemExit(FINDINGS)


@broker.group()
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
@_folder
@_json
@told
def list_keys(folder: Path | None, *, as_json: bool) -> None:
    """List the keys of FOLDER (else those configured): use, slot, bits, end of the certificate, fingerprint."""
    _print([asdict(each) for each in saml_keys.listing(folder or configuration().keys)], as_json=as_json)


@broker.group()
def policy() -> None:
    """Check and test the policy files."""


@policy.command("check", short_help="Check the policy files.")
@_folder
@_json
@told
def check_policies(folder: Path | None, *, as_json: bool) -> None:
    """Check the policy files of FOLDER: form, names, texts and examples.

    Without FOLDER those configured, or ./policies where BROKER_CONFIG is not set.
    """
    loaded = inspection.load_policies(folder)
    warnings = [str(each) for each in loaded.warnings]
    found = {"policies": len(loaded.policies), "digest": loaded.digest, "warnings": warnings}
    for warning in [] if as_json else warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(json.dumps(found) if as_json else f"{len(loaded.policies)} policies, {loaded.digest[:12]}: well")


@policy.command("test", short_help="Run the examples of the policy files.")
@_folder
@_json
@told
def test_policies(folder: Path | None, *, as_json: bool) -> None:
    """Run the examples of the policy files and print each that holds; exit 78 with all that do not, 1 without any."""
    results = inspection.run_examples(inspection.load_policies(folder), None)
    rows = [{"place": str(each.example.place), "name": str(each.example.name)} for each in results]
    lines = [f"holds  {row['place']}  {row['name']}" for row in rows]
    click.echo(json.dumps(rows, indent=2) if as_json else "\n".join((*lines, f"{len(rows)} examples hold")))
    if not rows:
        raise SystemExit(FINDINGS)


@broker.group()
def enrolments() -> None:
    """Look after borrowers that are wanted, made, or waiting for staff."""


@enrolments.command("list")
@_json
@told
def list_enrolments(*, as_json: bool) -> None:
    """List every enrolment; nothing personal but the borrower number."""
    rows = list(inspection.opened().cases.rows())
    click.echo(f"{len(rows)} enrolments", err=True)
    _print(rows, as_json=as_json)


@enrolments.command("show")
@click.argument("enrolment")
@_json
@told
def show_enrolment(enrolment: str, *, as_json: bool) -> None:
    """Show one enrolment by its id."""
    row = inspection.opened().cases.show(enrolment)
    if row is None:
        raise click.ClickException("no such enrolment; broker enrolments list shows their ids")
    _print([row], as_json=as_json, alone=True)


@enrolments.command("retry", short_help="Try an enrolment again.")
@click.argument("enrolment")
@told
def retry_enrolment(enrolment: str) -> None:
    """Try an enrolment again, after what it stood at has been put right."""
    if not inspection.opened().cases.retry(enrolment):
        raise click.ClickException("no such enrolment, or nothing left to try")
    click.echo("it is due now")


@enrolments.command("run", short_help="Carry out what is due now, and end.")
@told
def run_enrolments() -> None:
    """Carry out everything that is due now, and end."""
    parts = inspection.opened()
    if parts.enrolments.mode != "live":
        raise click.ClickException(f"library.mode is {parts.enrolments.mode}: nothing is carried out")
    click.echo(f"{len(list(iter(parts.enrolments.step, None)))} carried out")


def _print(rows: Sequence[Mapping[str, Any]], *, as_json: bool, alone: bool = False) -> None:
    """Print rows, for programs as JSON, for people each on a line; one ``alone`` with a line for each of its facts."""
    if as_json:
        click.echo(json.dumps(rows[0] if alone else rows, indent=2, default=str))
    for row in [] if as_json else rows:
        facts = [f"{name}={value}" for name, value in row.items() if value is not None]
        click.echo(("\n" if alone else "  ").join(facts))


@broker.command(short_help="Run the broker with everything around it simulated.")
@click.option("--port-base", type=_BASES, default=8080, show_default=True, help="First of six ports: the broker's.")
@click.option("--check", "checks", is_flag=True, help="Drive every persona over HTTP, print the report and end.")
@click.option("--json", "as_json", is_flag=True, help="With --check: print for programs.")
@told
def demo(port_base: int, *, checks: bool, as_json: bool) -> None:
    """Run the broker with a simulated WAYF, NemLog-in, library, patron API and mailbox."""
    if as_json and not checks:
        raise click.UsageError("--json goes with --check")
    from broker.demo import showing  # noqa: PLC0415 - the simulated parties are no part of a broker in service

    # What is set for a broker in service (its store, its library system) must not become the demo's.
    for name in [each for each in os.environ if each.startswith("BROKER_")]:
        del os.environ[name]
    for each in _ENDS:
        signal.signal(each, partial(_ended, FINDINGS if checks else 0))
    raise SystemExit(showing.show(port_base, checks=checks, as_json=as_json))


def _ended(code: int, _: int, __: object) -> NoReturn:
    """End the demo in order, folder and gunicorn too; a second Ctrl-C must not break into that."""
    for each in _ENDS:
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
