-- What had to go before it was sent, and no block was allotted to yet: positions first to last, count captures with
-- times from oldest to newest. The next block of the stream is the word of that.
CREATE TABLE drops (
    stream INTEGER PRIMARY KEY,
    first  INTEGER NOT NULL,
    last   INTEGER NOT NULL,
    reason TEXT NOT NULL,
    oldest INTEGER NOT NULL,
    newest INTEGER NOT NULL,
    count  INTEGER NOT NULL
) STRICT;

-- The last position of each stream. What was sent or had to go may not be in the tables any more.
DROP VIEW tails;
CREATE VIEW tails AS
    SELECT stream, name, sent, max(
        sent,
        coalesce((SELECT last FROM drops WHERE drops.stream = streams.stream), 0),
        coalesce((SELECT (place & 0xFFFFFFFFFF) + rows - 1 FROM segments
            WHERE place BETWEEN stream << 40 AND stream << 40 | 0xFFFFFFFFFF ORDER BY place DESC LIMIT 1), 0),
        coalesce((SELECT place & 0xFFFFFFFFFF FROM results
            WHERE place BETWEEN stream << 40 AND stream << 40 | 0xFFFFFFFFFF ORDER BY place DESC LIMIT 1), 0)) AS tail
    FROM streams;
