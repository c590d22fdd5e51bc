"""Reads and writes the times of SAML messages: UTC, marked Z (saml-core 1.3.3)."""

from datetime import UTC, datetime


def read(written: str) -> datetime | None:
    """Return an xs:dateTime as an aware UTC datetime, or None where no calendar has it.

    A time without a zone is read as UTC: whether it may stand so is decided by ``marked``.
    """
    try:
        moment = datetime.fromisoformat(written.strip())
        if moment.tzinfo is None:
            return moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def marked(written: str) -> bool:
    """Return whether a calendar has this time, and it is marked as UTC.

    Source: docs/reference/attacks.md#19.
    """
    return written.strip().endswith("Z") and read(written) is not None


def write(moment: datetime) -> str:
    """Return an aware datetime as SAML writes it, cut to whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
