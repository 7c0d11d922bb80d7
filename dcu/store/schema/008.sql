-- Blocks that were acknowledged: which positions went out under which number, so that one can be sent again as it was.
-- Of each stream the newest (dcu/store/delivered.py); dropped as in the outbox.
CREATE TABLE delivered (
    stream  INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    dropped TEXT,
    PRIMARY KEY (stream, seq)
) STRICT, WITHOUT ROWID;
