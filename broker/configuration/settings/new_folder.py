"""Writes a new folder that a broker can run in. It never overwrites a file."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import broker
from broker.configuration import durable_files
from broker.configuration.checked_files import FILL_IN
from broker.core.errors import ConfigurationFaults, Fault

CONFIGURATION: Final = "broker.toml"
# In a checkout the top-level policies/, attribute_maps/ and so on are links to these.
SHIPPED: Final = Path(broker.__file__).with_name("shipped")
_COPIED: Final = ("policies", "attribute_maps")
SITE_RULES_FILE: Final = "policy_properties.yaml"
_WAYF: Final = Path(__file__).with_name("wayf.toml")
_STATE: Final = 'state = "state"'
# The files of secrets that wayf.toml names, in use or in a comment.
WAYF_SECRETS: Final = {
    "koha": f"{FILL_IN}: the client secret of the broker's API client in Koha\n",
    "mail": f"{FILL_IN}: the password at the mail server\n",
}
WRITTEN: Final = (CONFIGURATION, "keys", *_COPIED, SITE_RULES_FILE, "metadata", "secrets")


def make_first_configuration(state: Path) -> str:
    """Return the text of a first broker.toml for WAYF and Koha, with placeholders."""
    text = _WAYF.read_text(encoding="utf-8")
    return text.replace(_STATE, f'state = "{state}"')


def _check_unused(folder: Path) -> None:
    """Raise ConfigurationFaults if anything that would be written exists already."""
    faults = []
    for name in WRITTEN:
        path = folder / name
        if path.exists() or path.is_symlink():
            fix = "name another folder: nothing is overwritten"
            faults.append(Fault(str(path), "is there already", fix))
    if faults:
        raise ConfigurationFaults(faults)


def write_folder(
    folder: Path, configuration: str, secrets: Mapping[str, str], *, site_rules: bool = False
) -> None:
    """Write everything except the key files, which ``broker init`` makes afterwards.

    ``configuration`` is the text of broker.toml. ``secrets`` maps file names to texts. With
    ``site_rules`` the shipped site rules are written too. Raises ConfigurationFaults if a file
    exists already, and OSError if the folder cannot be written.
    """
    _check_unused(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in _COPIED:
        shutil.copytree(SHIPPED / name, folder / name, copy_function=shutil.copyfile)
    (folder / "metadata").mkdir()
    (folder / "secrets").mkdir(mode=0o700)
    for name, text in secrets.items():
        _write_new(folder / "secrets" / name, text)
    if site_rules:
        _write_new(
            folder / SITE_RULES_FILE, (SHIPPED / SITE_RULES_FILE).read_text(encoding="utf-8")
        )
    _write_new(folder / CONFIGURATION, configuration)
    durable_files.sync_folder(folder)


def _write_new(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
