"""The second person for what gets wider: what two people sign, and when nobody has to.

Source: docs/policies-in-force.md.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise, product
from typing import Final

from broker.core.policy.site_record import RULES, SIGNERS, same_part, site_digest
from broker.use_cases.policies.set_in_force import Live, SetChange

# What a signature is made for (PROTOCOL.sshsig): one for mail or Git says nothing of policies.
NAMESPACE: Final = "broker-policy"
# A rollback to what was in force so recently is how an alarm is ended, at night and alone.
RECENT: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Statement:
    """One change of the policies as both people sign it, in one line.

    It names the broker, the change it follows and its number: a signature is good for no other
    broker, over no other base, and not again when an earlier base is back in force.
    """

    broker: str
    base: str
    number: int
    digest: str
    site: str

    @classmethod
    def of(cls, broker: str, live: Live, digest: str, site: Mapping[str, str]) -> "Statement":
        """Return the statement of putting ``digest`` in the place of ``live``, for a site."""
        base = live.value.digest if live else "none"
        number = live.value.number + 1 if live else 1
        return cls(broker, base, number, digest, site_digest(site))

    @classmethod
    def of_change(cls, broker: str, change: SetChange) -> "Statement":
        """Return the statement that was signed for a change, as the record has that."""
        site = site_digest(change.site)
        return cls(broker, change.base or "none", change.number, change.digest, site)

    def __str__(self) -> str:
        """Return the line."""
        change = f"change {self.number} puts {self.digest} in the place of {self.base}"
        return f"policies of {self.broker}: {change}, for site {self.site}"


@dataclass(frozen=True, slots=True)
class Signer:
    """The maker of a signature: the principal that the list of signers gives the key."""

    principal: str
    key: str

    def __str__(self) -> str:
        """Return principal and key."""
        return f"{self.principal} {self.key}"


def was_recently_in_force(history: Sequence[SetChange], digest: str, now: datetime) -> bool:
    """Return whether a set was in force within the last thirty days, by the history in order.

    It was until the change that came after it; where that entry is lost, at least at its own time.
    What one person alone put there has not been in force: nobody else has agreed to it. A clock
    that was set back makes no set recent: the last change is not later than now.
    """
    if not history:
        return False
    last = history[-1]
    if _agreed(last, digest):
        return True
    since = max(now, last.at) - RECENT
    return any(
        _end(change, after) >= since
        for change, after in pairwise(history)
        if _agreed(change, digest)
    )


def _agreed(change: SetChange, digest: str) -> bool:
    return change.digest == digest and not change.alone


def _end(change: SetChange, after: SetChange) -> datetime:
    return after.at if after.number == change.number + 1 else change.at


def unknown_parts(was: Mapping[str, str], site: Mapping[str, str]) -> tuple[str, ...]:
    """Return the parts of a site that are new or other than they were.

    Of what they were only a digest is known, so that nothing shows that they let no more through. A
    part that is gone lets nothing through; but site rules that are gone, or other than they were,
    may hold back less, and the first ones hold back only more.
    """
    unknown = []
    for name, part in sorted(site.items()):
        if name not in {SIGNERS, RULES} and not same_part(was.get(name), part):
            unknown.append(name)
    if RULES in was and not same_part(was[RULES], site.get(RULES)):
        unknown.append(RULES)
    return tuple(unknown)


def may_be_one(names: Iterable[str], others: Iterable[str]) -> bool:
    """Return whether one person can have a name of both: by patterns with ``*`` and ``?`` too.

    A pattern that is excepted (``!``) makes a list smaller, and is not looked at.

    Source: ssh-keygen(1), ALLOWED SIGNERS; ssh_config(5), PATTERNS.
    """
    return any(
        _overlap(name.casefold(), other.casefold())
        for name, other in product(names, tuple(others))
        if not name.startswith("!") and not other.startswith("!")
    )


def _overlap(one: str, other: str) -> bool:
    """Return whether a text fits both patterns.

    A row for each beginning of ``one``: which beginnings of ``other`` overlap with it.
    """
    row = [True, *_none_needed(other)]
    for at, letter in enumerate(one, 1):
        before, row = row, [not one[:at].strip("*")]
        for to, facing in enumerate(other, 1):
            if "*" in (letter, facing):
                fits = before[to] or row[to - 1]
            else:
                fits = before[to - 1] and (letter == facing or "?" in (letter, facing))
            row.append(fits)
    return row[-1]


def _none_needed(pattern: str) -> Iterator[bool]:
    """Yield for each beginning of a pattern whether an empty text fits it."""
    stars = len(pattern) - len(pattern.lstrip("*"))
    return (at < stars for at in range(len(pattern)))


def other_signers(live: Live, site: Mapping[str, str]) -> bool:
    """Return whether the list of signers, where there was one, is not what it was."""
    was = live.value.site.get(SIGNERS) if live else None
    return was is not None and not same_part(was, site.get(SIGNERS))
