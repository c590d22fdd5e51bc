"""The trail's files: one a month, appended to by every worker under one lock, and put right after a crash."""

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.adapters.trail.hash_chain import (
    GENESIS,
    HEAD_SIZE,
    LONGEST,
    Facts,
    TrailHead,
    head_octets,
    linked,
    read,
    read_head,
    written,
)
from broker.core.audit_events import AuditEventKind
from broker.core.errors import AuditUnavailable
from broker.files import durable_files as durable

HEAD: Final = "audit.head"
_PATIENCE: Final = 5.0  # seconds that a writer waits for the others
_PAUSE: Final = 0.0005
_LEAST: Final = 1024 * 1024
# Who may write in the folder but not elsewhere must not have us write elsewhere, through a link of
# theirs.
_OURS: Final = os.O_NOFOLLOW | os.O_CLOEXEC
_ACCEPTED_A_LINE: Final = 400


@dataclass(frozen=True, slots=True, repr=False)
class TrailFiles:
    """Appends to the chain in ``folder``; nothing is kept between two calls, so workers and threads need not meet."""

    folder: Path
    key: bytes

    def append(self, at: datetime, facts: Facts, *, sync: bool) -> TrailHead:
        """Write one line and give it as the new head; ``sync`` waits until a power cut cannot undo it.

        ``AuditUnavailable`` where it cannot be written, with nothing of it left, or where the head
        is missing or forged: without it nobody could tell a chain cut short from a whole one, so
        staff must look first.
        """
        try:
            with self.locked() as lock:
                head = self._head(lock)
                if head is None:
                    head = self._named(lock, TrailHead(0, GENESIS, f"{at:%Y-%m}", 0))
                return self._appended(lock, head, at, facts, sync=sync)
        except OSError as error:
            raise AuditUnavailable(f"audit trail: {error.strerror}") from None

    @contextmanager
    def locked(self, *, writing: bool = True) -> Iterator[int]:
        """Hold the one lock of all writers, the head file's; gives its descriptor. AuditUnavailable after 5 s.

        Who only reads makes no head: on a copy it would be a change, and root's would keep the
        broker out.
        """
        lock = os.open(
            self.folder / HEAD, _OURS | (os.O_RDWR | os.O_CREAT if writing else os.O_RDONLY), 0o600
        )
        until = time.monotonic() + _PATIENCE
        try:
            while True:
                try:
                    # Of this opening, not of the process: threads keep each other out as well.
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise AuditUnavailable(
                            "audit trail: another writer does not let go"
                        ) from None
                    time.sleep(_PAUSE)
            yield lock
        finally:
            os.close(lock)

    def delete(self, month: str, at: datetime) -> None:
        """Delete the oldest month, once a line says so; AuditUnavailable for any other, and for the one that is open.

        The line comes first: where we die in between, the same call finishes it.
        """
        months = self.months()
        if month not in months[:-1] or month != months[0]:
            raise AuditUnavailable(
                f"{month} is not the oldest month, or it is the one that is open"
            )
        with self.path(months[1]).open("rb") as file:
            following = read(file.readline().rstrip(b"\n"))
        if following is None or "after" not in following.facts:
            raise AuditUnavailable(
                f"{months[1]} does not begin as a month does: see broker audit verify"
            )
        facts = {
            "event": AuditEventKind.MONTH_DELETED,
            "month": month,
            "ended": following.facts["after"],
        }
        self.append(at, facts, sync=True)
        self.path(month).unlink()
        durable.synced(self.folder)

    def accept(self, at: datetime, findings: Sequence[str]) -> None:
        """Write that staff have seen ``findings``, by their marks, and go on from the last line if the head is gone."""
        with self.locked() as lock:
            head = read_head(self.key, os.pread(lock, HEAD_SIZE, 0)) or self._named(
                lock, self._last(at)
            )
            for begin in range(0, len(findings), _ACCEPTED_A_LINE):
                these = list(findings[begin : begin + _ACCEPTED_A_LINE])
                facts = {"event": AuditEventKind.ACCEPTED, "count": len(these), "findings": these}
                head = self._appended(lock, head, at, facts, sync=True)

    def _last(self, at: datetime) -> TrailHead:
        """Give the head that the files alone bear out: after the last whole line of the last month that has one."""
        for month in reversed(self.months()):
            found, size = None, 0
            for octets in self.path(month).read_bytes().splitlines(keepends=True):
                line, size = (
                    read(octets.removesuffix(b"\n")) if octets.endswith(b"\n") else None,
                    size + len(octets),
                )
                found = TrailHead(line.number, line.link, month, size) if line else found
            if found:
                return found
        return TrailHead(0, GENESIS, min(self.months(), default=f"{at:%Y-%m}"), 0)

    def faults(self) -> list[str]:
        """Say in sentences why nothing can be written; empty where it can."""
        try:
            with self.locked() as lock:
                self._head(lock)
            left = os.statvfs(self.folder)
        except AuditUnavailable as error:
            return [str(error)]
        except OSError as error:
            return [f"audit trail: {error.strerror}"]
        return ["audit trail: the disk is full"] if left.f_bavail * left.f_frsize < _LEAST else []

    def path(self, month: str) -> Path:
        """Give the file of a month, ``2026-11``."""
        return self.folder / f"audit-{month}.jsonl"

    def months(self) -> list[str]:
        """Give the months that there are lines of, oldest first.

        A full disk may leave a file empty. Reading a pipe would never end.
        """
        found = self.folder.glob("audit-????-??.jsonl")
        files = (each for each in found if each.is_file() and each.stat().st_size)
        return sorted(each.stem.removeprefix("audit-") for each in files)

    def _head(self, lock: int) -> TrailHead | None:
        """Give the head; None where nothing was ever written."""
        octets = os.pread(lock, HEAD_SIZE, 0)
        head = read_head(self.key, octets) if octets else None
        if head is None and (octets or self.months()):
            raise AuditUnavailable(
                "audit trail: audit.head is missing or not ours: see broker audit verify"
            )
        return head

    def _appended(
        self, lock: int, head: TrailHead, at: datetime, facts: Facts, *, sync: bool
    ) -> TrailHead:
        head, notes = self._settled(head)
        # A clock set back writes into the month that is open: no month is opened twice.
        month = max(f"{at:%Y-%m}", head.month)
        if month != head.month:
            head, more = self._settled(self._named(lock, head._replace(month=month, size=0)))
            notes += more
        if head.size == 0:
            notes.insert(0, {"event": AuditEventKind.OPENED, "month": month, "after": head.link})
        octets, stamp = b"", {"at": at.isoformat(timespec="seconds")}
        size = head.size
        for each in (*notes, facts):
            line, link = written(self.key, head.link, head.number + 1, {**stamp, **each})
            if len(line) > LONGEST:
                raise AuditUnavailable("audit trail: a line longer than any that is read")
            octets += line
            head = head._replace(number=head.number + 1, link=link, size=head.size + len(line))
        with self._opened(month) as file:
            self._write(file, octets, size)
            if sync:
                os.fdatasync(file)
        return self._named(lock, head)

    def _named(self, lock: int, head: TrailHead) -> TrailHead:
        """Write the head; before a new month's file, so that who dies in between leaves no lines that nobody names."""
        os.pwrite(lock, head_octets(self.key, head), 0)
        return head

    @contextmanager
    def _opened(self, month: str) -> Iterator[int]:
        path = self.path(month)
        new = not path.exists()
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _OURS, 0o600)
        try:
            if new:
                durable.synced(self.folder)
            yield file
        finally:
            os.close(file)

    @staticmethod
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

    def _settled(self, head: TrailHead) -> tuple[TrailHead, list[Facts]]:
        """Bring head and file together where a crash or a hand left them apart; gives what must be said of it.

        A line whose writer died before it wrote the head counts; one cut short in the middle is set
        aside; lines that the head names and the file has not are said to be lost, and the chain
        goes on from the head.
        """
        path = self.path(head.month)
        size = path.stat().st_size if path.exists() else 0
        if size == head.size:
            return head, []
        notes: list[Facts] = []
        with self._opened(head.month) as file:
            if size < head.size:
                notes.append(
                    {"event": AuditEventKind.LOST, "month": head.month, "count": head.size - size}
                )
                rest = os.pread(file, size, 0).rpartition(b"\n")[2]
                head = head._replace(size=size - len(rest))
            else:
                head, rest = self._caught_up(head, os.pread(file, size - head.size, head.size))
            if rest:
                notes.append(self._set_aside(file, head, rest))
        return head, notes

    def _caught_up(self, head: TrailHead, octets: bytes) -> tuple[TrailHead, bytes]:
        while b"\n" in octets:
            first, _, rest = octets.partition(b"\n")
            line = read(first)
            if (
                line is None
                or line.link != linked(self.key, head.link, line.body)
                or line.number != head.number + 1
            ):
                break
            head, octets = (
                TrailHead(line.number, line.link, head.month, head.size + len(first) + 1),
                rest,
            )
        return head, octets

    def _set_aside(self, file: int, head: TrailHead, octets: bytes) -> Facts:
        digest = hashlib.sha256(octets).hexdigest()
        aside = self.folder / f"torn-{head.month}-{digest[:16]}"
        aside.unlink(
            missing_ok=True
        )  # of one who died before the next step, or a link that somebody laid there
        with os.fdopen(
            os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OURS, 0o600), "wb"
        ) as kept:
            kept.write(octets)
            kept.flush()
            os.fsync(kept.fileno())
        os.ftruncate(file, head.size)
        whole = octets.count(b"\n")
        return {
            "event": AuditEventKind.TORN,
            "month": head.month,
            "count": len(octets),
            "lines": whole,
            "digest": digest,
        }
