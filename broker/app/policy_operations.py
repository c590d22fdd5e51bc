"""What administrators see of the policies in force: what a folder would change, and the past."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.adapters.saml.keys import key_ring
from broker.adapters.telling import application_log
from broker.app import open_sinks, policy_site, policy_surroundings, sealed_stores
from broker.app.assembly import now
from broker.app.named_configuration import configuration
from broker.app.policy_sources import SHOWN
from broker.app.policy_surroundings import PolicySurroundings
from broker.app.policy_trail import PolicyTrail
from broker.app.policy_vouching import PolicyVouching
from broker.core.errors import ConfigurationFaults, Fault, LeadsNowhere
from broker.core.event_routes import told_nobody
from broker.core.policy.model import PolicySet
from broker.core.policy.set_digest import changes, digest
from broker.core.policy.site_record import part_changes
from broker.files.policies import last_good, live_policies, policy_properties
from broker.files.policies.configured_names import NameableInPolicies
from broker.files.policies.policy_folder import FoundFiles, PolicyFolder
from broker.files.settings.config import Config
from broker.use_cases.policies.set_in_force import Live, SetChange, SetInForce

NO_SET: Final = "none"  # the base of a plan over an empty store
_LOOKED_EVERY: Final = 0.2  # seconds


class PolicyRefusal(LeadsNowhere):
    """A change of the policies that is refused, in a sentence with what to do."""

    about = "policy"


@dataclass(frozen=True, slots=True)
class PolicyDesk:
    """What is needed to change the policies in force: no part that serves logins."""

    settings: Config
    trail: PolicyTrail
    around: PolicySurroundings
    site: Mapping[str, str]

    @property
    def sets(self) -> SetInForce:
        """The record."""
        return self.trail.sets

    @property
    def names(self) -> NameableInPolicies:
        """The names that policies may use."""
        return self.around.names


@dataclass(frozen=True, slots=True)
class Plan:
    """A proposed set beside the one in force: what differs, and what stands against it.

    ``before`` is the digest of the set that it was compared with: another than the one in force
    where that is not to be had, and None where there was none. ``sets`` are the two as they decide;
    None where one of them decides nothing here. ``broken`` says which site rules a set of
    lately breaks, ``unvouched`` why the set in force does not decide on this machine.
    """

    live: Live
    before: str | None
    files: Mapping[str, bytes]
    digest: str
    file_changes: tuple[str, ...]
    site: Mapping[str, str]
    site_changes: tuple[str, ...]
    warnings: tuple[str, ...]
    faults: tuple[Fault, ...]
    sets: tuple[PolicySet, PolicySet] | None
    broken: tuple[str, ...] = ()
    unvouched: str = ""

    @property
    def base(self) -> str:
        """Return the digest that ``apply`` is to be given as its base."""
        return self.live.value.digest if self.live else NO_SET

    @property
    def changed(self) -> bool:
        """Return whether an apply would change anything."""
        return self.base != self.digest or bool(self.site_changes or self.unvouched)

    @property
    def summary(self) -> tuple[str, ...]:
        """Return what differs, in words."""
        return (*self.file_changes, *self.site_changes)


def opened() -> PolicyDesk:
    """Open the record by the configuration; ConfigurationFaults with all faults."""
    application_log.configure("stderr")
    settings = configuration()
    ring = key_ring.load(settings.keys)
    store = sealed_stores.sealed(sealed_stores.bare(settings), ring)
    assert store is not None  # noqa: S101 - both are there
    trail = open_sinks.kept_trail(settings, ring, store)
    around = policy_surroundings.load(settings, told_nobody, now())
    if around.faults:
        raise ConfigurationFaults(list(around.faults))
    site = policy_site.site(settings, around)
    return PolicyDesk(settings, PolicyTrail(trail, SetInForce(store), now), around, site)


@dataclass(frozen=True, slots=True)
class ComparedSet:
    """The set that a proposal is compared with, and in ``note`` why it is not the one in force."""

    files: Mapping[str, bytes]
    note: str = ""

    @property
    def digest(self) -> str | None:
        """Return its digest; None where there is no set."""
        return digest(self.files) if self.files else None


def compared_set(desk: PolicyDesk, live: Live, moment: datetime) -> ComparedSet:
    """Return the set in force; the last good one of this machine where the store has it no more.

    So an affiliation that a half-copied folder lacks is missed all the same. StoreUnavailable.
    """
    files = desk.sets.sets.read(live.value.digest, moment) if live else None
    if files is not None:
        return ComparedSet(files)
    kept = last_good.last_good_files(desk.settings.state / "policies")
    lacks = "no set is in force by the store"
    if live is not None:
        fault = desk.sets.sets.fault(live.value.digest, moment)
        lacks = f"set {live.value.digest[:SHOWN]} is in force, and {fault}"
    if kept is None:
        return ComparedSet({}, f"{lacks}: compared with nothing" if live else "")
    return ComparedSet(
        kept, f"{lacks}: compared with {digest(kept)[:SHOWN]}, the last good set of this machine"
    )


def plan(desk: PolicyDesk, folder: Path | None, *, proving: bool = True) -> Plan:
    """Return what ``folder``, or the configured one, would change; with the faults that it has.

    Where it is not ``proving`` the site rules are read, and no set is held against them.
    ConfigurationFaults where it cannot be read. StoreUnavailable.
    """
    found = PolicyFolder(folder or desk.settings.policies).files()
    moment = now()
    planned = plan_over(desk, desk.sets.live(moment), found, moment, proving=proving)
    if proving:
        return planned
    return replace(planned, faults=(*planned.faults, *_faults_of_rules(desk)))


def _faults_of_rules(desk: PolicyDesk) -> tuple[Fault, ...]:
    """Return the faults of the site rules themselves, which refuse an apply."""
    try:
        policy_properties.load(desk.around.site_rules)
    except ConfigurationFaults as found:
        return found.faults
    return ()


def plan_over(
    desk: PolicyDesk, live: Live, found: FoundFiles, moment: datetime, *, proving: bool
) -> Plan:
    """Return what files would change of the set of ``live``; StoreUnavailable."""
    before = compared_set(desk, live, moment)
    warnings = desk.around.amiss(moment)
    if before.note:
        warnings = (before.note, *warnings)
    faults: tuple[Fault, ...] = ()
    loaded = None
    try:
        in_force = live_policies.well_formed(_changed(before.files, found.files), found.place)
        names = desk.around.proving if proving else desk.names
        loaded = live_policies.load_found(found, moment, names, in_force)
        warnings += tuple(map(str, loaded.warnings))
    except ConfigurationFaults as refused:
        faults = refused.faults
    return Plan(
        live,
        before.digest,
        found.files,
        digest(found.files),
        changes(before.files, found.files),
        desk.site,
        part_changes(live.value.site, desk.site) if live else (),
        warnings,
        faults,
        _both(desk, before.files, loaded, moment),
        unvouched=_unvouched(desk, live, before.files, moment),
    )


def _changed(before: Mapping[str, bytes], files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of the set in force that are not found again as they were.

    What is found unchanged lacks nothing, and to read a thousand files takes seconds.
    """
    return {name: octets for name, octets in before.items() if files.get(name) != octets}


