"""The application log: one masked JSON line for each event."""

import logging
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any, Final, Literal

import structlog

from broker.core.identity import cpr

_MASK: Final = "******-****"
_FRAMES: Final = 6

_request_id: Final[ContextVar[str | None]] = ContextVar("request_id", default=None)
dropped = 0  # lines of this process that could not be masked or written


def configure(to: Literal["stdout", "stderr"] = "stdout") -> None:
    """Set up the log of this process: JSON lines for our events and for warnings of libraries.

    Commands answer on standard output and log events on standard error.
    """
    structlog.configure(
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.add_log_level,
            _mask,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        # Write a line and its end together; otherwise lines of two threads could mix.
        logger_factory=lambda *_: structlog.WriteLogger(getattr(sys, to)),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_LibraryLog()]
    root.setLevel(logging.WARNING)


def tell(event: str, **facts: str | int | None) -> None:
    """Log one event; facts are codes, names of configuration, references and counts.

    They are never personal values. ``level`` is "error" if somebody must fix something. A line that
    cannot be written (full disk, closed pipe) is dropped and counted, and stops no request: the
    evidence is in the audit log.
    """
    global dropped  # noqa: PLW0603 - as in _mask
    facts["request_id"] = _request_id.get()
    known = {name: value for name, value in facts.items() if value is not None}
    log = structlog.get_logger()
    write = log.error if known.pop("level", "info") == "error" else log.info
    try:
        write(event, **known)
    except (OSError, ValueError):
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
    tell("unexpected", level="error", reference=reference, kind=kind, places=found)


def mask(text: str) -> str:
    """Return ``text`` with a mask instead of anything shaped like a CPR number."""
    return cpr.mask_numbers(text, _MASK)


def _mask(_: object, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Mask every value. Drop the line if a value is no text, number, boolean or None."""
    global dropped  # noqa: PLW0603 - one counter a process, read by metrics
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = mask(value)
        elif value is not None and not isinstance(value, (int, float, bool)):
            dropped += 1
            raise structlog.DropEvent
    return event


class _LibraryLog(logging.Handler):
    """Logs only logger and level of a library's record, because its text may quote a person."""

    def emit(self, record: logging.LogRecord) -> None:
        tell("library_log", level_of=record.levelname, logger=record.name)
