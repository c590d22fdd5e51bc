"""Verification of the audit log: finds lines that were changed, moved, inserted or removed."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from broker.adapters.audit_log.hash_chain import (
    GENESIS,
    ChainHead,
    ChainLine,
    compute_link,
    is_anchor,
    parse_head,
)
from broker.adapters.audit_log.monthly_files import HEAD_FILE, AuditFiles
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
    """Findings in a chain that is read line by line; number and link are those of the last line.

    A note is a line cut short by a crash or an accepted finding. ``known`` are numbers and links of
    lines that each source names.
    """

    key: bytes = field(repr=False)
    known: dict[str, Mapping[int, str]]
    findings: list[AuditFinding] = field(default_factory=list)
    notes: list[AuditFinding] = field(default_factory=list)
    lines: int = 0
    number: int = 0
    link: str = GENESIS
    head: ChainHead | None = None
    anchor: ChainHead | None = None  # the last line whose link is copied to the store
    # the first line, if it is not line 1 and no line records the deletion of the month before
    _unexplained: tuple[str, ChainLine] | None = None
    _accepted: set[str] = field(default_factory=set)

    def read(self, where: str, octets: bytes, line: ChainLine | None) -> None:
        """Check one line."""
        if line is not None:
            found = self._compare(where, line)
            self.findings.extend(AuditFinding(where, what, octets) for what in found)
            self.lines += 1
            self.number, self.link = line.number, line.link
            if is_anchor(line.number):
                self.anchor = ChainHead(line.number, line.link, "", 0)
        elif octets.endswith(b"\n"):
            self.findings.append(AuditFinding(where, "is no line of the audit log", octets))
        else:
            what = "is cut short: its writer died, or is at it"
            self.notes.append(AuditFinding(where, what))

    def check_ends(self, last_file: str) -> None:
        """Find lines that are missing before the first and after the last line."""
        if self._unexplained:
            self.findings.append(AuditFinding(self._unexplained[0], _NO_BEGINNING))
        for source, links in self.known.items():
            number = max(links, default=0)
            if number > self.number:
                what = f"lines {self.number + 1} to {number} are missing at the end"
                finding = AuditFinding(last_file, f"{what}: {source} names line {number}")
                self.findings.append(finding)

    def move_accepted(self) -> None:
        """Turn the findings that staff have accepted into notes."""
        found, self.findings = self.findings, []
        for finding in found:
            if finding.mark in self._accepted:
                self.notes.append(replace(finding, what=f"accepted: {finding.what}"))
            else:
                self.findings.append(finding)

    def _compare(self, where: str, line: ChainLine) -> list[str]:
        """Return what is wrong with a line, in sentences."""
        found = []
        following = self.number + 1
        is_beginning = not self.lines and line.number != 1
        if is_beginning:
            self._unexplained = (where, line)
        elif line.number != following:
            what = f"is line {line.number} where line {following} is next"
            found.append(f"{what}: lines were removed, moved, inserted or repeated")
        elif line.link != compute_link(self.key, self.link, line.body):
            found.append("was changed, or the line before it was")
        for source, links in self.known.items():
            if links.get(line.number, line.link) != line.link:
                found.append(f"is not the line that {source} names")
        # A first line with another number than 1 is not yet proved to be the broker's.
        if not found and not is_beginning:
            self._read_facts(line)
        return found

    def _read_facts(self, line: ChainLine) -> None:
        """Read the deletions and acceptances of a line that the key has made."""
        if self._unexplained and line.facts.get("event") == AuditEventKind.MONTH_DELETED:
            first = self._unexplained[1]
            if first.link == compute_link(self.key, str(line.facts.get("ended")), first.body):
                self._unexplained = None
        if line.facts.get("event") == AuditEventKind.ACCEPTED:
            self._accepted.update(map(str, line.facts.get("findings", ())))


def verify(
    files: AuditFiles, anchors: Mapping[int, str] = MappingProxyType({})
) -> VerificationReport:
    """Verify every line of every month.

    ``anchors`` are the links of some lines in the store. Lines that are added meanwhile are not
    read.
    """
    report = VerificationReport(files.key, {"the store": anchors})
    # Read the head before the lines: writers may add lines meanwhile.
    head_file = files.folder / HEAD_FILE
    head = parse_head(files.key, head_file.read_bytes()) if head_file.exists() else None
    report.head = head
    months = files.months()
    if head is not None:
        report.known[HEAD_FILE] = {head.number: head.link}
    elif months:
        report.findings.append(AuditFinding(HEAD_FILE, _NO_HEAD))
    for month in months:
        name = files.path(month).name
        for place, (octets, line) in enumerate(files.read_lines(month), 1):
            report.read(f"{name}:{place}", octets, line)
            written = str(line.facts.get("at"))[:7] if line else month
            # A clock that was set back writes earlier times, but nothing writes later ones.
            if written > month or (place == 1 and written != month):
                report.findings.append(AuditFinding(f"{name}:{place}", _OTHER_MONTH, octets))
    report.check_ends(files.path(months[-1]).name if months else str(files.folder))
    report.move_accepted()
    return report
