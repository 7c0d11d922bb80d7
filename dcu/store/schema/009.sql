-- Marks by rows that change in place. In a tree of keys some of them lie above the leaves, and nearly every commit wrote
-- one such page besides (docs/decisions/0008). The key is only looked up: no visit changes it.
CREATE TABLE renewed (
    meter     INTEGER NOT NULL,
    stream    INTEGER NOT NULL,
    newest    INTEGER,
    watermark INTEGER,
    since     INTEGER,
    period    INTEGER,
    day       INTEGER,
    PRIMARY KEY (meter, stream)
) STRICT;

INSERT INTO renewed SELECT meter, stream, newest, watermark, since, period, day FROM marks ORDER BY meter, stream;
DROP TABLE marks;
ALTER TABLE renewed RENAME TO marks;
