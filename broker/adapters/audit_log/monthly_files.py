"""The trail's files: one a month, appended to under one lock, and mended after a crash."""

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from broker.adapters.audit_log.hash_chain import (
    GENESIS,
    HEAD_SIZE,
    LONGEST,
    ChainHead,
    ChainLine,
    Facts,
    head_octets,
    linked,
    read,
    read_head,
    written,
)
from broker.adapters.audit_log.shared_sync import SharedSync
from broker.configuration import durable_files
from broker.core.errors import AuditUnavailable
from broker.core.events.audit_events import AuditEventKind

HEAD: Final = "audit.head"
_PATIENCE: Final = 5.0  # seconds that a writer waits for the others
_PAUSE: Final = 0.0005
_LEAST: Final = 1024 * 1024
# Who may write in the folder but not elsewhere must not have us write elsewhere, through a link of
# theirs.
_OURS: Final = os.O_NOFOLLOW | os.O_CLOEXEC
_FOR_READING: Final = _OURS | os.O_RDONLY
_FOR_THE_LOCK: Final = _OURS | os.O_RDWR | os.O_CREAT
_FOR_APPENDING: Final = _OURS | os.O_RDWR | os.O_CREAT | os.O_APPEND
_FOR_A_NEW_FILE: Final = _OURS | os.O_WRONLY | os.O_CREAT | os.O_EXCL
_ACCEPTED_A_LINE: Final = 400
_MOST_FILES: Final = 64


