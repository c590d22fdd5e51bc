"""Which changes of the record are vouched for: signed by two, or no wider than one that is.

Source: docs/policies-in-force.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from broker.use_cases.policies.second_person import was_recently_in_force
from broker.use_cases.policies.set_in_force import Move, SetChange

UNSHOWN: Final = "nothing here shows that it lets no more through"
_MOST_STEPS: Final = 20


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is known already: each answer costs processes or a comparison, and lines have forks.

    By the number of a change, by two digests; of a line by the set that is held and the number of
    its last change, with the steps that were left for it.
    """

    unsigned: dict[int, str] = field(default_factory=dict)
    wider: dict[tuple[str, str], str] = field(default_factory=dict)
    amiss: dict[tuple[str | None, int], tuple[int, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VouchedChanges:
    """Judges changes for a machine on which the set of the digest ``held`` decides, if any does.

    ``unsigned`` says why the signatures of a change do not count, or nothing where they do, or
    where one person acted alone in the open; ``wider`` what the second of two sets lets through
    that the first does not, or nothing. ``begins`` is whether nothing has ever decided there, so
    that somebody has to begin.
    """

    held: str | None
    unsigned: Callable[[SetChange], str]
    wider: Callable[[str, str], str]
    begins: bool = True
    _asked: _Asked = field(default_factory=_Asked, repr=False, compare=False)

    def against(self, change: SetChange, earlier: Callable[[], Sequence[SetChange]]) -> str:
        """Return why the set of a change may not decide here; nothing where it may.

        ``earlier`` are the changes before it, oldest first; they are asked for last.
        """
        if self._stands(change):
            return ""
        amiss = self._wider(self.held, change.digest) if self.held else UNSHOWN
        if not amiss or not self.amiss([*earlier(), change], _MOST_STEPS):
            return ""
        return f"{self._unsigned(change)}, and {amiss}"

    def _unsigned(self, change: SetChange) -> str:
        asked = self._asked.unsigned
        if change.number not in asked:
            asked[change.number] = self.unsigned(change)
        return asked[change.number]

    def _wider(self, one: str, other: str) -> str:
        asked = self._asked.wider
        if (one, other) not in asked:
            asked[one, other] = self.wider(one, other)
        return asked[one, other]

    def _stands(self, change: SetChange) -> bool:
        """Return whether a change needs no other to show that its set may decide here.

        The first of a record does so where nothing has decided yet: an emptied store begins anew.
        """
        if change.digest == self.held:
            return True
        if change.move is Move.FIRST and change.number == 1:
            return self.held is None and self.begins
        return not self._unsigned(change)

    def amiss(self, line: Sequence[SetChange], steps: int) -> str:
        """Return what stands against the last of some changes that follow each other.

        One that nobody has signed is as good as the one before it, if it lets no more through. So
        a machine that begins, or was away, goes back to one that stands by itself.
        """
        name = (self.held, line[-1].number)
        known = self._asked.amiss.get(name)
        if known is None or (known[1] and known[0] < steps):
            known = (steps, self._amiss(line, steps))
            self._asked.amiss[name] = known
        return known[1]

    def _amiss(self, line: Sequence[SetChange], steps: int) -> str:
        *before, change = line
        if self._stands(change) or self._is_undone(before, change, steps):
            return ""
        if not steps or not before or before[-1].number != change.number - 1:
            return UNSHOWN
        return self.amiss(before, steps - 1) or self._step(before[-1], change)

    def _step(self, one: SetChange, other: SetChange) -> str:
        return "" if one.digest == other.digest else self._wider(one.digest, other.digest)

    def _is_undone(self, before: Sequence[SetChange], change: SetChange, steps: int) -> bool:
        """Return whether a change puts back what was rightly in force within thirty days.

        What was done alone is not done alone again: to come back it takes two. It had to be right
        by itself, as for a machine that begins; but of one that has a set nobody was asked about
        the first of a record. A store that was emptied may have begun anew with a wider one.
        """
        if not steps or change.move is not Move.ROLLED_BACK:
            return False
        if not was_recently_in_force(before, change.digest, change.at):
            return False
        name = change.digest
        same = [at for at, each in enumerate(before, 1) if each.digest == name and not each.alone]
        if not same:
            return False
        line = before[: same[-1]]
        by_itself = replace(self, held=None, begins=self.begins and self.held is None)
        return not by_itself.amiss(line, steps - 1)
