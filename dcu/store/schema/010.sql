-- What the box did and how it fared, by day (since 1970, UTC). figures: JSON object (dcu/watching/history.py says which).
CREATE TABLE history (
    day     INTEGER PRIMARY KEY,
    figures TEXT NOT NULL
) STRICT;
