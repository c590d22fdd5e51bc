"""How two people sign a change of the policies: the options for it, and what is to be typed."""

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from broker.app import policy_analysis, policy_approval
from broker.app.policy_approval import Brought, SecondPersonNeeded
from broker.app.policy_operations import Plan, PolicyDesk
from broker.app.policy_site import signers
from broker.commands.analysis_progress import told_progress
from broker.commands.policy_diff import Compared
from broker.core.analysis.directed_change import Direction
from broker.core.analysis.wider_changes import wider
from broker.use_cases.policies.second_person import NAMESPACE, Statement

Command = TypeVar("Command", bound=Callable[..., Any])

_FILES: Final = ("maker.sig", "approver.sig")
_FEW: Final = 3
_UNANALYSED: Final = "without the analysis nothing shows that it lets no more through"
_signed: Final = click.option(
    "--signed",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A signature of the change: twice, the maker's and the approver's.",
)
_alone: Final = click.option(
    "--alone", is_flag=True, help="Do alone what needs two people: an alarm on trail and log."
)


def second_person(command: Command) -> Command:
    """Give a command the options by which two people sign, or one says that they act alone."""
    return _signed(_alone(command))


def brought_by(desk: PolicyDesk, signed: tuple[Path, ...], *, alone: bool) -> Brought:
    """Return what those options bring; a usage error where one takes back the other."""
    if signed and alone:
        raise click.UsageError("--alone says that there is no second person: leave --signed out")
    sources = policy_analysis.configured_site(desk.around).sources
    return Brought(signed, alone, told_progress(len(sources)))


@contextmanager
def showing_what_to_sign() -> Iterator[None]:
    """Print how a change is signed where it is refused for want of a second person."""
    try:
        yield
    except SecondPersonNeeded as needed:
        click.echo("\n".join(_commands(needed.statement)), err=True)
        raise


@dataclass(frozen=True, slots=True)
class Asked:
    """Why a plan asks for a second person, if it does, and what the two sign."""

    reasons: tuple[str, ...]
    statement: Statement

    @property
    def options(self) -> str:
        """Return what its apply takes beside."""
        return "".join(f" --signed {file}" for file in _FILES) if self.reasons else ""

    def facts(self) -> dict[str, Any]:
        """Return the same for programs: the statement is the line that is signed."""
        return {"reasons": self.reasons, "statement": str(self.statement)}

    def show(self, *, everything: bool = False) -> None:
        """Print the reasons, and what is to be typed; of many that stand above how many they are.

        With ``everything`` each of them.
        """
        if not self.reasons:
            click.echo("  needs no second person")
            return
        above = [reason for reason in self.reasons if reason.startswith(Direction.WIDER)]
        summed_up = len(above) > _FEW and not everything
        for reason in self.reasons:
            if not summed_up or reason not in above:
                click.echo(f"  needs a second person: {reason}")
        if summed_up:
            click.echo(f"  needs a second person: {len(above)} changes WIDER above")
        click.echo("\n".join(_commands(self.statement)))


def asked(
    desk: PolicyDesk, found: Plan, compared: Compared | None, *, analysed: bool
) -> Asked | None:
    """Return what a plan asks for; None where nobody may sign, or there is nothing to apply."""
    if not found.changed or found.faults or not signers(desk.settings):
        return None
    reasons = list(policy_approval.unknown(found))
    if compared is not None:
        reasons += wider(compared.difference, compared.incomplete)
    elif not analysed and found.sets and found.file_changes:
        reasons.append(_UNANALYSED)
    return Asked(tuple(reasons), policy_approval.statement_of(desk, found))


def _commands(statement: Statement) -> Iterator[str]:
    yield "maker and approver each type one of these, with a key of their own:"
    for file in _FILES:
        said = f"printf '%s\\n' {shlex.quote(str(statement))}"
        yield f"  {said} | ssh-keygen -Y sign -n {NAMESPACE} -f ~/.ssh/id_ed25519 > {file}"
