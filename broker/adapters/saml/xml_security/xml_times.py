"""Reads and writes the times of SAML messages: UTC, marked Z (saml-core 1.3.3)."""

from datetime import UTC, datetime
from typing import Final

# Stands for a time that is missing or unreadable, where only an expired one is safe.
LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


def read(written: str | None) -> datetime | None:
    """Return an xs:dateTime as an aware UTC datetime; None if it is absent or no valid time.

    A time without a zone is read as UTC; ``is_utc`` decides whether it is accepted.
    """
    if written is None:
        return None
    try:
        moment = datetime.fromisoformat(written.strip())
        if moment.tzinfo is None:
            return moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def is_utc(written: str) -> bool:
    """Return whether this is a valid time with the zone Z (UTC).

    Source: docs/reference/attacks.md#19.
    """
    return written.strip().endswith("Z") and read(written) is not None


def write(moment: datetime) -> str:
    """Return an aware datetime in SAML's format, in whole seconds."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
