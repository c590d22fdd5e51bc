"""Reads the trail from end to end and says which line is not as it was written, and what is missing."""

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from broker.adapters.trail.hash_chain import (
    GENESIS,
    HEAD_SIZE,
    LONGEST,
    TrailHead,
    TrailLine,
    linked,
    read,
    read_head,
)
from broker.adapters.trail.monthly_files import HEAD, TrailFiles
from broker.core.audit_events import AuditEventKind

_CHUNK: Final = LONGEST + 1


@dataclass(frozen=True, slots=True)
class TrailFault:
    """One thing that is wrong, and the line where it shows: ``audit-2026-11.jsonl:12``."""

    where: str
    what: str
    seen: bytes = field(default=b"", repr=False)  # the line that stands there

    def __str__(self) -> str:
        """Give it as one line."""
        return f"{self.where}: {self.what}"

    @property
    def mark(self) -> str:
        """Give what staff accept: this finding, of this line, and no later change of it."""
        return hashlib.sha256(f"{self}\0".encode() + self.seen).hexdigest()[:32]


@dataclass(slots=True)
class VerificationReport:
    """What was found; ``notes`` are no tampering: a line torn by a crash, months deleted as the trail itself says."""

    findings: list[TrailFault] = field(default_factory=list)
    notes: list[TrailFault] = field(default_factory=list)
    lines: int = 0
    number: int = 0
    link: str = GENESIS


@dataclass(slots=True)
class _Walk:
    """Where the walk over the lines stands."""

    key: bytes
    report: VerificationReport
    marks: Mapping[
        int, Sequence[tuple[str, str]]
    ]  # a line's number: the link it must have, and who says so
    number: int = 0
    link: str | None = None  # None before the first line that is there
    before: str = ""  # the link that the first month there says it follows
    highest: int = 0
    deleted: dict[str, str] = field(default_factory=dict)  # last link of a deleted month: the month
    accepted: set[str] = field(default_factory=set)
    seen: bytes = b""

    def line(self, where: str, line: TrailLine, month: str, *, first: bool) -> None:
        """Hold a line against the one before it."""
        self.seen = line.body + line.link.encode()
        opening = line.facts.get("event") == AuditEventKind.OPENED
        after = str(line.facts.get("after"))
        if self.link is None:
            self.link, self.before, self.number = after, after, line.number - 1
        if first and not (opening and line.facts.get("month") == month):
            self._found(
                where,
                "the month does not begin here: lines before it are missing, or the file has a new name",
            )
        if line.link != linked(self.key, self.link, line.body):
            self._found(where, self._broken(line))
        elif line.number != self.number + 1:
            self._found(where, f"is line {line.number} where {self.number + 1} is next")
        elif opening and (not first or after != self.link):
            self._found(where, "opens a month where none begins")
        else:
            self._heard(where, line)
        for link, who in self.marks.get(line.number, ()):
            if link != line.link:
                self._found(where, f"is not the line that {who} names")
        self.number, self.link, self.highest = (
            line.number,
            line.link,
            max(self.highest, line.number),
        )

    def _broken(self, line: TrailLine) -> str:
        if line.number > self.number + 1:
            missing = (
                f"{self.number + 1} to {line.number - 1}"
                if line.number > self.number + 2
                else self.number + 1
            )
            return f"line {missing} is missing before line {line.number}"
        if line.number <= self.number:
            return f"line {line.number} stands here again, or after line {self.number}: moved, inserted or replayed"
        return "was changed, or the line before it was"

    def _heard(self, where: str, line: TrailLine) -> None:
        facts = line.facts
        if facts.get("event") == AuditEventKind.MONTH_DELETED:
            self.deleted[str(facts.get("ended"))] = str(facts.get("month"))
            self.report.notes.append(TrailFault(where, f"month {facts.get('month')} was deleted"))
        if facts.get("event") == AuditEventKind.TORN:
            told = f"{facts.get('count')} octets of a line cut short were set aside"
            # A writer that dies leaves part of one line; whole lines without a right link are
            # somebody's.
            (self.report.findings if facts.get("lines") else self.report.notes).append(
                TrailFault(where, told, self.seen)
            )
        if facts.get("event") == AuditEventKind.ACCEPTED:
            self.accepted.update(map(str, facts.get("findings", ())))
            self.report.notes.append(
                TrailFault(where, f"staff had seen {facts.get('count')} findings")
            )
        if facts.get("event") == AuditEventKind.LOST:
            self._found(
                where,
                f"{facts.get('count')} octets before it are gone: cut off, or lost in a power cut",
            )

    def _found(self, where: str, what: str) -> None:
        self.report.findings.append(TrailFault(where, what, self.seen))