def _unvouched(desk: PolicyDesk, live: Live, files: Mapping[str, bytes], moment: datetime) -> str:
    """Return why the set in force does not decide here; nothing where it is not to be had."""
    if live is None or digest(files) != live.value.digest:
        return ""
    return against_change(desk, live.value, files, moment)


def against_change(
    desk: PolicyDesk, change: SetChange, files: Mapping[str, bytes], moment: datetime
) -> str:
    """Return why workers of this machine would not let the set of a change decide, or nothing."""
    vouching = PolicyVouching(desk.settings, desk.around, desk.sets)
    try:
        return vouching.against(change, files, moment)
    except ConfigurationFaults as found:
        return str(found.faults[0])


def _both(
    desk: PolicyDesk, before: Mapping[str, bytes], loaded: PolicySet | None, moment: datetime
) -> tuple[PolicySet, PolicySet] | None:
    if not before or loaded is None:
        return None
    try:
        found = FoundFiles(before, "set in force", binding=False)
        return live_policies.load_found(found, moment, desk.names), loaded
    except ConfigurationFaults:
        return None  # it names what this machine has not


def history(desk: PolicyDesk) -> Sequence[SetChange]:
    """Return every change of five years, the newest first."""
    return desk.sets.history(now())[::-1]


def lost(desk: PolicyDesk) -> str:
    """Return in a sentence which changes of the history do not open; nothing where all do."""
    numbers = ", ".join(map(str, desk.sets.lost(now())))
    return f"the history is not whole: change {numbers} does not open" if numbers else ""


def shown(desk: PolicyDesk, name: str | None) -> tuple[SetChange, Mapping[str, bytes]]:
    """Return the change and the files of a set of the history, or of the one in force.

    PolicyRefusal where there is none.
    """
    change = named(desk, name) if name else None
    if change is None:
        live = desk.sets.live(now())
        if live is None:
            raise PolicyRefusal("no set is in force yet: broker serve adds its folder")
        change = live.value
    return change, stored(desk, change.digest)


def named(desk: PolicyDesk, name: str) -> SetChange:
    """Return the last change to the set whose digest begins with ``name``; PolicyRefusal."""
    found = {c.digest: c for c in desk.sets.history(now()) if c.digest.startswith(name)}
    if not found:
        note = f" ({missing})" if (missing := lost(desk)) else ""
        what = f"no set of the history begins with {name}{note}"
        raise PolicyRefusal(f"{what}: broker policy history")
    if len(found) > 1:
        raise PolicyRefusal(f"several sets begin with {name}: write more of its digest")
    return next(iter(found.values()))


def stored(desk: PolicyDesk, name: str) -> Mapping[str, bytes]:
    """Return the files of a set of the store; PolicyRefusal where it has not got them."""
    files = desk.sets.sets.read(name, now())
    if files is None:
        what = f"set {name[:SHOWN]} {desk.sets.sets.fault(name, now())} any more"
        raise PolicyRefusal(f"{what}: apply a folder that holds it")
    return files


def described(at: datetime) -> str:
    """Return a time as people read it."""
    return f"{at:%Y-%m-%d %H:%M} UTC"
