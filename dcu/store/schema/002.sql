-- Secrets of meters that the keys file does not know, each set under its generation; the file is generation 0.
-- state: where the change of keys stands (dcu/keychange.py); a meter has one generation in force at most, and one on
-- its way.
CREATE TABLE generations (
    meter      INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    state      TEXT NOT NULL,
    changed    REAL NOT NULL,
    PRIMARY KEY (meter, generation)
) STRICT, WITHOUT ROWID;

-- sealed: nonce and AES-256-GCM of one secret, under a key that is not in this file (dcu/store/vault.py).
CREATE TABLE secrets (
    meter      INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    sealed     BLOB NOT NULL,
    PRIMARY KEY (meter, generation, kind)
) STRICT, WITHOUT ROWID;
