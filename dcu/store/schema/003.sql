-- The ledger. A stream of a meter is expected from `since` on, at since + n * period (0: nobody knows when). Up to the
-- watermark it has been asked; there it is present where no gap says otherwise.
ALTER TABLE marks ADD COLUMN since INTEGER;
ALTER TABLE marks ADD COLUMN period INTEGER;

-- start, last: the first and the last capture time that is missing, seconds where there is no period; intervals: how
-- many capture times that are, 0 where nobody knows. Gaps of one stream of one meter do not overlap.
CREATE TABLE gaps (
    meter     INTEGER NOT NULL,
    stream    INTEGER NOT NULL,
    start     INTEGER NOT NULL,
    last      INTEGER NOT NULL,
    reason    TEXT NOT NULL,
    intervals INTEGER NOT NULL,
    PRIMARY KEY (meter, stream, start)
) STRICT, WITHOUT ROWID;

-- Whether a meter can be reached: written when that changes. at: UTC seconds.
CREATE TABLE reach (
    meter INTEGER NOT NULL,
    at    REAL NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (meter, at)
) STRICT, WITHOUT ROWID;
