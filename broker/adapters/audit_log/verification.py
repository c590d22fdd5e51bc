"""Verification of the audit log: finds lines that were changed, moved, inserted or removed."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from broker.adapters.audit_log.hash_chain import GENESIS, ChainLine, compute_link, parse_head
from broker.adapters.audit_log.monthly_files import HEAD, AuditFiles
from broker.core.events.audit_events import AuditEventKind

_MARK_LENGTH: Final = 32
_OTHER_MONTH: Final = "is of another month: the file has a new name"
_NO_BEGINNING: Final = (
    "the lines before it are missing, and no line records that their month was deleted"
)
_NO_HEAD: Final = "is missing or not ours, so that lines may be missing at the end"


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """A fault and the line where it shows: ``audit-2026-11.jsonl:12``."""

    where: str
    what: str
    octets: bytes = field(default=b"", repr=False)

    def __str__(self) -> str:
        """Return the finding as one line of text."""
        return f"{self.where}: {self.what}"

    @property
    def mark(self) -> str:
        """Mark of the finding and its line that staff accept; it covers no later change of it."""
        octets = f"{self}\0".encode() + self.octets
        return hashlib.sha256(octets).hexdigest()[:_MARK_LENGTH]


@dataclass(slots=True)
class VerificationReport:
    """Findings, notes, the number of lines, and number and link of the last line.

    A note is a line cut short by a crash or an accepted finding.
    """

    findings: list[AuditFinding] = field(default_factory=list)
    notes: list[AuditFinding] = field(default_factory=list)
    lines: int = 0
    number: int = 0
    link: str = GENESIS


def verify(
    files: AuditFiles, anchors: Mapping[int, str] = MappingProxyType({})
) -> VerificationReport:
    """Verify every line of every month.

    ``anchors`` are the links of some lines in the store. Lines that are added meanwhile are not
    read.
    """
    report = VerificationReport()
    chain = _ChainReader(files.key, report, {"the store": anchors})
    # Read the head before the lines: writers may add lines meanwhile.
    head_file = files.folder / HEAD
    head = parse_head(files.key, head_file.read_bytes()) if head_file.exists() else None
    months = files.months()
    if head is not None:
        chain.known[HEAD] = {head.number: head.link}
    elif months:
        report.findings.append(AuditFinding(HEAD, _NO_HEAD))
    for month in months:
        name = files.path(month).name
        for place, (octets, line) in enumerate(files.read_lines(month), 1):
            chain.read(f"{name}:{place}", octets, line)
            written = str(line.facts.get("at"))[:7] if line else month
            # A clock that was set back writes earlier times, but nothing writes later ones.
            if written > month or (place == 1 and written != month):
                report.findings.append(AuditFinding(f"{name}:{place}", _OTHER_MONTH, octets))
    chain.check_ends(files.path(months[-1]).name if months else str(files.folder))
    chain.move_accepted()
    return report


@dataclass(slots=True)
class _ChainReader:
    """Compares each line with the one before it and with the known lines."""

    key: bytes
    report: VerificationReport
    known: dict[str, Mapping[int, str]]  # numbers and links of lines that each source names
    highest: int = 0
    beginning: tuple[str, ChainLine] | None = None  # the first line, if it is not line 1
    deleted: set[str] = field(default_factory=set)  # the last links of deleted months
    accepted: set[str] = field(default_factory=set)

    def read(self, where: str, octets: bytes, line: ChainLine | None) -> None:
        """Check one line."""
        report = self.report
        if line is None and octets.endswith(b"\n"):
            report.findings.append(AuditFinding(where, "is no line of the audit log", octets))
        elif line is None:
            what = "is cut short: its writer died, or is at it"
            report.notes.append(AuditFinding(where, what))
        else:
            for what in self._compare(where, line):
                report.findings.append(AuditFinding(where, what, octets))
            report.lines += 1
            report.number, report.link = line.number, line.link
            self.highest = max(self.highest, line.number)

    def check_ends(self, last_file: str) -> None:
        """Find lines that are missing before the first and after the last line."""
        if self.beginning is not None:
            where, line = self.beginning
            if line.link not in {compute_link(self.key, end, line.body) for end in self.deleted}:
                self.report.findings.append(AuditFinding(where, _NO_BEGINNING))
            else:
                self._read_facts(line)
        for source, links in self.known.items():
            number = max(links, default=0)
            if number > self.highest:
                what = f"lines {self.highest + 1} to {number} are missing at the end"
                finding = AuditFinding(last_file, f"{what}: {source} names line {number}")
                self.report.findings.append(finding)

    def move_accepted(self) -> None:
        """Turn the findings that staff have accepted into notes."""
        findings = self.report.findings
        self.report.findings = [each for each in findings if each.mark not in self.accepted]
        for finding in findings:
            if finding.mark in self.accepted:
                self.report.notes.append(replace(finding, what=f"accepted: {finding.what}"))

    def _compare(self, where: str, line: ChainLine) -> list[str]:
        """Return what is wrong with a line, in sentences."""
        found = []
        following = self.report.number + 1
        if not self.report.lines and line.number != 1:
            self.beginning = (where, line)
        elif line.number != following:
            what = f"is line {line.number} where line {following} is next"
            found.append(f"{what}: lines were removed, moved, inserted or repeated")
        elif line.link != compute_link(self.key, self.report.link, line.body):
            found.append("was changed, or the line before it was")
        for source, links in self.known.items():
            if links.get(line.number, line.link) != line.link:
                found.append(f"is not the line that {source} names")
        # Nothing has shown yet that a first line with another number than 1 is ours.
        if not found and (self.beginning is None or self.beginning[1] is not line):
            self._read_facts(line)
        return found

    def _read_facts(self, line: ChainLine) -> None:
        """Read the deletions and acceptances of a line that the key has made."""
        if line.facts.get("event") == AuditEventKind.MONTH_DELETED:
            self.deleted.add(str(line.facts.get("ended")))
        if line.facts.get("event") == AuditEventKind.ACCEPTED:
            self.accepted.update(map(str, line.facts.get("findings", ())))
