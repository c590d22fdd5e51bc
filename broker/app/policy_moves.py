"""What administrators change of the policies in force: a folder is applied, a set rolled back."""

import os
import platform
import pwd
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.app.assembly import now
from broker.app.policy_approval import (
    NOTHING_BROUGHT,
    Approval,
    Brought,
    approval,
    changed_parts,
    reasons_of,
    statement_of,
)
from broker.app.policy_operations import (
    NO_SET,
    Plan,
    PolicyDesk,
    PolicyRefusal,
    against_change,
    described,
    named,
    plan,
    plan_over,
    stored,
)
from broker.app.policy_sources import SHOWN
from broker.core.errors import AuditUnavailable, ConfigurationFaults, Fault, StoreUnavailable
from broker.core.policy.set_digest import digest
from broker.core.policy.site_record import part_changes
from broker.files.policies import live_policies
from broker.files.policies.policy_folder import FoundFiles
from broker.use_cases.policies.second_person import was_recently_in_force
from broker.use_cases.policies.set_in_force import Live, Move, Proposal, SetChange, next_change
from broker.use_cases.policies.worker_reports import NONE_BEHIND, Behind, Waiting

_LOOKED_EVERY: Final = 0.2  # seconds
_UNWRITTEN: Final = "its line is not on the audit trail yet: broker work writes it"
_UNSEEN: Final = "which workers have it is not known, for the store does not answer"
_UNKNOWN: Final = "the store went away while the set was put in force"
_LOOK: Final = "see broker policy history once the store is back"


@dataclass(frozen=True, slots=True)
class Order:
    """What an administrator orders: a set, as they saw it in a plan, for a reason.

    ``base`` begins the digest of the set in force then, or is ``NO_SET``; ``planned`` begins that
    of the folder, where it is to be no other. ``patience`` are the seconds to wait for workers,
    ``brought`` the signatures for what gets wider.
    """

    why: str
    base: str = ""
    planned: str = ""
    patience: float = 0.0
    brought: Brought = NOTHING_BROUGHT


@dataclass(frozen=True, slots=True)
class Applied:
    """A set that is in force, and the workers that have not come to it in time.

    ``amiss`` says in sentences what could not be done beside that, ``warnings`` which site rules
    the set breaks.
    """

    change: SetChange
    moved: bool
    behind: Behind = NONE_BEHIND
    amiss: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def applied(desk: PolicyDesk, folder: Path | None, order: Order) -> Applied:
    """Put a folder in force over the base of ``order``, and wait for the workers.

    ConfigurationFaults with what stands against it; PolicyRefusal where another set is in force
    than the base, or the folder is another than was planned.
    """
    _refuse_saved(desk)
    proposed = plan(desk, folder)
    _refuse_other_base(proposed.live, order.base)
    if not proposed.digest.startswith(order.planned):
        what = f"the folder is {proposed.digest[:SHOWN]}, and {order.planned[:SHOWN]} was planned"
        raise PolicyRefusal(f"{what}: it was edited since, or is another; plan again")
    if proposed.faults:
        raise ConfigurationFaults(list(proposed.faults))
    if proposed.live and not proposed.changed:
        desk.sets.sets.keep(proposed.files, now())  # it may have gone from the store
        return Applied(proposed.live.value, moved=False)
    moment = now()
    granted = approval(
        desk,
        proposed.live,
        statement_of(desk, proposed),
        order.brought,
        lambda: reasons_of(desk, proposed, order.brought.told, moment),
    )
    return _moved(desk, proposed, Move.APPLIED, granted, order)


def rolled_back(desk: PolicyDesk, name: str | None, order: Order) -> Applied:
    """Put a set of the history in force again; without ``name`` the one before that in force.

    What only time has changed stops nothing. ConfigurationFaults where it names what the
    configuration has no more, with what has changed there; PolicyRefusal.
    """
    _refuse_saved(desk)
    moment = now()
    live = desk.sets.live(moment)
    target = _target(desk, live, name)
    if live is not None and target == live.value.digest:
        raise PolicyRefusal(f"{target[:SHOWN]} is in force already")
    history = desk.sets.history(moment)
    known = was_recently_in_force(history, target, moment)
    place = f"set {target[:SHOWN]}"
    found = FoundFiles(stored(desk, target), place, binding=False)
    proposed = plan_over(desk, live, found, moment, proving=False)
    if proposed.faults:
        raise ConfigurationFaults([*proposed.faults, *_since(history, target, desk.site)])
    broken = _broken_rules(desk, found, moment)
    if broken and not known:
        raise ConfigurationFaults(list(broken))
    # Of lately it ends an alarm all the same, and everybody hears what it breaks.
    proposed = replace(proposed, broken=tuple(map(str, broken)))
    granted = approval(
        desk,
        proposed.live,
        statement_of(desk, proposed),
        order.brought,
        lambda: _reasons_back(desk, proposed, order, moment, known=known),
    )
    done = _moved(desk, proposed, Move.ROLLED_BACK, granted, order)
    return replace(done, warnings=proposed.broken)


