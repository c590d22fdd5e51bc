"""The policies as commands check them: by what a start loads, without a store."""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.app import policy_surroundings
from broker.app.named_configuration import configuration
from broker.app.policy_surroundings import PolicySurroundings
from broker.core.errors import ConfigurationFaults
from broker.core.event_routes import told_nobody
from broker.core.policy.model import PolicySet
from broker.files.policies import last_good, live_policies
from broker.files.policies.policy_folder import PolicyFolder
from broker.files.settings.toml_and_environment import CONFIG

# Without a configuration the files of the folder one stands in are meant.
_HERE: Final = Path("policies")
_UNNAMED: Final = f"names are not checked: set {CONFIG}"


@dataclass(frozen=True, slots=True)
class CheckedPolicies:
    """A sound set of policies, and in sentences what an administrator should look at.

    ``surroundings`` are what it was checked against, None without a configuration. ``before`` are
    the affiliations that there were: those in force on this machine, else of the folder in use.
    """

    policies: PolicySet
    warnings: tuple[str, ...]
    surroundings: PolicySurroundings | None = None
    before: frozenset[str] = frozenset()


def default_folder() -> Path:
    """Return the configured folder; ./policies where nothing is configured. ConfigurationFaults."""
    return _HERE if CONFIG not in os.environ and _HERE.is_dir() else configuration().policies


def load(folder: Path | None, moment: datetime, *, proving: bool = False) -> CheckedPolicies:
    """Load the policies of ``folder``, or those configured, against all that is configured.

    What is in force on this machine is among it: no affiliation of it goes without a word.
    ConfigurationFaults with all faults. Without a configuration any name will do, which is among
    the warnings. Where it is ``proving`` the policies are held against the site rules too.
    """
    if CONFIG not in os.environ and (folder is not None or _HERE.is_dir()):
        loaded = live_policies.load(folder or _HERE, moment)
        warnings = (_UNNAMED, *map(str, loaded.warnings))
        return CheckedPolicies(loaded, warnings, before=_affiliations(_HERE, None))
    settings = configuration()
    found = policy_surroundings.load(settings, told_nobody, moment)
    faults = list(found.faults)
    read = folder or settings.policies
    names = found.proving if proving else found.names
    state = settings.state / "policies"
    checked = policy_surroundings.tried(
        faults, lambda: live_policies.load(read, moment, names, state)
    )
    if checked is None or faults:
        raise ConfigurationFaults(faults)
    warnings = (*map(str, checked.warnings), *found.amiss(moment))
    return CheckedPolicies(checked, warnings, found, _affiliations(settings.policies, state))


def _affiliations(folder: Path, state: Path | None) -> frozenset[str]:
    """Return the affiliations that there were; none where nobody can say, or files are broken."""
    files = last_good.last_good_files(state) if state else None
    try:
        known = live_policies.well_formed(files or PolicyFolder(folder).files().files, str(folder))
    except ConfigurationFaults:
        return frozenset()
    return frozenset(policy.affiliation for policy in known)
