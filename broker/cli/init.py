"""The command that writes a new folder for a broker."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from broker.adapters.saml.keys import key_ring
from broker.cli.output import as_json, printing_faults, show_done, waiting
from broker.configuration.settings import new_folder

_WHAT: Final = {
    "broker.toml": "the configuration, commented",
    "keys/": "the broker's own keys: keep a copy, nothing replaces them",
    "policies/": "who a person is to the library, and what leaves",
    new_folder.RULES: "what no edit of policies/ may change",
    "attribute_maps/": "how attributes are named on the wire",
    "metadata/": "for the descriptors of services: docs/connect.md",
    "secrets/": "for the library system's and the mail server's secret",
}
_FOR_WAYF: Final = """\
Next:
  export BROKER_CONFIG={config}
  broker check    # names each place that is left to fill in
  broker serve    # and, in another terminal: broker work"""
_FOR_DEMO: Final = """\
Next:
  broker demo --around {folder} &    # WAYF, library system, services and mailbox around it
  export BROKER_CONFIG={config}
  broker check
  broker serve &
  broker work &
  then log in at {library}"""


@click.command("init", short_help="Write a new folder for a broker.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--for",
    "purpose",
    type=click.Choice(["wayf", "demo"]),
    default="wayf",
    show_default=True,
    help="For WAYF and a Koha, to fill in; or ready for a login beside the demo.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    default=Path("state"),
    show_default=True,
    help="Where the broker writes, relative to DIR.",
)
@click.option(
    "--port-base",
    type=click.IntRange(1, 65535 - 7),
    default=8080,
    show_default=True,
    help="For the demo: first of eight ports, the broker's.",
)
@as_json
@printing_faults
def init(folder: Path, purpose: str, state: Path, port_base: int, *, as_json: bool) -> None:
    """Write broker.toml, keys, policies, maps and metadata into DIR; nothing is asked.

    A folder that holds one of them already is refused, and left as it is.
    """
    now = datetime.now(UTC)
    library = ""
    with waiting("making keys"):
        if purpose == "demo":
            library = _for_demo(folder, port_base, now)
        else:
            text = new_folder.wayf_toml(state)
            new_folder.write(folder, text, new_folder.WAYF_SECRETS, rules=True)
            key_ring.generate(folder / "keys", now)
    config = folder.resolve() / new_folder.CONFIGURATION
    next_steps = _FOR_DEMO if purpose == "demo" else _FOR_WAYF
    lines = [f"In {folder}:"]
    there = ((name, what) for name, what in _WHAT.items() if (folder / name).exists())
    lines.extend(f"  {name:22} {what}" for name, what in there)
    lines.extend(("", next_steps.format(config=config, folder=folder, library=library)))
    show_done("\n".join(lines), as_json=as_json, config=str(config))


def _for_demo(folder: Path, port_base: int, now: datetime) -> str:
    """Write a folder with the demo's simulated parties; return where its library is."""
    from broker.demo.run import demo_folder  # noqa: PLC0415 - the simulated parties are no part of a broker in service

    setting = demo_folder.write(folder, demo_folder.Ports(port_base), now, rules=True)
    setting.keep_parties()
    return setting.ports.origin("library")
