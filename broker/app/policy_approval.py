"""Whether a change of the policies needs a second person, and whether two have signed it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.adapters.ssh_signatures import Signature, SshSignatures
from broker.app import policy_analysis
from broker.app.policy_operations import Plan, PolicyDesk, PolicyRefusal
from broker.app.policy_signatures import two_people
from broker.app.policy_site import signers
from broker.core.analysis.compared_logins import Analysis, Told
from broker.core.analysis.set_differences import difference
from broker.core.analysis.wider_changes import wider
from broker.core.policy.site_record import RULES
from broker.use_cases.policies.second_person import (
    NAMESPACE,
    Statement,
    other_signers,
    unknown_parts,
)
from broker.use_cases.policies.set_in_force import Live

RULES_GONE: Final = "the site rules are gone, and nothing holds back any more what they refused"
_NO_SIGNERS: Final = "policy.signers is not set, so that no signature counts: set it"


class SecondPersonNeeded(PolicyRefusal):
    """A change that one person alone may not make; ``statement`` is what two sign."""

    def __init__(self, reasons: tuple[str, ...], statement: Statement) -> None:
        """Say the first reason."""
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        what = f"needs a second person: {reasons[0]}{more}"
        super().__init__(f"{what}; apply it with both signatures, or with --alone")
        self.statement = statement


@dataclass(frozen=True, slots=True)
class Brought:
    """What an administrator brings for a change: the files of two signatures, or ``alone``.

    ``told`` hears how far the comparison of the two sets is.
    """

    signed: tuple[Path, ...] = ()
    alone: bool = False
    told: Told | None = None


NOTHING_BROUGHT: Final = Brought()


@dataclass(frozen=True, slots=True)
class Approval:
    """Who has signed a change, and whether one person alone made one that needs two.

    ``signatures`` are theirs as ssh-keygen writes them.
    """

    by: tuple[str, ...] = ()
    alone: bool = False
    signatures: tuple[str, ...] = ()


def statement_of(desk: PolicyDesk, found: Plan) -> Statement:
    """Return what two people sign to put a proposal in force."""
    return Statement.of(desk.settings.base_url, found.live, found.digest, found.site)


def approval(
    desk: PolicyDesk,
    live: Live,
    statement: Statement,
    brought: Brought,
    reasons: Callable[[], tuple[str, ...]],
) -> Approval:
    """Return who approves of a change; alone is also who changed the list of signers since.

    SecondPersonNeeded where ``reasons``, which are asked for last, say that one is not enough;
    PolicyRefusal or SignatureRefused for signatures that do not count.
    """
    allowed = signers(desk.settings)
    # Whoever changes the list and uses it in one step could have put two keys of their own there.
    new_list = other_signers(live, desk.site)
    if brought.signed:
        if not allowed:
            raise PolicyRefusal(_NO_SIGNERS)
        given = tuple(map(Signature.read, brought.signed))
        by = two_people(SshSignatures(allowed, NAMESPACE, str(statement)), given)
        texts = tuple(each.octets.decode("ascii", "replace") for each in given)
        return Approval(by, alone=new_list, signatures=texts)
    if not allowed:
        return Approval(alone=new_list)
    why = reasons()
    if why and not brought.alone:
        raise SecondPersonNeeded(why, statement)
    return Approval(alone=bool(why) or new_list)


def reasons_of(
    desk: PolicyDesk, found: Plan, told: Told | None, moment: datetime
) -> tuple[str, ...]:
    """Return why a proposal needs a second person; nothing where it lets no more through."""
    reasons = list(unknown(found))
    if found.sets is not None and found.file_changes:
        site = policy_analysis.compared_site(desk.around)
        analysis = Analysis(found.sets, site, moment, told or _silently)
        compared = difference(analysis)
        reasons += wider(compared, tuple(analysis.incomplete()))
    return tuple(reasons)


def unknown(found: Plan) -> tuple[str, ...]:
    """Return what cannot be compared, and may be wider for all that is known."""
    return tuple(_unknown(found))


def changed_parts(found: Plan) -> tuple[str, ...]:
    """Return which parts of the site are not what they were at the last change, in sentences."""
    return tuple(_changed_parts(found))


def _changed_parts(found: Plan) -> Iterator[str]:
    was = found.live.value.site if found.live else found.site
    for part in unknown_parts(was, found.site):
        if part == RULES and part not in found.site:
            yield RULES_GONE
        else:
            yield f"{part} of the configuration is not what it was, and nothing shows how that was"


def _unknown(found: Plan) -> Iterator[str]:
    live = found.live
    if live is None:
        # What was in force on this machine last decides there still.
        if found.before != found.digest:
            yield "no set is in force that could show that this one is no wider"
        return
    if found.unvouched:
        yield f"the set in force does not decide on this machine: {found.unvouched}"
    if found.base not in {found.before, found.digest}:
        yield "the set in force is not to be had, and nothing shows that this one is no wider"
    elif found.file_changes and found.sets is None:
        yield "the set in force names what this machine has not, so that nothing compares them"
    yield from _changed_parts(found)


def _silently(_done: int, _to_do: int) -> None:
    pass
