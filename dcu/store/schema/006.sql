-- The audit: one row for each command when it is over. what: JSON of its name, meters and arguments, these by their
-- SHA-256 where they are long; hash: SHA-256 of before, the hash of the row before, and of the other columns
-- (dcu/store/audit.py). Rows are only added; the oldest go when there are too many, and then before still holds.
CREATE TABLE audit (
    entry   INTEGER PRIMARY KEY,
    at      REAL NOT NULL,
    who     TEXT NOT NULL,
    command TEXT NOT NULL,
    what    TEXT NOT NULL,
    outcome TEXT NOT NULL,
    before  BLOB NOT NULL,
    hash    BLOB NOT NULL
) STRICT;
