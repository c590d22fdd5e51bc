"""Writes an audit log of two months."""

from datetime import UTC, datetime, timedelta

from broker.adapters.audit_log.monthly_files import AuditFiles

KEY = b"a" * 32
NOW = datetime(2026, 10, 30, 12, tzinfo=UTC)
OCTOBER, NOVEMBER = "audit-2026-10.jsonl", "audit-2026-11.jsonl"


def fill(files: AuditFiles) -> AuditFiles:
    """Write six lines of October and six of November."""
    for day in range(12):
        at = NOW.replace(day=26) + timedelta(days=day)
        files.append(at, {"event": "decided", "count": day}, sync=False)
    return files
