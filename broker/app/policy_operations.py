"""What administrators do with the policies in force: plan, apply, look back, roll back."""

import os
import platform
import pwd
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from broker.core.errors import AuditUnavailable, ConfigurationFaults, Fault, LeadsNowhere
from broker.core.event_routes import told_nobody
from broker.core.policy.model import PolicySet
from broker.core.policy.set_digest import changes, digest
from broker.files.policies import live_policies
from broker.files.policies.configured_names import NameableInPolicies
from broker.files.policies.policy_folder import FoundFiles, PolicyFolder
from broker.files.settings.config import Config
from broker.flows.policies.set_in_force import Live, Move, Proposal, SetChange, SetInForce
from broker.flows.policies.worker_reports import Waiting, WorkerReport

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

    ``sets`` are the two as they decide; None where one of them decides nothing here.
    """

    live: Live
    files: Mapping[str, bytes]
    digest: str
    file_changes: tuple[str, ...]
    site: Mapping[str, str]
    site_changes: tuple[str, ...]
    warnings: tuple[str, ...]
    faults: tuple[Fault, ...]
    sets: tuple[PolicySet, PolicySet] | None

    @property
    def base(self) -> str:
        """Return the digest that ``apply`` is to be given as its base."""
        return self.live.value.digest if self.live else NO_SET

    @property
    def changed(self) -> bool:
        """Return whether an apply would change anything."""
        return self.base != self.digest or bool(self.site_changes)

    @property
    def summary(self) -> tuple[str, ...]:
        """Return what differs, in words."""
        return (*self.file_changes, *self.site_changes)


@dataclass(frozen=True, slots=True)
class Applied:
    """A set that is in force, and the workers that have not come to it in time."""

    change: SetChange
    moved: bool
    late: tuple[WorkerReport, ...] = ()


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


def plan(desk: PolicyDesk, folder: Path | None, *, proving: bool = True) -> Plan:
    """Return what ``folder``, or the configured one, would change; with the faults that it has.

    Where it is not ``proving`` the site rules are left out.
    ConfigurationFaults where it cannot be read. StoreUnavailable.
    """
    found = PolicyFolder(folder or desk.settings.policies).files()
    moment = now()
    live = desk.sets.live(moment)
    before = desk.sets.sets.read(live.value.digest, moment) if live else None
    warnings: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    loaded = None
    try:
        in_force = live_policies.well_formed(before or {}, found.place)
        names = desk.around.proving if proving else desk.names
        loaded = live_policies.load_found(found, moment, names, in_force)
        warnings = tuple(map(str, loaded.warnings))
    except ConfigurationFaults as refused:
        faults = refused.faults
    return Plan(
        live,
        found.files,
        digest(found.files),
        changes(before or {}, found.files),
        desk.site,
        changes(live.value.site, desk.site) if live else (),
        warnings,
        faults,
        _both(desk, before, loaded, moment),
    )


def _both(
    desk: PolicyDesk,
    before: Mapping[str, bytes] | None,
    loaded: PolicySet | None,
    moment: datetime,
) -> tuple[PolicySet, PolicySet] | None:
    if before is None or loaded is None:
        return None
    try:
        found = FoundFiles(before, "set in force", binding=False)
        return live_policies.load_found(found, moment, desk.names), loaded
    except ConfigurationFaults:
        return None  # it names what this machine has not


def applied(desk: PolicyDesk, folder: Path | None, base: str, why: str, patience: float) -> Applied:
    """Put a folder in force over ``base``, and wait for the workers.

    ConfigurationFaults with what stands against it; PolicyRefusal where another set is in force
    than ``base``, which begins its digest or is ``NO_SET``.
    """
    _refuse_saved(desk)
    proposed = plan(desk, folder)
    _refuse_other_base(proposed.live, base)
    if proposed.faults:
        raise ConfigurationFaults(list(proposed.faults))
    if proposed.live and not proposed.changed:
        desk.sets.sets.keep(proposed.files, now())  # it may have gone from the store
        return Applied(proposed.live.value, moved=False)
    wanted = Proposal(proposed.files, Move.APPLIED, who(), why, desk.site, proposed.summary)
    return _moved(desk, proposed.live, wanted, patience)


def rolled_back(desk: PolicyDesk, name: str | None, why: str, patience: float) -> Applied:
    """Put a set of the history in force again; without ``name`` the one before that in force.

    What only time has changed stops nothing. ConfigurationFaults where it names what the
    configuration has no more, with what has changed there; PolicyRefusal.
    """
    _refuse_saved(desk)
    moment = now()
    live = desk.sets.live(moment)
    target = _target(desk, live, name)
    if live is not None and target.digest == live.value.digest:
        raise PolicyRefusal(f"{target.digest[:SHOWN]} is in force already")
    files = _stored(desk, target.digest)
    place = f"set {target.digest[:SHOWN]}"
    since = changes(target.site, desk.site)
    try:
        live_policies.load_found(FoundFiles(files, place, binding=False), moment, desk.names)
    except ConfigurationFaults as refused:
        told = [Fault(place, f"since it was in force: {each}") for each in since]
        raise ConfigurationFaults([*refused.faults, *told]) from None
    before = desk.sets.sets.read(live.value.digest, moment) if live else None
    summary = changes(before or {}, files)
    wanted = Proposal(files, Move.ROLLED_BACK, who(), why, desk.site, summary)
    return _moved(desk, live, wanted, patience)


def history(desk: PolicyDesk) -> Sequence[SetChange]:
    """Return every change of five years, the newest first."""
    return desk.sets.history(now())[::-1]


def shown(desk: PolicyDesk, name: str | None) -> tuple[SetChange, Mapping[str, bytes]]:
    """Return the change and the files of a set of the history, or of the one in force.

    PolicyRefusal where there is none.
    """
    change = _named(desk, name) if name else None
    if change is None:
        live = desk.sets.live(now())
        if live is None:
            raise PolicyRefusal("no set is in force yet: broker serve adds its folder")
        change = live.value
    return change, _stored(desk, change.digest)


def who() -> str:
    """Return the administrator: the user who called, before sudo, and the machine."""
    name = os.environ.get("SUDO_USER")
    if not name:
        try:
            name = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            name = str(os.getuid())
    return f"{name}@{platform.node()}"


def _target(desk: PolicyDesk, live: Live, name: str | None) -> SetChange:
    if name is not None:
        return _named(desk, name)
    if live is None or live.value.base is None:
        raise PolicyRefusal("there is no set before the one in force")
    if live.value.move is Move.ROLLED_BACK or live.value.base == live.value.digest:
        # Of two who act on one alarm the second would put the set back that the first took away.
        what = f"{live.value.digest[:SHOWN]} is in force since {live.value.who} put it there"
        raise PolicyRefusal(f"{what}; name the set that is meant: broker policy history")
    return _named(desk, live.value.base)


def _named(desk: PolicyDesk, name: str) -> SetChange:
    """Return the last change to the set whose digest begins with ``name``."""
    found = {c.digest: c for c in desk.sets.history(now()) if c.digest.startswith(name)}
    if not found:
        raise PolicyRefusal(f"no set of the history begins with {name}: broker policy history")
    if len(found) > 1:
        raise PolicyRefusal(f"several sets begin with {name}: write more of its digest")
    return next(iter(found.values()))


def _stored(desk: PolicyDesk, name: str) -> Mapping[str, bytes]:
    files = desk.sets.sets.read(name, now())
    if files is None:
        what = f"set {name[:SHOWN]} {desk.sets.sets.fault(name, now())} any more"
        raise PolicyRefusal(f"{what}: apply a folder that holds it")
    return files


def _moved(desk: PolicyDesk, live: Live, wanted: Proposal, patience: float) -> Applied:
    amiss = desk.trail.trail.faults() if desk.settings.audit.required else ()
    if amiss:
        raise AuditUnavailable(f"nothing is changed that cannot be written down: {amiss[0]}")
    change = desk.sets.move(live, wanted, now())
    if change is None:
        raise PolicyRefusal(_first_come(desk.sets.live(now())))
    desk.trail.tell(change)
    return Applied(change, moved=True, late=_waited(desk, change.digest, patience))


def _waited(desk: PolicyDesk, name: str, patience: float) -> tuple[WorkerReport, ...]:
    """Wait until every worker has the set; return those that have not."""
    ends = time.monotonic() + patience
    waiting = Waiting(name, now())
    late = waiting.late(desk.sets.store, now())
    while late and time.monotonic() < ends:
        time.sleep(_LOOKED_EVERY)
        late = waiting.late(desk.sets.store, now())
    return late


def _refuse_saved(desk: PolicyDesk) -> None:
    if desk.settings.policy.live == "save":
        what = 'is "save": the folder itself is in force, and an edit of it as soon as it is saved'
        raise ConfigurationFaults([Fault("policy.live", what, 'write "apply" to use the record')])


def _refuse_other_base(live: Live, base: str) -> None:
    if live is None:
        if base != NO_SET:
            raise PolicyRefusal(f"no set is in force yet: the base is {NO_SET}")
    elif not live.value.digest.startswith(base):
        raise PolicyRefusal(_first_come(live))


def _first_come(live: Live) -> str:
    """Say whose change is in force in place of the base that was meant."""
    if live is None:
        return "the record of the set in force is gone from the store: plan again"
    change = live.value
    said = f': "{change.why}"' if change.why else ""
    since = described(change.at)
    by = f"by {change.who}{said}"
    return f"{change.digest[:SHOWN]} is in force since {since}, {change.move} {by}; plan again"


def described(at: datetime) -> str:
    """Return a time as people read it."""
    return f"{at:%Y-%m-%d %H:%M} UTC"
