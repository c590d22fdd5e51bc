"""The application log: one masked JSON line for each event."""

import json
import logging
import sys
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final, Literal

from broker.core.identity import cpr

_MASK: Final = "******-****"
_FRAMES: Final = 6

_request_id: Final[ContextVar[str | None]] = ContextVar("request_id", default=None)
_output = "stdout"
dropped = 0  # lines of this process that could not be masked or written


def configure(to: Literal["stdout", "stderr"] = "stdout") -> None:
    """Set up the log of this process: JSON lines for our events and for warnings of libraries.

    Commands answer on standard output and log events on standard error.
    """
    global _output  # noqa: PLW0603 - one log per process
    _output = to
    root = logging.getLogger()
    root.handlers[:] = [_LibraryLog()]
    root.setLevel(logging.WARNING)


def log_event(event: str, *, level: str = "info", **facts: str | int | None) -> None:
    """Log one event.

    ``facts`` are codes, names of the configuration, help codes and counts, never personal values.
    ``level`` is "error" if somebody must fix something. A line that cannot be masked or written
    (full disk, closed pipe) is dropped and counted, and stops no request: the evidence is in the
    audit log.
    """
    global dropped  # noqa: PLW0603 - one counter per process, read by metrics
    facts["request_id"] = _request_id.get()
    at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    try:
        line = {name: _mask(value) for name, value in facts.items() if value is not None}
        line |= {"event": event, "timestamp": at, "level": level}
        text = json.dumps(line, ensure_ascii=False) + "\n"
        output = getattr(sys, _output)
        # One write: otherwise lines of two threads could mix.
        output.write(text)
        output.flush()
    except (OSError, TypeError, ValueError):
        dropped += 1


def set_request_id(request_id: str | None) -> None:
    """Set the id that the lines of this thread carry until the next call."""
    _request_id.set(request_id)


def log_unexpected(error: BaseException, reference: str) -> None:
    """Log the type of an unexpected error and where it was raised.

    Leave out its text, which may quote personal values.
    """
    places = []
    for frame in reversed(traceback.extract_tb(error.__traceback__)[-_FRAMES:]):
        file = frame.filename.rpartition("/")[2]
        places.append(f"{file}:{frame.lineno}")
    kind = type(error).__name__
    found = " < ".join(places)
    log_event("unexpected", level="error", reference=reference, kind=kind, places=found)


def mask(text: str) -> str:
    """Return ``text`` with a mask instead of anything shaped like a CPR number."""
    return cpr.mask_numbers(text, _MASK)


def _mask(value: str | int) -> str | int:
    """Return ``value`` masked. Raises TypeError if it is no text, number or boolean."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, (int, float)):
        return value
    raise TypeError(f"a log line with a {type(value).__name__}")


class _LibraryLog(logging.Handler):
    """Logs only logger and level of a library's record, because its text may quote a person."""

    def emit(self, record: logging.LogRecord) -> None:
        log_event("library_log", level_of=record.levelname, logger=record.name)
