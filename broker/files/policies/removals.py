"""An affiliation that goes is a change: its people are refused, so that it is named to go."""

from collections.abc import Collection, Iterable, Iterator

from broker.core.errors import Fault
from broker.core.policy.model import Policy
from broker.files.checked_files import did_you_mean
from broker.files.policies.policy_folder import REMOVED, FoundFiles


def unannounced(
    found: FoundFiles, policies: Collection[Policy], in_force: Iterable[Policy]
) -> Iterator[Fault]:
    """Yield a fault for each affiliation in force that the set lacks and ``REMOVED`` has not.

    A file that was moved, or named so that nobody reads it, would refuse everybody whom it lets in.
    """
    if found.removed is None:
        return
    kept = {policy.affiliation for policy in policies}
    for policy in in_force:
        name = policy.affiliation
        if name in kept or name in found.removed:
            continue
        slip = did_you_mean(name, found.removed)
        where = f"{found.place}/{policy.file}"
        what = f"the affiliation {name} is in force, and no file is of it any more"
        mend = f"put it back, or write the line {name} into {found.place}/{REMOVED}"
        if slip:
            mend = f"{REMOVED} names {', '.join(sorted(found.removed - kept))}: write {name}"
        yield Fault(where, what, mend)


def unneeded(found: FoundFiles, policies: Iterable[Policy]) -> Iterator[Fault]:
    """Yield a warning for each name in ``REMOVED`` that is there: it could go later unasked."""
    for policy in policies:
        if policy.affiliation in (found.removed or ()):
            what = f"names {policy.affiliation}, which {policy.file} has"
            yield Fault(f"{found.place}/{REMOVED}", what, "remove the line, or the file")
