-- Lines of the archive that came by command or discovery; those of the configuration are not here. line: the meter's
-- keys as JSON; origin: who added it; added: UTC seconds.
CREATE TABLE archive (
    id     TEXT PRIMARY KEY,
    line   TEXT NOT NULL,
    origin TEXT NOT NULL,
    added  REAL NOT NULL
) STRICT, WITHOUT ROWID;

-- Stations that answered at addresses nobody has named. facts: JSON; at: when they were met last.
CREATE TABLE found (
    bus     TEXT NOT NULL,
    address INTEGER NOT NULL,
    facts   TEXT NOT NULL,
    at      REAL NOT NULL,
    PRIMARY KEY (bus, address)
) STRICT, WITHOUT ROWID;

-- What the clocks of meters showed over the days: offset in seconds, meter minus DCU, at UTC seconds of the DCU.
CREATE TABLE clocks (
    meter  INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    offset REAL NOT NULL,
    PRIMARY KEY (meter, at)
) STRICT, WITHOUT ROWID;

-- The last time a meter's clock was to be moved: written before it is. open: nobody knows yet how it ended.
CREATE TABLE adjustments (
    meter  INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    offset REAL NOT NULL,
    shift  INTEGER NOT NULL,
    method TEXT NOT NULL,
    open   INTEGER NOT NULL
) STRICT;
