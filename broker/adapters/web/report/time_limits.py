"""The table of what is kept, in words: as docs/privacy.md has it, in one language."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from broker.adapters.translations.catalogue import marked as _
from broker.adapters.translations.catalogue import translate
from broker.core.retention import TABLE, Retention

_UNITS: Final = (
    (timedelta(days=365), _("1 year"), _("%(count)s years")),
    (timedelta(days=1), _("1 day"), _("%(count)s days")),
    (timedelta(hours=1), _("1 hour"), _("%(count)s hours")),
    (timedelta(minutes=1), _("1 minute"), _("%(count)s minutes")),
    (timedelta(seconds=1), _("1 second"), _("%(count)s seconds")),
)


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """A row: the kind, what it holds, how long at most, from when, why."""

    kind: str
    holds: str
    long: str
    since: str
    why: str


def time_limits(language: str) -> tuple[TimeLimit, ...]:
    """Return every row in one language."""
    return tuple(_limits(language))


def _limits(language: str) -> Iterator[TimeLimit]:
    for row in TABLE:
        yield TimeLimit(
            kind=row.kind,
            holds=translate(row.holds, language),
            long=_long(row, language),
            since=translate(row.since, language),
            why=translate(row.why, language),
        )


def _long(row: Retention, language: str) -> str:
    if row.lasts is None or row.long:
        return translate(row.long, language)
    return spelled(row.lasts, language)


def spelled(span: timedelta, language: str) -> str:
    """Return a span in the largest unit that it is a whole number of: ``30 days``, ``1 day``."""
    for unit, one, many in _UNITS:
        count, rest = divmod(span, unit)
        if count and not rest:
            text = translate(one if count == 1 else many, language)
            return text.replace("%(count)s", str(count))
    return f"{span.total_seconds():.0f} s"