@dataclass(frozen=True, slots=True, repr=False)
class AuditFiles:
    """The chain in ``folder``; between two calls no state is kept, so workers may share it.

    Lines are written under one lock and synced after it, many by one sync.
    """

    folder: Path
    key: bytes
    syncs: SharedSync = field(default_factory=SharedSync)

    def append(self, at: datetime, facts: Facts, *, sync: bool) -> ChainHead:
        """Write one line and return it as the new head.

        ``sync`` waits until a power cut cannot undo it. AuditUnavailable where it cannot be
        written, with nothing of it left; where the disk does not take it; or where the head is
        missing or forged: without it nobody could tell a chain cut short from a whole one, so staff
        must look first.
        """
        try:
            with self.locked() as lock:
                head = self._head(lock)
                if head is None:
                    head = self._named(lock, _no_line(f"{at:%Y-%m}"))
                head = self._appended(lock, head, at, facts)
            if sync:
                self.syncs.wait(self.path(head.month))
        except OSError as error:
            raise AuditUnavailable(f"audit log: {error.strerror}") from None
        return head

    @contextmanager
    def locked(self, *, writing: bool = True) -> Iterator[int]:
        """Hold the one lock of all writers, the head file's, and yield its descriptor.

        AuditUnavailable after 5 s. A reader makes no head: on a copy it would be a change, and
        root's would keep the broker out.
        """
        flags = _FOR_THE_LOCK if writing else _FOR_READING
        lock = os.open(_file(self.folder, HEAD), flags, 0o600)
        try:
            _wait_for(lock)
            yield lock
        finally:
            os.close(lock)

    def delete(self, month: str, at: datetime) -> None:
        """Delete the oldest month, once a line says so.

        The line comes first: where we die in between, the same call finishes it. AuditUnavailable
        for any other month, and for the one that is open.
        """
        months = self.months()
        if months[:1] != [month] or len(months) == 1:
            what = "is not the oldest month, or it is the one that is open"
            raise AuditUnavailable(f"{month} {what}")
        following = months[1]
        with self.path(following).open("rb") as file:
            opening = read(file.readline().rstrip(b"\n"))
        if opening is None or "after" not in opening.facts:
            what = "does not begin as a month does: see broker audit verify"
            raise AuditUnavailable(f"{following} {what}")
        facts = {
            "event": AuditEventKind.MONTH_DELETED,
            "month": month,
            "ended": opening.facts["after"],
        }
        self.append(at, facts, sync=True)
        self.path(month).unlink()
        durable_files.synced(self.folder)

    def accept(self, at: datetime, findings: Sequence[str]) -> None:
        """Write that staff have seen ``findings``, by their marks.

        Where the head is gone the chain goes on from the last line.
        """
        with self.locked() as lock:
            head = read_head(self.key, os.pread(lock, HEAD_SIZE, 0))
            if head is None:
                head = self._named(lock, self._last(at))
            for begin in range(0, len(findings), _ACCEPTED_A_LINE):
                these = list(findings[begin : begin + _ACCEPTED_A_LINE])
                facts = {"event": AuditEventKind.ACCEPTED, "count": len(these), "findings": these}
                head = self._appended(lock, head, at, facts)
        if findings:
            self.syncs.wait(self.path(head.month))

    def faults(self) -> list[str]:
        """Return why nothing can be written, in sentences; empty where it can."""
        try:
            with self.locked() as lock:
                self._head(lock)
            disk = os.statvfs(self.folder)
        except AuditUnavailable as error:
            return [str(error)]
        except OSError as error:
            return [f"audit log: {error.strerror}"]
        if disk.f_bavail * disk.f_frsize < _LEAST:
            return ["audit log: the disk is full"]
        return []

    def path(self, month: str) -> Path:
        """Return the file of a month, ``2026-11``."""
        return _file(self.folder, f"audit-{month}.jsonl")

    def months(self) -> list[str]:
        """Return the months that there are lines of, oldest first.

        A full disk may leave a file empty. Reading a pipe would never end.
        """
        found = self.folder.glob("audit-????-??.jsonl")
        files = [path for path in found if path.is_file() and path.stat().st_size]
        return sorted(path.stem.removeprefix("audit-") for path in files)

    def _head(self, lock: int) -> ChainHead | None:
        """Return the head; None where nothing was ever written."""
        octets = os.pread(lock, HEAD_SIZE, 0)
        head = read_head(self.key, octets) if octets else None
        if head is None and (octets or self.months()):
            what = "audit.head is missing or not ours: see broker audit verify"
            raise AuditUnavailable(f"audit log: {what}")
        return head

    def _last(self, at: datetime) -> ChainHead:
        """Return the head that the files alone bear out: after the last whole line there is."""
        months = self.months()
        for month in reversed(months):
            head = self._last_of(month)
            if head is not None:
                return head
        oldest = min(months, default=f"{at:%Y-%m}")
        return _no_line(oldest)

    def _last_of(self, month: str) -> ChainHead | None:
        head = None
        size = 0
        for octets in self.path(month).read_bytes().splitlines(keepends=True):
            size += len(octets)
            line = read(octets.removesuffix(b"\n")) if octets.endswith(b"\n") else None
            if line is not None:
                head = ChainHead(line.number, line.link, month, size)
        return head

    def _appended(self, lock: int, head: ChainHead, at: datetime, facts: Facts) -> ChainHead:
        head, notes = self._settled(head)
        # A clock set back writes into the month that is open: no month is opened twice.
        month = max(f"{at:%Y-%m}", head.month)
        if month != head.month:
            opened = self._named(lock, head._replace(month=month, size=0))
            head, more = self._settled(opened)
            notes += more
        if head.size == 0:
            opening = {"event": AuditEventKind.OPENED, "month": month, "after": head.link}
            notes.insert(0, opening)
        notes.append(facts)
        size = head.size
        head, octets = self._lines_after(head, at, notes)
        with self._opened(month) as file:
            _write(file, octets, size)
        return self._named(lock, head)

    def _lines_after(
        self, head: ChainHead, at: datetime, lines: Sequence[Facts]
    ) -> tuple[ChainHead, bytes]:
        """Return the new head and the bytes of ``lines``, in the chain after ``head``."""
        stamp = {"at": at.isoformat(timespec="seconds")}
        octets = b""
        for facts in lines:
            number = head.number + 1
            stamped = {**stamp, **facts}
            line, link = written(self.key, head.link, number, stamped)
            if len(line) > LONGEST:
                raise AuditUnavailable("audit log: a line longer than any that is read")
            octets += line
            head = _head_after(head, number, link, line)
        return head, octets

    def _named(self, lock: int, head: ChainHead) -> ChainHead:
        """Write the head.

        It comes before a new month's file: a writer that dies in between leaves no lines that
        nothing names.
        """
        os.pwrite(lock, head_octets(self.key, head), 0)
        return head

    @contextmanager
    def _opened(self, month: str) -> Iterator[int]:
        path = self.path(month)
        new = not path.exists()
        file = os.open(path, _FOR_APPENDING, 0o600)
        try:
            if new:
                durable_files.synced(self.folder)
            yield file
        finally:
            os.close(file)

    def _settled(self, head: ChainHead) -> tuple[ChainHead, list[Facts]]:
        """Bring head and file together where a crash or a hand left them apart.

        Returns the head and what the audit log must note of it. A line whose writer died before it
        wrote the head counts; one cut short in the middle is set aside; lines that the head names
        and the file has not are noted as lost, and the chain goes on from the head.
        """
        path = self.path(head.month)
        size = path.stat().st_size if path.exists() else 0
        if size == head.size:
            return head, []
        notes: list[Facts] = []
        with self._opened(head.month) as file:
            if size < head.size:
                lost = {
                    "event": AuditEventKind.LOST,
                    "month": head.month,
                    "count": head.size - size,
                }
                notes.append(lost)
                _, _, rest = os.pread(file, size, 0).rpartition(b"\n")
                head = head._replace(size=size - len(rest))
            else:
                unnamed = os.pread(file, size - head.size, head.size)
                head, rest = self._caught_up(head, unnamed)
            if rest:
                notes.append(self._set_aside(file, head, rest))
        return head, notes

    def _caught_up(self, head: ChainHead, octets: bytes) -> tuple[ChainHead, bytes]:
        """Return the head after the whole lines that follow it, and the octets after them."""
        while b"\n" in octets:
            first, newline, rest = octets.partition(b"\n")
            line = read(first)
            if line is None or not self._follows(head, line):
                break
            head = _head_after(head, line.number, line.link, first + newline)
            octets = rest
        return head, octets

    def _follows(self, head: ChainHead, line: ChainLine) -> bool:
        if line.link != linked(self.key, head.link, line.body):
            return False
        return line.number == head.number + 1

    def _set_aside(self, file: int, head: ChainHead, octets: bytes) -> Facts:
        digest = hashlib.sha256(octets).hexdigest()
        aside = self.folder / f"torn-{head.month}-{digest[:16]}"
        # It may be of a writer that died before the next step, or a link that somebody laid there.
        aside.unlink(missing_ok=True)
        descriptor = os.open(aside, _FOR_A_NEW_FILE, 0o600)
        with os.fdopen(descriptor, "wb") as copy:
            copy.write(octets)
            copy.flush()
            os.fsync(copy.fileno())
        os.ftruncate(file, head.size)
        return {
            "event": AuditEventKind.TORN,
            "month": head.month,
            "count": len(octets),
            "lines": octets.count(b"\n"),
            "digest": digest,
        }


@lru_cache(maxsize=_MOST_FILES)
def _file(folder: Path, name: str) -> Path:
    """Return the path of a file; a line needs three, and to make one takes longer than to hash."""
    return folder / name


def _no_line(month: str) -> ChainHead:
    """Return the head of a chain without lines, whose first stands in ``month``."""
    return ChainHead(0, GENESIS, month, 0)


def _wait_for(lock: int) -> None:
    """Lock the descriptor; AuditUnavailable where the other writers do not let go in time."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            # Of this opening, not of the process: threads keep each other out as well.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise AuditUnavailable("audit log: another writer does not let go") from None
            time.sleep(_PAUSE)
        else:
            return


def _head_after(head: ChainHead, number: int, link: str, line: bytes) -> ChainHead:
    """Return the head after one more line of the same month."""
    return ChainHead(number, link, head.month, head.size + len(line))


def _write(file: int, octets: bytes, size: int) -> None:
    """Write all of it or nothing (a full disk takes a part)."""
    done = 0
    try:
        while done < len(octets):
            done += os.write(file, octets[done:])
    except OSError:
        with suppress(OSError):
            os.ftruncate(file, size)
        raise
