"""The files of a policy folder in the usual layout: what of them would change, and the change."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.app.named_configuration import configuration
from broker.core.errors import ConfigurationFaults, Fault
from broker.files.policies.policy_folder import PolicyFolder
from broker.files.policies.policy_layout import formatted
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

    ConfigurationFaults for every file that has none.
    """
    if folder is None:
        unnamed = CONFIG not in os.environ and _HERE.is_dir()
        folder = _HERE if unnamed else configuration().policies
    faults: list[Fault] = []
    found = []
    for name, octets in sorted(PolicyFolder(folder).files().files.items()):
        path = folder / name
        try:
            after = formatted(octets, str(path))
            found.append(PolicyLayout(path, octets.decode(), after))
        except ConfigurationFaults as unsettled:
            faults += unsettled.faults
    if faults:
        raise ConfigurationFaults(faults)
    return tuple(found)
