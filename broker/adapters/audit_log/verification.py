"""Reads the audit log from end to end and reports lines that were changed or are missing."""

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, NamedTuple

from broker.adapters.audit_log.hash_chain import (
    GENESIS,
    HEAD_SIZE,
    LONGEST,
    ChainHead,
    ChainLine,
    linked,
    read,
    read_head,
)
from broker.adapters.audit_log.monthly_files import HEAD, AuditFiles
from broker.core.events.audit_events import AuditEventKind

_CHUNK: Final = LONGEST + 1
_MARK: Final = 32
_NOT_BEGUN: Final = (
    "the month does not begin here: lines before it are missing, or the file has a new name"
)
_UNSAID: Final = "the months before it are missing, and no line says that they were deleted"
_NO_HEAD: Final = "is missing or not ours, so that lines may be missing at the end"


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One thing that is wrong, and the line where it shows: ``audit-2026-11.jsonl:12``."""

    where: str
    what: str
    seen: bytes = field(default=b"", repr=False)  # the line that stands there

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.where}: {self.what}"

    @property
    def mark(self) -> str:
        """What staff accept: this finding, of this line, and no later change of it."""
        octets = f"{self}\0".encode() + self.seen
        return hashlib.sha256(octets).hexdigest()[:_MARK]


@dataclass(slots=True)
class VerificationReport:
    """The outcome: findings, notes, how many lines there are, and number and link of the last.

    Notes are no tampering: a line torn by a crash, months deleted as the audit log itself says.
    """

    findings: list[AuditFinding] = field(default_factory=list)
    notes: list[AuditFinding] = field(default_factory=list)
    lines: int = 0
    number: int = 0
    link: str = GENESIS


class _Named(NamedTuple):
    """The number and link of a line, as audit.head or the store names it."""

    number: int
    link: str
    by: str


def verify(
    journal: AuditFiles, anchors: Mapping[int, str] = MappingProxyType({})
) -> VerificationReport:
    """Verify every line of every month there is.

    ``anchors`` are the links that the store remembers of some lines. Writers go on meanwhile: what
    they add after the beginning is not looked at.
    """
    report = VerificationReport()
    head, sizes = _head_and_sizes(journal)
    if head is None and sizes:
        report.findings.append(AuditFinding(HEAD, _NO_HEAD))
    named = []
    if head is not None:
        named.append(_Named(head.number, head.link, HEAD))
    for number, link in anchors.items():
        named.append(_Named(number, link, "the store"))
    walk = _Walk(journal.key, report, _by_number(named))
    for month, size in sizes.items():
        _walk_month(journal, month, size, walk)
    _check_beginning(walk, journal, sizes)
    last = f"audit-{max(sizes)}.jsonl" if sizes else str(journal.folder)
    report.findings.extend(_missing_at_the_end(named, walk.highest, last))
    report.number = walk.number
    report.link = walk.link or GENESIS
    _settle(report, walk.accepted)
    return report


def lines(
    journal: AuditFiles, month: str, size: int | None = None
) -> Iterator[tuple[int, bytes, ChainLine | None]]:
    """Yield the lines of a month: place, octets, and the line as read (None for none of ours)."""
    path = journal.path(month)
    left = path.stat().st_size if size is None else size
    with path.open("rb") as file:
        place = 0
        while left > 0:
            octets = file.readline(min(left, _CHUNK))
            if not octets:
                return
            left -= len(octets)
            place += 1
            line = read(octets[:-1]) if octets.endswith(b"\n") else None
            yield place, octets, line


@dataclass(slots=True)
class _Walk:
    """The state of the walk over the lines."""

    key: bytes
    report: VerificationReport
    named: Mapping[int, Sequence[_Named]]
    number: int = 0
    link: str | None = None  # None before the first line that is there
    before: str = ""  # the link that the first month there says it follows
    highest: int = 0
    deleted: set[str] = field(default_factory=set)  # the last links of deleted months
    accepted: set[str] = field(default_factory=set)
    seen: bytes = b""

    def line(self, where: str, line: ChainLine, month: str, *, first: bool) -> None:
        """Hold a line against the one before it."""
        self.seen = line.body + line.link.encode()
        opening = line.facts.get("event") == AuditEventKind.OPENED
        opens_this = opening and line.facts.get("month") == month
        after = str(line.facts.get("after"))
        if self.link is None:
            self.link = after
            self.before = after
            self.number = line.number - 1
        following = self.number + 1
        if first and not opens_this:
            self._find(where, _NOT_BEGUN)
        if line.link != linked(self.key, self.link, line.body):
            self._find(where, self._broken(line))
        elif line.number != following:
            self._find(where, f"is line {line.number} where {following} is next")
        elif opening and (not first or after != self.link):
            self._find(where, "opens a month where none begins")
        else:
            self._read_facts(where, line)
        for named in self.named.get(line.number, ()):
            if named.link != line.link:
                self._find(where, f"is not the line that {named.by} names")
        self.number = line.number
        self.link = line.link
        self.highest = max(self.highest, line.number)

    def _broken(self, line: ChainLine) -> str:
        following = self.number + 1
        if line.number <= self.number:
            place = f"stands here again, or after line {self.number}"
            return f"line {line.number} {place}: moved, inserted or replayed"
        if line.number == following:
            return "was changed, or the line before it was"
        missing = f"{following}"
        if line.number > following + 1:
            missing = f"{following} to {line.number - 1}"
        return f"line {missing} is missing before line {line.number}"

    def _read_facts(self, where: str, line: ChainLine) -> None:
        facts = line.facts
        count = facts.get("count")
        match facts.get("event"):
            case AuditEventKind.MONTH_DELETED:
                self.deleted.add(str(facts.get("ended")))
                self._note(where, f"month {facts.get('month')} was deleted")
            case AuditEventKind.TORN:
                what = f"{count} octets of a line cut short were set aside"
                fault = AuditFinding(where, what, self.seen)
                # A writer that dies leaves part of one line; whole lines without a right link are
                # somebody's.
                if facts.get("lines"):
                    self.report.findings.append(fault)
                else:
                    self.report.notes.append(fault)
            case AuditEventKind.ACCEPTED:
                self.accepted.update(map(str, facts.get("findings", ())))
                self._note(where, f"staff had seen {count} findings")
            case AuditEventKind.LOST:
                what = "octets before it are gone: cut off, or lost in a power cut"
                self._find(where, f"{count} {what}")

    def _find(self, where: str, what: str) -> None:
        self.report.findings.append(AuditFinding(where, what, self.seen))

    def _note(self, where: str, what: str) -> None:
        self.report.notes.append(AuditFinding(where, what))


def _walk_month(journal: AuditFiles, month: str, size: int, walk: _Walk) -> None:
    name = journal.path(month).name
    report = walk.report
    for place, octets, line in lines(journal, month, size):
        where = f"{name}:{place}"
        if line is not None:
            walk.line(where, line, month, first=place == 1)
            report.lines += 1
        elif octets.endswith(b"\n"):
            report.findings.append(AuditFinding(where, "is no line of the audit log", octets))
        else:
            what = "is cut short: its writer died, or is at it"
            report.notes.append(AuditFinding(where, what))


def _check_beginning(walk: _Walk, journal: AuditFiles, sizes: Mapping[str, int]) -> None:
    if walk.link is None or walk.before == GENESIS:
        return
    if walk.before not in walk.deleted:
        first = journal.path(min(sizes)).name
        walk.report.findings.append(AuditFinding(first, _UNSAID))


def _by_number(named: Sequence[_Named]) -> Mapping[int, Sequence[_Named]]:
    lines: dict[int, list[_Named]] = {}
    for line in named:
        lines.setdefault(line.number, []).append(line)
    return lines


def _missing_at_the_end(named: Sequence[_Named], highest: int, last: str) -> Iterator[AuditFinding]:
    furthest = {line.by: line.number for line in sorted(named)}
    for by, number in furthest.items():
        if number > highest:
            what = f"lines {highest + 1} to {number} are missing at the end"
            yield AuditFinding(last, f"{what}: {by} names line {number}")


def _settle(report: VerificationReport, accepted: Collection[str]) -> None:
    """Make notes of the findings that staff have accepted: of no others, so that nothing hides."""
    left = []
    for finding in report.findings:
        if finding.mark in accepted:
            report.notes.append(replace(finding, what=f"accepted: {finding.what}"))
        else:
            left.append(finding)
    report.findings = left


def _head_and_sizes(journal: AuditFiles) -> tuple[ChainHead | None, dict[str, int]]:
    """Read head and sizes at one moment, under the lock for no longer: no login waits for it."""
    try:
        with journal.locked(writing=False) as lock:
            head = read_head(journal.key, os.pread(lock, HEAD_SIZE, 0))
            return head, _sizes(journal)
    except FileNotFoundError:
        return None, _sizes(journal)


def _sizes(journal: AuditFiles) -> dict[str, int]:
    return {month: journal.path(month).stat().st_size for month in journal.months()}
