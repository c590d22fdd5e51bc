"""The tables of the SQLite file, and the SQL statements that use them. Times are microseconds."""

from typing import Final

SCHEMA_VERSION: Final = 1

SCHEMA: Final = f"""
CREATE TABLE record (
    kind TEXT NOT NULL, grp TEXT NOT NULL, name TEXT NOT NULL,
    value BLOB NOT NULL, version TEXT NOT NULL, until INTEGER NOT NULL, due INTEGER,
    UNIQUE (kind, grp, name)
);
CREATE INDEX record_until ON record (until);
CREATE INDEX record_due ON record (kind, due) WHERE due IS NOT NULL;
CREATE TABLE counter (
    kind TEXT NOT NULL, grp TEXT NOT NULL, name TEXT NOT NULL,
    total INTEGER NOT NULL, until INTEGER NOT NULL,
    PRIMARY KEY (kind, grp, name)
) WITHOUT ROWID;
CREATE INDEX counter_until ON counter (until);
PRAGMA user_version = {SCHEMA_VERSION};
"""
GET: Final = """
SELECT value, version, until, due FROM record
WHERE kind = ? AND grp = ? AND name = ? AND until > ?
"""
PRESENT_VERSION: Final = """
SELECT version FROM record WHERE kind = ? AND grp = ? AND name = ? AND until > ?
"""
# Add a record, or replace one that has expired.
ADD: Final = """
INSERT INTO record (value, version, until, due, kind, grp, name) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (kind, grp, name) DO UPDATE
SET value = excluded.value, version = excluded.version, until = excluded.until, due = excluded.due
WHERE record.until <= ?
"""
# Replace an unexpired record of the expected version.
REPLACE: Final = """
UPDATE record SET value = ?, version = ?, until = ?, due = ?
WHERE kind = ? AND grp = ? AND name = ? AND until > ? AND version = ?
"""
DROP: Final = (
    "DELETE FROM record WHERE kind = ? AND grp = ? AND name = ?",
    "DELETE FROM counter WHERE kind = ? AND grp = ? AND name = ?",
)
LIST: Final = """
SELECT grp, name, value, version, until, due FROM record WHERE kind = ? AND until > ?
"""
LIST_GROUP: Final = f"{LIST} AND grp = ? ORDER BY name"
# The earliest due record without an unexpired lease. The lease on a record has the kind ``lease``
# and the group ``kind/group`` (``ports.lease_key``).
DUE: Final = """
SELECT grp, name, value, version, until, due FROM record
WHERE kind = :kind AND due <= :now AND until > :now AND (:grp IS NULL OR grp = :grp)
AND NOT EXISTS (
    SELECT 1 FROM record AS lease
    WHERE lease.kind = 'lease' AND lease.grp = :kind || '/' || record.grp
    AND lease.name = record.name AND lease.until > :now
)
ORDER BY due LIMIT 1
"""
# Add to a counter; restart one that has expired.
COUNT: Final = """
INSERT INTO counter (kind, grp, name, total, until) VALUES (:kind, :grp, :name, :by, :until)
ON CONFLICT (kind, grp, name) DO UPDATE SET
    total = CASE WHEN until > :now THEN total + :by ELSE :by END,
    until = CASE WHEN until > :now THEN until ELSE :until END
RETURNING total
"""
TOTAL: Final = """
SELECT total FROM counter WHERE kind = ? AND grp = ? AND name = ? AND until > ?
"""
SWEEP: Final = (
    """DELETE FROM record WHERE rowid IN
    (SELECT rowid FROM record WHERE until <= ? ORDER BY until LIMIT ?)""",
    """DELETE FROM counter WHERE (kind, grp, name) IN
    (SELECT kind, grp, name FROM counter WHERE until <= ? ORDER BY until LIMIT ?)""",
)
