"""The command line ``broker``: its single commands and its groups of commands."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

import click

from broker.app.named_configuration import configuration
from broker.cli.late_group import LateGroup
from broker.cli.output import (
    CONFIGURATION,
    FINDINGS,
    as_json,
    printing_faults,
    show,
    show_findings,
    waiting,
)
from broker.configuration.settings.toml_and_environment import CONFIG
from broker.core.errors import ConfigurationFaults

_ENDS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_DEMO_EXTRA: Final = 'the demo needs the extra "demo", which "make demo" installs'
_DISTRIBUTION: Final = "library-identity-broker"
# Module and attribute of the commands and groups in other modules of broker/cli.
_LATE_COMMANDS: Final = {
    "audit": "audit:audit",
    "enrolments": "enrolments:enrolments",
    "healthcheck": "health_check:health_check",
    "init": "init:init",
    "keys": "keys:keys",
    "library": "library:library",
    "messages": "message_log:messages",
    "metadata": "metadata:metadata",
    "person": "person:person",
    "policy": "policy.policy_check:policy",
}
_BASES: Final = click.IntRange(1, 65535 - 9)  # the demo takes ten ports


def main() -> None:
    """Run the command line. Exit with 78 under ``python -O``, which removes checks.

    Source: docs/reference/attacks.md#34.
    """
    if not __debug__:
        why = "assertions are checks in libraries it uses"
        click.echo(f"broker does not run under python -O: {why}", err=True)
        raise SystemExit(CONFIGURATION)
    broker(prog_name="broker")


@contextmanager
def _naming(config: Path) -> Iterator[None]:
    """Set BROKER_CONFIG for the command and the processes that it starts."""
    before = os.environ.get(CONFIG)
    os.environ[CONFIG] = str(config)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(CONFIG, None)
        else:
            os.environ[CONFIG] = before


@click.group(
    cls=LateGroup, late=_LATE_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(
    package_name=_DISTRIBUTION, prog_name="broker", message="%(prog)s %(version)s"
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The broker.toml to read, instead of the one in BROKER_CONFIG.",
)
@click.pass_context
def broker(call: click.Context, config: Path | None) -> None:
    """Let people log in to a library's services with WAYF, MitID or their library account.

    The configuration is the file in --config or in BROKER_CONFIG. "broker init" writes one.

    Exit codes: 0 done, 1 something needs attention, 2 wrong usage, 78 wrong configuration.
    """
    if config is not None:
        call.with_resource(_naming(config))


@broker.command(short_help="Run the web server.")
@printing_faults
def serve() -> None:
    """Run the web server (gunicorn) until SIGTERM.

    On SIGHUP it reads the configuration again and applies it if it has no errors. Changed policies
    and metadata are applied without a signal.
    """
    from broker.app import server  # noqa: PLC0415 - no other command needs a web server

    server.serve(configuration)


@broker.command(short_help="Run the background worker: enrolments, mails, metadata feeds.")
@printing_faults
def work() -> None:
    """Carry out enrolments, send mails and fetch metadata feeds until SIGTERM.

    Run one on each machine that runs "broker serve". A second one exits with 78. On SIGHUP it reads
    the configuration again and applies it if it has no errors.
    """
    from broker.app import background_work  # noqa: PLC0415 - no other command needs the worker

    background_work.work(configuration)


@broker.command(short_help="Check the configuration and everything that it names.")
@click.option(
    "--party", metavar="NAME", help="Describe one service or upstream: what it gets and must send."
)
@click.option(
    "--reference", metavar="CODE", help="Show what came of the login with this help code."
)
@click.option(
    "--with-a-borrower",
    "tries_borrowers",
    is_flag=True,
    help="Also create a trial borrower in each category, set its PIN and delete it.",
)
@click.option("--next", "is_first_only", is_flag=True, help="Name only the first thing to do.")
@as_json
@printing_faults
def check(
    party: str | None,
    reference: str | None,
    *,
    tries_borrowers: bool,
    is_first_only: bool,
    as_json: bool,
) -> None:
    """Check configuration, keys, metadata, attribute maps, policies, store, mail and library.

    Exit 1 if something needs attention, 78 if the broker could not start.
    """
    from broker.app import assembly  # noqa: PLC0415 - other commands start faster
    from broker.cli.check import checks, party_report  # noqa: PLC0415 - likewise

    end = 1 if is_first_only else None
    try:
        parts = assembly.open_broker()
    except ConfigurationFaults as error:
        raise ConfigurationFaults(error.faults[:end]) from None
    if party is not None:
        lines = party_report.describe_party(parts, party)
        click.echo(json.dumps(lines, indent=2) if as_json else "\n".join(lines))
        return
    if reference is not None:
        from broker.cli.policy import policy_explain  # noqa: PLC0415 - other checks start faster

        policy_explain.show_login(parts, reference, as_json=as_json)
        return
    with waiting("checking the broker and the library system"):
        found = checks.find_all(parts)
        if tries_borrowers:
            found += checks.find_trial_faults(parts)
    show_findings(found[:end], as_json=as_json)


@broker.command(short_help="Show what runs on every machine, and what differs.")
@as_json
@printing_faults
def fleet(*, as_json: bool) -> None:
    """List the processes that have reported to the store in the last day, and what they run with.

    Exit 1 with the differences between the processes that run and this machine.
    """
    from broker.app import assembly, fleet_report, readiness  # noqa: PLC0415 - other commands start faster

    parts = assembly.open_broker()
    show(fleet_report.list_rows(parts), as_json=as_json)
    found = [*readiness.list_missing_keys(parts), *readiness.list_differences(parts)]
    if found:
        click.echo("\n".join(found), err=True)
        raise SystemExit(FINDINGS)


@broker.command(short_help="Run the broker with simulated surroundings.")
@click.option(
    "--port-base",
    type=_BASES,
    default=8080,
    show_default=True,
    help="The broker's port; the demo also takes the nine ports after it.",
)
@click.option(
    "--national-eid",
    type=click.Choice(["wayf", "direct"]),
    default="wayf",
    show_default=True,
    help="How MitID is reached: through WAYF, or directly at NemLog-in.",
)
@click.option(
    "--check", "checks", is_flag=True, help="Log in as every persona, print a report and exit."
)
@click.option(
    "--around",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Run everything except the broker, for a broker in DIR (broker init DIR --for demo).",
)
@click.option("--json", "as_json", is_flag=True, help="With --check: print for programs.")
@printing_faults
def demo(
    port_base: int, national_eid: str, around: Path | None, *, checks: bool, as_json: bool
) -> None:
    """Run the broker with simulated WAYF, NemLog-in, library system, services and mail server."""
    if as_json and not checks:
        raise click.UsageError("--json needs --check")
    if around is not None and checks:
        raise click.UsageError("--check and --around exclude each other")
    try:
        from broker.demo import command  # noqa: PLC0415 - needs the extra "demo"
    except ModuleNotFoundError as missing:
        package, _, _ = str(missing.name).partition(".")
        raise click.ClickException(f"{package} is not installed: {_DEMO_EXTRA}") from None
    _drop_settings()
    code = FINDINGS if checks else 0
    for end in _ENDS:
        signal.signal(end, partial(_end_demo, code))
    if around is not None:
        raise SystemExit(command.run_parties_for(around))
    raise SystemExit(
        command.run_demo_command(
            port_base, checks=checks, as_json=as_json, national_eid=national_eid
        )
    )


def _drop_settings() -> None:
    """Drop the BROKER_ variables: the demo must not use the real store or library system."""
    for name in tuple(os.environ):
        if name.startswith("BROKER_"):
            del os.environ[name]


def _end_demo(code: int, _: int, __: object) -> NoReturn:
    """Stop the demo and clean up, undisturbed by a second Ctrl-C."""
    for end in _ENDS:
        signal.signal(end, signal.SIG_IGN)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
