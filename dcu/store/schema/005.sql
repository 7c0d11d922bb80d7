-- Captures by segment: those of one stream in one commit as one compressed row (dcu/store/segments.py), in place of a
-- row each.
DROP VIEW readings;
DROP VIEW tails;

-- Where the runs of a meter begin that are of one day (since 1970), but for its newest day: that is in the marks.
CREATE TABLE days (
    stream INTEGER NOT NULL,
    day    INTEGER NOT NULL,
    meter  INTEGER NOT NULL,
    newest INTEGER NOT NULL,
    PRIMARY KEY (stream, day, meter)
) STRICT, WITHOUT ROWID;

ALTER TABLE marks ADD COLUMN day INTEGER;

-- What had to go before it was sent, as JSON: reason, from, to, count. The block is delivered as the word of that.
ALTER TABLE outbox ADD COLUMN dropped TEXT;

-- The last position of each stream. What was sent or had to go may not be in the tables any more.
CREATE VIEW tails AS
    SELECT stream, name, sent, max(
        sent,
        coalesce((SELECT (place & 0xFFFFFFFFFF) + rows - 1 FROM segments
            WHERE place BETWEEN stream << 40 AND stream << 40 | 0xFFFFFFFFFF ORDER BY place DESC LIMIT 1), 0),
        coalesce((SELECT place & 0xFFFFFFFFFF FROM results
            WHERE place BETWEEN stream << 40 AND stream << 40 | 0xFFFFFFFFFF ORDER BY place DESC LIMIT 1), 0)) AS tail
    FROM streams;

-- What is held of each stream. The name matters: where a view comes first in SQLite's own table of names, quick_check
-- leaves out the list of free pages (3.40); tests/faults/test_store_damage.py would tell.
CREATE VIEW holdings AS
    SELECT name AS stream, count(*) AS segments, sum(rows) AS captures, sum(length(content)) AS octets,
        min(oldest) AS oldest, max(newest) AS newest
    FROM segments JOIN streams ON streams.stream = place >> 40 GROUP BY streams.stream;

-- Every capture, for people with the sqlite3 shell, which has sqlar_uncompress; `dcu export` is quicker. cells: JSON
-- array of the values.
CREATE VIEW readings AS
    WITH runs AS (
        SELECT place, run.key AS run, run.value AS fields
        FROM segments, json_each(sqlar_uncompress(content, octets)) AS run),
    times AS (
        SELECT place, run, fields, key AS row,
            sum(value) OVER (PARTITION BY place, run ORDER BY key) AS at
        FROM runs, json_each(fields, '$[7]')),
    columns AS (
        SELECT place, run, column.key AS number, column.value AS content,
            NOT EXISTS (SELECT 1 FROM json_each(column.value) WHERE type <> 'integer') AS differences
        FROM runs, json_each(fields, '$[8]') AS column),
    cells AS (
        SELECT place, run, number, cell.key AS row,
            CASE WHEN differences THEN sum(iif(differences, cell.value, 0))
                    OVER (PARTITION BY place, run, number ORDER BY cell.key)
                WHEN cell.type IN ('true', 'false', 'object') THEN json(content -> cell.key)
                ELSE cell.value END AS value,
            cell.type IN ('true', 'false', 'object') AS quoted
        FROM columns, json_each(content) AS cell)
    SELECT place, streams.name AS stream, meters.name AS meter, fields ->> 1 AS layout, at,
        coalesce(fields ->> ('$[6][' || row || ']'), fields ->> 6) AS status, fields ->> 3 AS read_at,
        fields ->> 4 AS offset, fields ->> 5 AS trusted,
        (SELECT json_group_array(iif(quoted, json(value), value)) FROM (
            SELECT value, quoted FROM cells
            WHERE cells.place = times.place AND cells.run = times.run AND cells.row = times.row ORDER BY number)
        ) AS cells
    FROM times JOIN meters ON meters.meter = fields ->> 0 JOIN streams ON streams.stream = place >> 40;

-- place: stream << 40 | position of the first; rows: how many, at adjacent positions. read: when the last of them came
-- (UTC seconds), oldest and newest: their capture times. content: zlib of `octets` octets of JSON, or that JSON itself
-- where it has as many octets.
CREATE TABLE segments (
    place   INTEGER PRIMARY KEY,
    rows    INTEGER NOT NULL,
    read    INTEGER NOT NULL,
    oldest  INTEGER NOT NULL,
    newest  INTEGER NOT NULL,
    octets  INTEGER NOT NULL,
    content BLOB NOT NULL
) STRICT;
