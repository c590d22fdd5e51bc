"""The command that writes a new configuration folder."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from broker.adapters.saml.keys import key_ring
from broker.cli.output import as_json, printing_faults, show_done, waiting
from broker.configuration.settings import new_folder

_CONTENTS: Final = {
    "broker.toml": "the configuration, with comments",
    "keys/": "the broker's own keys: keep a copy, they cannot be replaced",
    "policies/": "who may log in, what services get, which account is created",
    new_folder.SITE_RULES_FILE: "rules that every edit of policies/ must keep",
    "attribute_maps/": "names of attributes in SAML messages",
    "metadata/": "for the metadata of services (docs/connect.md)",
    "secrets/": "for the secrets of the library system and the mail server",
}
_FOR_WAYF: Final = """\
Next:
  export BROKER_CONFIG={config}
  broker check --next    # names the first thing to do; repeat it until all is well
  broker serve           # and, in another terminal: broker work"""
_FOR_DEMO: Final = """\
Next:
  broker demo --around {folder} &    # simulated WAYF, library system, services and mail server
  export BROKER_CONFIG={config}
  broker check
  broker serve &
  broker work &
  then log in at {library}"""


@click.command("init", short_help="Write a new configuration folder.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--for",
    "purpose",
    type=click.Choice(["wayf", "demo"]),
    default="wayf",
    show_default=True,
    help="A configuration for WAYF and Koha to fill in, or one that works with the demo.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    default=Path("state"),
    show_default=True,
    help="The folder where the broker writes, relative to DIR.",
)
@click.option(
    "--port-base",
    type=click.IntRange(1, 65535 - 7),
    default=8080,
    show_default=True,
    help="For the demo: the broker's port; seven ports after it are also used.",
)
@as_json
@printing_faults
def init(folder: Path, purpose: str, state: Path, port_base: int, *, as_json: bool) -> None:
    """Write broker.toml, keys, policies, attribute maps and metadata into DIR.

    The command overwrites nothing: it refuses a folder that holds one of these.
    """
    now = datetime.now(UTC)
    library = ""
    with waiting("making keys"):
        if purpose == "demo":
            library = _for_demo(folder, port_base, now)
        else:
            text = new_folder.make_first_configuration(state)
            new_folder.write_folder(folder, text, new_folder.WAYF_SECRETS, site_rules=True)
            key_ring.generate(folder / "keys", now)
    config = folder.resolve() / new_folder.CONFIGURATION
    next_steps = _FOR_DEMO if purpose == "demo" else _FOR_WAYF
    lines = [f"In {folder}:"]
    there = ((name, what) for name, what in _CONTENTS.items() if (folder / name).exists())
    lines.extend(f"  {name:22} {what}" for name, what in there)
    lines.extend(("", next_steps.format(config=config, folder=folder, library=library)))
    show_done("\n".join(lines), as_json=as_json, config=str(config))


def _for_demo(folder: Path, port_base: int, now: datetime) -> str:
    """Write a folder for the demo; return the address of its library."""
    from broker.demo.run import demo_folder  # noqa: PLC0415 - needs the extra "demo"

    setting = demo_folder.write(folder, demo_folder.Ports(port_base), now, rules=True)
    setting.save_party_keys()
    return setting.ports.origin("library")
