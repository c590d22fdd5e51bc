"""What policies stand on, as the configuration has it."""

from datetime import UTC, datetime

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
TABLE = "\n[person_register]\nsystem = "
