"""Policy files and site rules in the usual layout: what of them would change, and the change."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.app.named_configuration import configuration
from broker.core.errors import ConfigurationFaults, Fault
from broker.files.policies.policy_folder import PolicyFolder
from broker.files.policies.policy_layout import POLICY, SITE_RULES, FileFormat, formatted
from broker.files.settings.new_folder import RULES
from broker.files.settings.toml_and_environment import CONFIG

_HERE: Final = Path("policies")


@dataclass(frozen=True, slots=True)
class PolicyLayout:
    """One file as it is, and in the usual layout."""

    path: Path
    before: str
    after: str

    @property
    def changed(self) -> bool:
        """Return whether the layout is another."""
        return self.before != self.after

    def write(self) -> None:
        """Write the file whole, or leave it as it is; OSError."""
        path = self.path.resolve()
        new = path.with_name(f".{path.name}.new")
        new.write_bytes(self.after.encode())
        shutil.copymode(path, new)
        new.replace(path)


def layouts(folder: Path | None) -> tuple[PolicyLayout, ...]:
    """Return the files of ``folder``, of the configured one, or of ./policies, with their layouts.

    And that of the site rules, where the configured folder is meant, or ./policies: a draft has
    none. ConfigurationFaults for every file that has no layout.
    """
    rules: Path | None = None
    if folder is None:
        folder, rules = _configured()
    faults: list[Fault] = []
    found = []
    for path, octets, form in _files(folder, rules):
        try:
            after = formatted(octets, str(path), form)
            found.append(PolicyLayout(path, octets.decode(), after))
        except ConfigurationFaults as unsettled:
            faults += unsettled.faults
    if faults:
        raise ConfigurationFaults(faults)
    return tuple(found)


def _configured() -> tuple[Path, Path]:
    """Return the folder that is meant where none is named, and the file of site rules beside it."""
    if CONFIG not in os.environ and _HERE.is_dir():
        return _HERE, Path(RULES)
    settings = configuration()
    return settings.policies, settings.policy_properties


def _files(folder: Path, rules: Path | None) -> Iterator[tuple[Path, bytes, FileFormat]]:
    for name, octets in sorted(PolicyFolder(folder).files().files.items()):
        yield folder / name, octets, POLICY
    if rules is not None and rules.is_file():
        yield rules, rules.read_bytes(), SITE_RULES
