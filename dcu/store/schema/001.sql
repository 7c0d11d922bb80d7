-- Schema 1. What is appended is keyed by place = stream << 40 | position: each stream is one dense run in the tree,
-- so that delivery is a cursor and no index is written per capture. Times are UTC seconds. Numbers refer to the
-- tables named like their column; the program keeps the references, and nothing is deleted that is referred to.

PRAGMA application_id = 0x44435553;

CREATE TABLE meters (
    meter INTEGER PRIMARY KEY,
    name  TEXT NOT NULL UNIQUE
) STRICT;

-- seq: the next sequence number; sent: the last position that belongs to a block.
CREATE TABLE streams (
    stream INTEGER PRIMARY KEY,
    name   TEXT NOT NULL UNIQUE,
    seq    INTEGER NOT NULL,
    sent   INTEGER NOT NULL
) STRICT;

-- JSON that many rows share: the columns of captures, the descriptors of meters of one model.
CREATE TABLE layouts (
    layout  INTEGER PRIMARY KEY,
    content TEXT NOT NULL UNIQUE
) STRICT;

-- back: distance to the place of the same meter's capture before this one; with marks.newest it replaces an index
-- on (meter, at), whose scattered pages would be most of what is written to flash. cells: JSON array of the values.
CREATE TABLE captures (
    place   INTEGER PRIMARY KEY,
    back    INTEGER,
    meter   INTEGER NOT NULL,
    layout  INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    status  INTEGER NOT NULL,
    read_at REAL NOT NULL,
    offset  REAL,
    trusted INTEGER NOT NULL,
    cells   TEXT NOT NULL
) STRICT;

-- Captures with their names in place of numbers.
CREATE VIEW readings AS
    SELECT place, streams.name AS stream, meters.name AS meter, layout, at, status, read_at, offset, trusted, cells
    FROM captures JOIN meters USING (meter) JOIN streams ON streams.stream = place >> 40;

-- Keyed by meter first: the streams of one visit, and of its neighbours in a sweep, share a page.
CREATE TABLE marks (
    meter     INTEGER NOT NULL,
    stream    INTEGER NOT NULL,
    newest    INTEGER,
    watermark INTEGER,
    PRIMARY KEY (meter, stream)
) STRICT, WITHOUT ROWID;

CREATE TABLE descriptors (
    meter  INTEGER NOT NULL,
    name   TEXT NOT NULL,
    layout INTEGER NOT NULL,
    PRIMARY KEY (meter, name)
) STRICT, WITHOUT ROWID;

-- Blocks that were given a sequence number and are not acknowledged yet: positions first to last of the stream.
CREATE TABLE outbox (
    stream INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    first  INTEGER NOT NULL,
    last   INTEGER NOT NULL,
    PRIMARY KEY (stream, seq)
) STRICT, WITHOUT ROWID;

-- body: the command as accepted, answer: result and error; both JSON.
CREATE TABLE commands (
    command INTEGER PRIMARY KEY,
    id      TEXT NOT NULL UNIQUE,
    body    TEXT NOT NULL,
    state   TEXT NOT NULL,
    answer  TEXT NOT NULL,
    changed REAL NOT NULL
) STRICT;

CREATE INDEX commands_unfinished ON commands (state) WHERE state IN ('accepted', 'running');

-- One row per state change to publish: a re-sent message must show the state as it was then.
CREATE TABLE results (
    place   INTEGER PRIMARY KEY,
    command INTEGER NOT NULL,
    state   TEXT NOT NULL,
    answer  TEXT NOT NULL,
    changed REAL NOT NULL
) STRICT;

CREATE TABLE counters (
    key  TEXT PRIMARY KEY,
    next INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The last position of each stream; its rows are in one of the two tables.
CREATE VIEW tails AS
    SELECT stream, name, sent, 0xFFFFFFFFFF & max(
        coalesce((SELECT place FROM captures WHERE place BETWEEN stream << 40 AND stream << 40 | 0xFFFFFFFFFF
            ORDER BY place DESC LIMIT 1), 0),
        coalesce((SELECT place FROM results WHERE place BETWEEN stream << 40 AND stream << 40 | 0xFFFFFFFFFF
            ORDER BY place DESC LIMIT 1), 0)) AS tail
    FROM streams;