def verify(
    journal: TrailFiles, anchors: Mapping[int, str] = MappingProxyType({})
) -> VerificationReport:
    """Check every line of every month there is; ``anchors`` are the links that the store remembers of some lines.

    Writers go on meanwhile: what they add after the beginning is not looked at.
    """
    report = VerificationReport()
    head, sizes = _taken(journal)
    if head is None and sizes:
        report.findings.append(
            TrailFault(HEAD, "is missing or not ours, so that lines may be missing at the end")
        )
    named = [(head.number, head.link, HEAD)] if head else []
    named += [(number, link, "the store") for number, link in anchors.items()]
    marks: dict[int, list[tuple[str, str]]] = {}
    for number, link, who in named:
        marks.setdefault(number, []).append((link, who))
    walk = _Walk(journal.key, report, marks)
    for month, size in sizes.items():
        _month(journal, month, size, walk)
    _began(walk, journal, sizes)
    for who, number in {who: number for number, _, who in sorted(named)}.items():
        if number > walk.highest:
            last = f"audit-{max(sizes)}.jsonl" if sizes else str(journal.folder)
            what = f"lines {walk.highest + 1} to {number} are missing at the end: {who} names line {number}"
            report.findings.append(TrailFault(last, what))
    report.number, report.link = walk.number, walk.link or GENESIS
    _settle(report, walk.accepted)
    return report


def _settle(report: VerificationReport, accepted: Collection[str]) -> None:
    """Make notes of what staff have accepted: these very findings, so that nothing can hide behind them later."""
    known = [each for each in report.findings if each.mark in accepted]
    report.notes += [replace(each, what=f"accepted: {each.what}") for each in known]
    report.findings = [each for each in report.findings if each.mark not in accepted]


def lines(
    journal: TrailFiles, month: str, size: int | None = None
) -> Iterator[tuple[int, bytes, TrailLine | None]]:
    """Give the lines of a month as they stand: place, octets, and what they say (None: none of ours)."""
    left = journal.path(month).stat().st_size if size is None else size
    with journal.path(month).open("rb") as file:
        place = 0
        while left > 0:
            octets = file.readline(min(left, _CHUNK))
            if not octets:
                return
            left, place = left - len(octets), place + 1
            yield place, octets, read(octets[:-1]) if octets.endswith(b"\n") else None


def _taken(journal: TrailFiles) -> tuple[TrailHead | None, dict[str, int]]:
    """Take head and sizes at one moment, for the lock's length only: no login waits for the reading."""
    try:
        with journal.locked(writing=False) as lock:
            return read_head(journal.key, os.pread(lock, HEAD_SIZE, 0)), _sizes(journal)
    except FileNotFoundError:
        return None, _sizes(journal)


def _sizes(journal: TrailFiles) -> dict[str, int]:
    return {month: journal.path(month).stat().st_size for month in journal.months()}


def _month(journal: TrailFiles, month: str, size: int, walk: _Walk) -> None:
    name, report = journal.path(month).name, walk.report
    for place, octets, line in lines(journal, month, size):
        where = f"{name}:{place}"
        if line is not None:
            walk.line(where, line, month, first=place == 1)
            report.lines += 1
        elif octets.endswith(b"\n"):
            report.findings.append(TrailFault(where, "is no line of the trail", octets))
        else:
            report.notes.append(TrailFault(where, "is cut short: its writer died, or is at it"))


def _began(walk: _Walk, journal: TrailFiles, sizes: Mapping[str, int]) -> None:
    if walk.link is None or walk.before == GENESIS:
        return
    if walk.before not in walk.deleted:
        first = journal.path(min(sizes)).name
        what = "the months before it are missing, and no line says that they were deleted"
        walk.report.findings.append(TrailFault(first, what))
