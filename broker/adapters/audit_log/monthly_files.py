"""Files of the audit log: one for each month, appended to under one lock."""

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.adapters.audit_log.hash_chain import (
    GENESIS,
    HEAD_SIZE,
    LONGEST,
    ChainHead,
    ChainLine,
    Facts,
    build_line,
    compute_link,
    encode_head,
    parse_head,
    parse_line,
)
from broker.configuration import durable_files
from broker.core.errors import AuditUnavailable
from broker.core.events.audit_events import AuditEventKind

HEAD_FILE: Final = "audit.head"
_LOCK_TIMEOUT_S: Final = 5.0
_LOCK_PAUSE_S: Final = 0.0005
_MIN_FREE_BYTES: Final = 1024 * 1024
# Do not follow links: they could lead to files outside the folder.
_COMMON_FLAGS: Final = os.O_NOFOLLOW | os.O_CLOEXEC
_FOR_THE_LOCK: Final = _COMMON_FLAGS | os.O_RDWR | os.O_CREAT
_FOR_APPENDING: Final = _COMMON_FLAGS | os.O_RDWR | os.O_CREAT | os.O_APPEND
_MOST_ACCEPTED: Final = 400


@dataclass(frozen=True, slots=True, repr=False)
class AuditFiles:
    """The hash chain in ``folder``, which workers share: an object of this class has no state."""

    folder: Path
    key: bytes

    def append(self, at: datetime, facts: Facts, *, sync: bool) -> ChainHead:
        """Write one line and return it as the new head.

        With ``sync`` the call returns when a power cut can no longer undo the line. Raises
        AuditUnavailable if the line cannot be written (nothing of it is left), or if the head is
        missing or forged: without a head nobody can tell a cut chain from a whole one, so staff
        must look first.
        """
        try:
            with ExitStack() as opened:
                with self.hold_lock() as lock:
                    # The first head is written before the first line, so that no line lacks one.
                    head = self._head(lock) or self._write_head(lock, _make_first_head(at))
                    file = opened.enter_context(self._open(head.month))
                    head = self._recover(file, head)
                    # A clock that was set back does not open an earlier month again.
                    if (month := f"{at:%Y-%m}") > head.month:
                        file = opened.enter_context(self._open(month))
                        head = self._recover(file, head._replace(month=month, size=0))
                    head = self._write_head(lock, self._write(file, head, at, facts))
                # Other writers need not wait for the disk. The descriptor that wrote the line is
                # synced, because it reports every lost write since it was opened.
                if sync:
                    os.fdatasync(file)
        except OSError as error:
            raise AuditUnavailable(f"audit log: {error.strerror}") from None
        return head

    @contextmanager
    def hold_lock(self) -> Iterator[int]:
        """Hold the lock of all writers, the head file, and yield its descriptor.

        Raises AuditUnavailable after 5 s.
        """
        lock = os.open(self.folder / HEAD_FILE, _FOR_THE_LOCK, 0o600)
        try:
            _wait_for(lock)
            yield lock
        finally:
            os.close(lock)

    def delete(self, month: str, at: datetime) -> None:
        """Delete the oldest month, after a line has recorded it.

        Raises AuditUnavailable for any other month, and for the month that lines are written to.
        If the process crashes before the file is gone, the same call finishes the deletion.
        """
        months = self.months()
        if months[:1] != [month] or len(months) == 1:
            raise AuditUnavailable(
                f"{month} is not the oldest month, or it is the one that is open"
            )
        last_link = GENESIS
        for _, line in self.read_lines(month):
            if line and str(line.facts.get("at"))[:7] > month:
                raise AuditUnavailable(
                    f"{month} has lines of a later month: see broker audit verify"
                )
            last_link = line.link if line else last_link
        facts = {"event": AuditEventKind.MONTH_DELETED, "month": month, "ended": last_link}
        self.append(at, facts, sync=True)
        self.path(month).unlink()
        durable_files.sync_folder(self.folder)

    def accept(self, at: datetime, marks: Sequence[str], last: tuple[int, str]) -> None:
        """Write that staff have accepted findings, at most 400 at a time.

        ``marks`` identify the findings. ``last`` is the number and link of the last line that
        ``verify`` read: if the head is missing, the chain continues after that line.
        """
        with self.hold_lock() as lock:
            if parse_head(self.key, os.pread(lock, HEAD_SIZE, 0)) is None:
                month = max([f"{at:%Y-%m}", *self.months()])
                self._write_head(lock, ChainHead(*last, month, 0))
        accepted = list(marks[:_MOST_ACCEPTED])
        facts = {"event": AuditEventKind.ACCEPTED, "count": len(accepted), "findings": accepted}
        self.append(at, facts, sync=True)

    def faults(self) -> list[str]:
        """Return sentences that say why no line can be written; empty if one can."""
        try:
            self.read_head()
            disk = os.statvfs(self.folder)
        except AuditUnavailable as error:
            return [str(error)]
        except OSError as error:
            return [f"audit log: {error.strerror}"]
        if disk.f_bavail * disk.f_frsize < _MIN_FREE_BYTES:
            return ["audit log: the disk is full"]
        return []

    def read_head(self) -> ChainHead | None:
        """Return the head; None if nothing was ever written.

        Raises AuditUnavailable if it cannot be read or is forged.
        """
        try:
            with self.hold_lock() as lock:
                return self._head(lock)
        except OSError as error:
            raise AuditUnavailable(f"audit log: {error.strerror}") from None

    def path(self, month: str) -> Path:
        """Return the file of a month, ``2026-11``."""
        return self.folder / f"audit-{month}.jsonl"

    def months(self) -> list[str]:
        """Return the months that have lines, oldest first.

        Skip empty files, which a full disk leaves, and pipes, which would block a reader.
        """
        found = self.folder.glob("audit-????-??.jsonl")
        files = [path for path in found if path.is_file() and path.stat().st_size]
        return sorted(path.stem.removeprefix("audit-") for path in files)

    def read_lines(self, month: str) -> Iterator[tuple[bytes, ChainLine | None]]:
        """Yield each line of a month: its octets, and the line, or None if it has another form."""
        with self.path(month).open("rb") as file:
            while octets := file.readline(LONGEST + 1):
                yield octets, parse_line(octets)

    def _head(self, lock: int) -> ChainHead | None:
        """Return the head; None if nothing was ever written."""
        octets = os.pread(lock, HEAD_SIZE, 0)
        head = parse_head(self.key, octets)
        if head is None and (octets or self.months()):
            raise AuditUnavailable(
                "audit log: audit.head is missing or not ours: see broker audit verify"
            )
        return head

    def _write_head(self, lock: int, head: ChainHead) -> ChainHead:
        os.pwrite(lock, encode_head(self.key, head), 0)
        return head

    def _recover(self, file: int, head: ChainHead) -> ChainHead:
        """Return the head that fits the file of its month, which a crash may have left longer.

        A whole line that follows the head counts. Half a line is cut off: its writer crashed
        before the line was confirmed. If lines are missing or do not belong to this chain, the
        chain continues from the head, and ``verify`` reports them.
        """
        size = os.fstat(file).st_size
        if size == head.size:
            return head
        lines = os.pread(file, max(size - head.size, 0), head.size).splitlines(keepends=True)
        for octets in lines:
            line = parse_line(octets)
            if line is None or line.link != compute_link(self.key, head.link, line.body):
                break
            head = ChainHead(line.number, line.link, head.month, head.size + len(octets))
        rest = os.pread(file, size, head.size)
        if rest and b"\n" not in rest:
            os.ftruncate(file, head.size)
        elif size and os.pread(file, 1, size - 1) != b"\n":
            os.write(file, b"\n")
        return head._replace(size=os.fstat(file).st_size)

    def _write(self, file: int, head: ChainHead, at: datetime, facts: Facts) -> ChainHead:
        """Write one line after the head and return the new head; write nothing if it fails."""
        number = head.number + 1
        dated = {"at": at.isoformat(timespec="seconds"), **facts}
        octets, link = build_line(self.key, head.link, number, dated)
        if len(octets) > LONGEST:
            raise AuditUnavailable("audit log: the line is too long")
        written = 0
        try:
            written = os.write(file, octets)
        finally:
            if written < len(octets):
                with suppress(OSError):
                    os.ftruncate(file, head.size)
        if written < len(octets):
            raise AuditUnavailable("audit log: the disk is full")
        return ChainHead(number, link, head.month, head.size + len(octets))

    @contextmanager
    def _open(self, month: str) -> Iterator[int]:
        path = self.path(month)
        is_new = not path.exists()
        file = os.open(path, _FOR_APPENDING, 0o600)
        try:
            if is_new:
                durable_files.sync_folder(self.folder)
            yield file
        finally:
            os.close(file)


def _make_first_head(at: datetime) -> ChainHead:
    """Return the head of a chain without lines."""
    return ChainHead(0, GENESIS, f"{at:%Y-%m}", 0)


def _wait_for(lock: int) -> None:
    """Lock the descriptor, against other threads too. Raises AuditUnavailable after 5 s."""
    until = time.monotonic() + _LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise AuditUnavailable("audit log: another writer holds the lock") from None
            time.sleep(_LOCK_PAUSE_S)
        else:
            return