def _reasons_back(
    desk: PolicyDesk, proposed: Plan, order: Order, moment: datetime, *, known: bool
) -> tuple[str, ...]:
    """Return why a rollback needs a second person: of a known set no more than a changed site.

    Or that workers would not take it: what once put it in force may show no signatures that count.
    """
    if known:
        return (*changed_parts(proposed), *_untaken(desk, proposed, order, moment))
    return reasons_of(desk, proposed, order.brought.told, moment)


def _untaken(desk: PolicyDesk, proposed: Plan, order: Order, moment: datetime) -> Iterator[str]:
    """Yield why workers would go on without a set of lately that nobody signs now."""
    wanted = Proposal(proposed.files, Move.ROLLED_BACK, who(), order.why, desk.site)
    change = next_change(proposed.live, proposed.digest, wanted, moment)
    why = against_change(desk, change, proposed.files, moment)
    if why:
        yield why


def _broken_rules(desk: PolicyDesk, found: FoundFiles, moment: datetime) -> tuple[Fault, ...]:
    """Return which site rules a set of the history breaks."""
    # Imported where a set comes back: most commands prove nothing.
    from broker.files.policies import policy_properties  # noqa: PLC0415

    loaded = live_policies.load_found(found, moment, desk.names)
    return policy_properties.judged(loaded, desk.around.proving, moment).faults


def who() -> str:
    """Return the administrator: the user who called, before sudo, and the machine."""
    return f"{_before_sudo() or _own_name()}@{platform.node()}"


def _before_sudo() -> str | None:
    """Return the user who called sudo; only root has got a name from it that is not made up."""
    name = os.environ.get("SUDO_USER")
    if not name or os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(name).pw_name
    except KeyError:
        return None


def _own_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _target(desk: PolicyDesk, live: Live, name: str | None) -> str:
    """Return the digest of the set that is meant; without a name the history is not asked."""
    if name is not None:
        return named(desk, name).digest
    if live is None or live.value.base is None:
        raise PolicyRefusal("there is no set before the one in force")
    if live.value.move is Move.ROLLED_BACK or live.value.base == live.value.digest:
        # Of two who act on one alarm the second would put the set back that the first took away.
        what = f"{live.value.digest[:SHOWN]} is in force since {live.value.who} put it there"
        raise PolicyRefusal(f"{what}; name the set that is meant: broker policy history")
    return live.value.base


def _since(history: Sequence[SetChange], target: str, site: Mapping[str, str]) -> Iterator[Fault]:
    """Yield what the configuration has changed since a set came into force."""
    for change in [each for each in history if each.digest == target][-1:]:
        for what in part_changes(change.site, site):
            yield Fault(f"set {target[:SHOWN]}", f"since it was in force: {what}")


def _moved(
    desk: PolicyDesk, proposed: Plan, move: Move, granted: Approval, order: Order
) -> Applied:
    faults = desk.trail.trail.faults() if desk.settings.audit.required else ()
    if faults:
        raise AuditUnavailable(f"nothing is changed that cannot be written down: {faults[0]}")
    wanted = Proposal(
        proposed.files,
        move,
        who(),
        order.why,
        desk.site,
        proposed.summary,
        granted.by,
        granted.alone,
        proposed.broken,
        granted.signatures,
    )
    change = _put(desk, proposed.live, wanted)
    if change is None:
        raise PolicyRefusal(_first_come(desk.sets.live(now())))
    # From here on the set is in force, whatever else fails: it must not read as a refusal.
    amiss = []
    told = False
    with suppress(StoreUnavailable):
        told = desk.trail.tell(change)
    if not told:
        amiss.append(_UNWRITTEN)
    behind = NONE_BEHIND
    try:
        behind = _waited(desk, change.digest, order.patience)
    except StoreUnavailable as error:
        amiss.append(f"{_UNSEEN} ({error})")
    return Applied(change, moved=True, behind=behind, amiss=tuple(amiss))


def _put(desk: PolicyDesk, live: Live, wanted: Proposal) -> SetChange | None:
    """Move the record; where the store goes away meanwhile, look whether that was before it."""
    try:
        return desk.sets.move(live, wanted, now())
    except StoreUnavailable:
        try:
            after = desk.sets.live(now())
        except StoreUnavailable as error:
            raise PolicyRefusal(f"{_UNKNOWN} ({error}): {_LOOK}") from None
        if after is None or not _is_ours(after.value, live, wanted):
            raise  # nothing is changed
        return after.value


def _is_ours(change: SetChange, live: Live, wanted: Proposal) -> bool:
    number = live.value.number + 1 if live else 1
    return (
        change.number == number
        and change.digest == digest(wanted.files)
        and change.move is wanted.move
        and change.who == wanted.who
        and change.why == wanted.why
    )


def _waited(desk: PolicyDesk, name: str, patience: float) -> Behind:
    """Wait until every worker has the set; return those that have not."""
    ends = time.monotonic() + patience
    waiting = Waiting(name)
    behind = waiting.behind(desk.sets.store, now())
    while behind.late and time.monotonic() < ends:
        time.sleep(_LOOKED_EVERY)
        behind = waiting.behind(desk.sets.store, now())
    return behind


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
    came = f"{change.digest[:SHOWN]} is in force since {since}, {change.move} {by}"
    # The folder was made before: planned as it is, it would take the other change back.
    return f"{came}; a folder made before lacks it: bring it in (broker policy show), plan again"
