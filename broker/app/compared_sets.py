"""Opens the policy sets that are to be compared: of folders, and of the history in the store."""

from datetime import datetime
from pathlib import Path

from broker.app import policy_analysis, policy_operations
from broker.app.policy_analysis import AnalysedSets
from broker.app.policy_operations import PolicyDesk
from broker.app.policy_sources import SHOWN
from broker.core.policy.model import PolicySet
from broker.files.policies import live_policies
from broker.files.policies.configured_names import NameableInPolicies
from broker.files.policies.policy_folder import FoundFiles

# A folder, or the beginning of the digest of a set of the history.
NamedSet = Path | str


def opened(named: tuple[NamedSet, ...], moment: datetime) -> AnalysedSets:
    """Load sets, and the site that is configured; without a digest none needs to be.

    The last of them, where it is a folder, is held against the site rules.
    ConfigurationFaults with what stands against one of them, PolicyRefusal where a digest leads to
    no set or to several. StoreUnavailable.
    """
    folders = tuple(name for name in named if isinstance(name, Path))
    if len(folders) == len(named):
        return policy_analysis.opened(folders, moment)
    desk = policy_operations.opened()
    *older, newest = named
    sets = [_loaded(desk, name, desk.names, moment) for name in older]
    sets.append(_loaded(desk, newest, desk.around.proving, moment))
    return AnalysedSets(tuple(sets), policy_analysis.compared_site(desk.around), configured=True)


def _loaded(
    desk: PolicyDesk, name: NamedSet, names: NameableInPolicies, moment: datetime
) -> PolicySet:
    if isinstance(name, Path):
        return live_policies.load(name, moment, names)
    change, files = policy_operations.shown(desk, name)
    found = FoundFiles(files, f"set {change.digest[:SHOWN]}", binding=False)
    return live_policies.load_found(found, moment, names)
