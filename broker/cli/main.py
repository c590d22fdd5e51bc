"""The command line ``broker``: its own commands, and a group of commands a noun."""

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
    show_findings,
    waiting,
)
from broker.configuration.settings.toml_and_environment import CONFIG
from broker.configuration.uncollected import uncollected

_ENDS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_DEMO_EXTRA: Final = 'the demo needs the extra "demo", which "make demo" installs'
_DISTRIBUTION: Final = "library-identity-broker"
# The groups of commands, and init: where each stands under broker/cli.
_NOUNS: Final = {
    "audit": "audit:audit",
    "enrolments": "enrolments:enrolments",
    "healthcheck": "health_check:health_check",
    "init": "init:init",
    "keys": "keys:keys",
    "library": "library:library",
    "messages": "message_log:messages",
    "metadata": "metadata:metadata",
    "person": "person:person",
    "policy": "policy:policy",
}
_BASES: Final = click.IntRange(1, 65535 - 9)  # the demo takes ten ports


def main() -> None:
    """Run the command line; exit 78 under ``python -O``: checks vanish.

    Source: docs/reference/attacks.md#34.
    """
    if not __debug__:
        why = "assertions are checks in libraries it uses"
        click.echo(f"broker does not run under python -O: {why}", err=True)
        raise SystemExit(CONFIGURATION)
    broker(prog_name="broker")


@contextmanager
def _naming(config: Path) -> Iterator[None]:
    """Name ``config`` to the command and what it starts, and to nobody after it."""
    before = os.environ.get(CONFIG)
    os.environ[CONFIG] = str(config)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(CONFIG, None)
        else:
            os.environ[CONFIG] = before


@click.group(cls=LateGroup, late=_NOUNS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(
    package_name=_DISTRIBUTION, prog_name="broker", message="%(prog)s %(version)s"
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The broker.toml to read, in place of the one that BROKER_CONFIG names.",
)
@click.pass_context
def broker(call: click.Context, config: Path | None) -> None:
    """Broker logins between WAYF, NemID and a library's services.

    The configuration is the file of --config, or that BROKER_CONFIG names; broker init writes one.
    Exit codes: 0 well, 1 findings, 2 usage, 78 configuration.
    """
    if config is not None:
        call.with_resource(_naming(config))


@broker.command(short_help="Serve the broker under gunicorn.")
@printing_faults
def serve() -> None:
    """Serve the broker under gunicorn until SIGTERM.

    SIGHUP reads everything again, if it is sound.
    """
    with uncollected():
        from broker.app import server  # noqa: PLC0415 - no other command needs a web server

    server.serve(configuration)


@broker.command(short_help="Do the work beside the logins: enrolments, letters, feeds.")
@printing_faults
def work() -> None:
    """Carry out enrolments and letters, and fetch feeds, until SIGTERM.

    Run one on each machine, beside broker serve; a second one exits with 78. SIGHUP reads
    everything again, if it is sound.
    """
    with uncollected():
        from broker.app import background_work  # noqa: PLC0415 - no other command works beside logins

    background_work.work(configuration)


@broker.command(short_help="Check everything that the broker is made of.")
@click.option("--party", help="Describe a service or an upstream: what it gets and must send.")
@click.option(
    "--with-a-borrower",
    "tries_borrowers",
    is_flag=True,
    help="Make a trial borrower in each category, try its PIN and delete it.",
)
@as_json
@printing_faults
def check(party: str | None, *, tries_borrowers: bool, as_json: bool) -> None:
    """Check configuration, keys, metadata, attribute maps, policies, store, mail and library.

    Exit 1 if something needs attention, 78 if the broker could not start.
    """
    with uncollected():
        from broker.app import assembly, checks, party_report  # noqa: PLC0415 - they open the whole broker

    parts = assembly.open_broker()
    if party is not None:
        lines = party_report.describe_party(parts, party)
        click.echo(json.dumps(lines, indent=2) if as_json else "\n".join(lines))
        return
    with waiting("checking the broker and the library system"):
        found = checks.find_all(parts)
        if tries_borrowers:
            found += checks.find_trial_faults(parts)
    show_findings(found, as_json=as_json)


@broker.command(short_help="Run the broker with everything around it simulated.")
@click.option(
    "--port-base",
    type=_BASES,
    default=8080,
    show_default=True,
    help="First of ten ports: the broker's.",
)
@click.option(
    "--national-eid",
    type=click.Choice(["wayf", "direct"]),
    default="wayf",
    show_default=True,
    help="The way to NemID: by WAYF, or direct to NemLog-in.",
)
@click.option(
    "--check",
    "checks",
    is_flag=True,
    help="Drive every persona over HTTP, print the report and end.",
)
@click.option(
    "--around",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Run all but the broker, which is served from DIR (broker init DIR --for demo).",
)
@click.option("--json", "as_json", is_flag=True, help="With --check: print for programs.")
@printing_faults
def demo(
    port_base: int, national_eid: str, around: Path | None, *, checks: bool, as_json: bool
) -> None:
    """Run the broker with a simulated WAYF, NemLog-in, library, patron API and mailbox."""
    if as_json and not checks:
        raise click.UsageError("--json goes with --check")
    if around is not None and checks:
        raise click.UsageError("--check goes without --around")
    try:
        with uncollected():
            from broker.demo import command  # noqa: PLC0415 - the simulated parties are no part of a broker in service
    except ModuleNotFoundError as missing:
        package, _, _ = str(missing.name).partition(".")
        raise click.ClickException(f"{package} is not installed: {_DEMO_EXTRA}") from None
    _forget_settings_in_service()
    code = FINDINGS if checks else 0
    for end in _ENDS:
        signal.signal(end, partial(_end_demo, code))
    if around is not None:
        raise SystemExit(command.run_around(around))
    raise SystemExit(
        command.run_demo_command(
            port_base, checks=checks, as_json=as_json, national_eid=national_eid
        )
    )


def _forget_settings_in_service() -> None:
    """Drop what is set for a broker in service: its store and library system are not the demo's."""
    for name in tuple(os.environ):
        if name.startswith("BROKER_"):
            del os.environ[name]


def _end_demo(code: int, _: int, __: object) -> NoReturn:
    """End the demo in order, folder and gunicorn too; a second Ctrl-C must not break into that."""
    for end in _ENDS:
        signal.signal(end, signal.SIG_IGN)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
