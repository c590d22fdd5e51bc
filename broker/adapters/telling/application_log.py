"""One structured line an event, on standard output, masked; a line that cannot be masked is dropped and counted."""

import json
import logging
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, Literal

import structlog

from broker.core.identity import cpr

_MASK: Final = "******-****"

dropped = 0


def masked(text: str) -> str:
    """Give ``text`` without anything shaped like a CPR number, by the one shape that attributes are read by too."""
    return cpr.blotted(text, _MASK)


def _mask(_: object, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Mask every value; a value that is no text, number, flag or nothing drops the line (fails safe)."""
    global dropped  # noqa: PLW0603 - one counter a process, read by metrics
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = masked(value)
        elif value is not None and not isinstance(value, (int, float, bool)):
            dropped += 1
            raise structlog.DropEvent
    return event


def _render(_: object, __: str, event: Mapping[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False)


def configure(to: Literal["stdout", "stderr"] = "stdout") -> None:
    """Set the process's log up: JSON lines for our events, and the same for what libraries log as a warning.

    Commands have their own answers on standard output and tell events beside it.
    """
    structlog.configure(
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.add_log_level,
            _mask,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        # A line is one write: what prints its end apart has another thread's line in between.
        logger_factory=lambda *_: structlog.WriteLogger(getattr(sys, to)),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Foreign()]
    root.setLevel(logging.WARNING)


class _Foreign(logging.Handler):
    """What libraries log: logger and level only, since their texts may quote a message or a person."""

    def emit(self, record: logging.LogRecord) -> None:
        tell("library_log", level_of=record.levelname, logger=record.name)


def tell(event: str, **facts: str | int | None) -> None:
    """Tell one event; facts are codes, names of configuration, references and counts, never personal values."""
    structlog.get_logger().info(
        event, **{name: value for name, value in facts.items() if value is not None}
    )


def unexpected(error: BaseException, reference: str) -> None:
    """Tell an error nobody foresaw: its type and where it was raised, never its text, which may quote anything."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = " < ".join(
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames)
    )
    tell("unexpected", reference=reference, kind=type(error).__name__, places=places)
