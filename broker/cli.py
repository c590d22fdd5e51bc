"""The command line: serve, check, keys, policies, enrolments and the demo."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import click

from broker import inspection
from broker.core.errors import BrokerError, ConfigurationFaults
from broker.parts import assemble, read_config
from broker.saml import keys as saml_keys

FINDINGS: Final = 1
CONFIGURATION: Final = 78

P = ParamSpec("P")
R = TypeVar("R")


def main() -> None:
    """Run the command line; refuses ``python -O``, under which pysaml2's own checks vanish (attacks.md row 34)."""
    if not __debug__:
        click.echo("broker does not run under python -O: assertions are checks in libraries it uses", err=True)
        raise SystemExit(CONFIGURATION)
    broker(prog_name="broker")


def told(command: Callable[P, R]) -> Callable[P, R]:
    """Tell every fault of the configuration, one a line on standard error, and end with 78; other errors with 1."""

    @wraps(command)
    def run(*args: P.args, **options: P.kwargs) -> R:
        try:
            return command(*args, **options)
        except ConfigurationFaults as found:
            for fault in found.faults:
                click.echo(str(fault), err=True)
            raise SystemExit(CONFIGURATION) from None
        except BrokerError as error:
            click.echo(f"{error.reason}: {error}", err=True)
            raise SystemExit(FINDINGS) from None

    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def broker() -> None:
    """Broker logins between WAYF, NemID and a library's services.

    The configuration is the file that BROKER_CONFIG names.
    """


@broker.command()
@told
def serve() -> None:
    """Serve the broker under gunicorn."""
    from broker import serving  # noqa: PLC0415 - no other command needs a web server

    serving.serve(read_config())


@broker.command()
@click.option("--reference", help="Show what a page's reference of eight characters stands for.")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
@told
def check(reference: str | None, *, as_json: bool) -> None:
    """Check configuration, keys, metadata, maps, policies, store and library; exit 1 with findings, 78 with faults."""
    parts = assemble(read_config())
    if reference:
        trace = inspection.trace(parts, reference)
        if trace is None:
            raise click.ClickException("no page of the last thirty days had this reference")
        click.echo(json.dumps(trace, indent=2))
        return
    findings = inspection.findings(parts)
    click.echo(json.dumps({"findings": findings}) if as_json else "\n".join(findings) or "all well")
    if findings:
        raise SystemExit(FINDINGS)


@broker.command()
@told
def healthcheck() -> None:
    """Ask the running broker on this machine whether it is ready; exit 1 if not."""
    status = inspection.health(read_config())
    click.echo(status)
    if status != "ready":
        raise SystemExit(FINDINGS)


@broker.group()
def keys() -> None:
    """Make and list the broker's own keys."""


@keys.command()
@click.argument("folder", type=click.Path(path_type=Path))
@told
def generate(folder: Path) -> None:
    """Make every key the broker needs in FOLDER, which must be new or empty (RSA-3072)."""
    saml_keys.generate(folder, datetime.now(UTC))
    click.echo(f"keys are in {folder}; keep a copy of index.key and person.key: nothing replaces them")


@keys.command("list")
@told
def list_keys() -> None:
    """List the keys: use, slot, size, fingerprint."""
    for each in saml_keys.listing(read_config().keys):
        until = f"{each.until:%Y-%m-%d}" if each.until else "-"
        click.echo(f"{each.use:16} {each.slot:10} {each.bits:5} {until:10} {each.fingerprint[:32]}")


@broker.group()
def policy() -> None:
    """Check and test the policy files."""


@policy.command("check")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False), required=False)
@told
def check_policies(folder: Path | None) -> None:
    """Check the policy files of FOLDER (else those configured): form, names, texts and examples."""
    loaded = inspection.load_policies(folder, read_config)
    for warning in loaded.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"{len(loaded.policies)} policies, {loaded.digest[:12]}: well")


@policy.command("test")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False), required=False)
@told
def test_policies(folder: Path | None) -> None:
    """Run the examples of the policy files and print each; exit 1 if one fails or there is none."""
    results = inspection.run_examples(inspection.load_policies(folder, read_config), None)
    for result in results:
        differences = "; ".join(result.differences)
        click.echo(
            f"{'FAILS' if differences else 'holds'}  {result.example.place}  {result.example.name}  {differences}"
        )
    failed = [each for each in results if each.differences]
    click.echo(f"{len(results) - len(failed)} of {len(results)} examples hold")
    if failed or not results:
        raise SystemExit(FINDINGS)


@broker.group()
def enrolments() -> None:
    """Look after borrowers that are wanted, made, or waiting for staff."""


@enrolments.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
@told
def list_enrolments(*, as_json: bool) -> None:
    """List every enrolment; nothing personal but the borrower number."""
    rows = [dict(row) for row in assemble(read_config()).cases.rows()]
    _print(rows, as_json=as_json)


@enrolments.command("show")
@click.argument("enrolment")
@told
def show_enrolment(enrolment: str) -> None:
    """Show one enrolment by its id."""
    row = assemble(read_config()).cases.show(enrolment)
    if row is None:
        raise click.ClickException("no such enrolment")
    _print([dict(row)], as_json=True)


@enrolments.command("retry")
@click.argument("enrolment")
@told
def retry_enrolment(enrolment: str) -> None:
    """Try an enrolment again, after what it stood at has been put right."""
    if not assemble(read_config()).cases.retry(enrolment):
        raise click.ClickException("no such enrolment, or nothing left to try")
    click.echo("it is due now")


@enrolments.command("run")
@told
def run_enrolments() -> None:
    """Carry out everything that is due now, and end."""
    worked = assemble(read_config()).enrolments
    count = 0
    while worked.step() is not None:
        count += 1
    click.echo(f"{count} carried out")


def _print(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(rows, indent=2, default=str))
        return
    for row in rows:
        click.echo("  ".join(f"{name}={value}" for name, value in row.items() if value is not None))


@broker.command()
@click.option("--port-base", default=8080, show_default=True, help="The broker's port; the others take the next ones.")
@click.option("--check", "checks", is_flag=True, help="Drive every persona over HTTP, print the report and end.")
@click.option("--json", "as_json", is_flag=True, help="With --check: print for programs.")
@told
def demo(port_base: int, *, checks: bool, as_json: bool) -> None:
    """Run the broker with a simulated WAYF, NemLog-in, library, patron API and mailbox."""
    from broker.demo import showing  # noqa: PLC0415 - the simulated parties are no part of a broker in service

    raise SystemExit(showing.show(port_base, checks=checks, as_json=as_json))


if __name__ == "__main__":
    main()
