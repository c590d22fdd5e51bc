"""What a check says of the guards of the policies: the list of signers, and the site rules."""

from collections.abc import Iterator
from datetime import datetime
from itertools import combinations
from typing import Final

from broker.adapters import ssh_signatures
from broker.adapters.ssh_signatures import ListedKey
from broker.app.open_record import record_of
from broker.app.policy_site import rules, signers
from broker.core.errors import ConfigurationFaults, StoreUnavailable
from broker.core.policy.site_record import RULES
from broker.files.settings.config import Config
from broker.use_cases.policies.second_person import may_be_one
from broker.use_cases.policies.set_in_force import Live

_FEWEST_KEYS: Final = 2
_LINES: Final = "a line each, as kirsten@library.example ssh-ed25519 AAAA..., or a file of them"
_PATTERN: Final = frozenset("*?")
_GONE: Final = "is gone: the set in force was held against site rules, and the next is against none"
_MENDS: Final = {
    "apply": "put it back, or let broker policy apply record that there is none",
    "save": "put it back, or save a policy file: the record of that says that there is none",
}


def of_signers(settings: Config) -> Iterator[str]:
    """Yield why one person alone can widen what services receive, or nobody with another."""
    if settings.policy.live == "save":
        return
    try:
        allowed = signers(settings)
    except ConfigurationFaults as found:
        yield from map(str, found.faults)
        return
    if not allowed.strip():
        what = "one person alone can put policies in force that release more"
        yield f"policy.signers is not set: {what}"
        return
    if ssh_signatures.key_count(allowed) < _FEWEST_KEYS:
        few = "policy.signers has fewer than two keys: nobody can be the second person"
        yield f"{few} ({_LINES})"
    yield from _overlaps(allowed)
    if not ssh_signatures.is_installed():
        yield str(ssh_signatures.missing_program())


def of_rules(settings: Config, live: Live) -> Iterator[str]:
    """Yield that the site rules are gone which the set in force was held against."""
    was = live.value.site if live else {}
    if RULES in was and rules(settings) is None:
        mend = _MENDS[settings.policy.live]
        yield f"{settings.policy_properties.name} {_GONE} ({mend})"


def of_missing_rules(settings: Config, moment: datetime) -> Iterator[str]:
    """Yield the same for whoever has not opened the store.

    A store that does not answer says nothing of rules; ``broker check`` finds that.
    """
    sets = record_of(settings)
    try:
        live = sets.live(moment) if sets else None
    except StoreUnavailable:
        return
    yield from of_rules(settings, live)


def _overlaps(allowed: bytes) -> Iterator[str]:
    """Yield each two lines whose patterns one name fits: they count as one person's keys.

    Whoever wrote two people down so finds out at the first change that both have signed.
    """
    for one, other in combinations(ssh_signatures.listed_keys(allowed), 2):
        if _is_pattern(one, other) and may_be_one(one.names, other.names):
            lines = f"lines {one.line} ({_names(one)}) and {other.line} ({_names(other)})"
            what = "one name fits both, so that they count as one person's"
            yield f"policy.signers: {lines}: {what}; give names that no other line fits"


def _is_pattern(one: ListedKey, other: ListedKey) -> bool:
    """Return whether two keys have names that stand for several; one plain name is one person."""
    names = (*one.names, *other.names)
    return one.fingerprint != other.fingerprint and any(_PATTERN & set(name) for name in names)


def _names(listed: ListedKey) -> str:
    return ",".join(listed.names)
