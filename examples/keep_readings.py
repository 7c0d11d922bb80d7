"""A head-end in small: hears DCUs and keeps what they say in SQLite, each capture once, whatever comes twice or late.

usage: keep_readings.py DATABASE HOST PORT [DCU]    (in a clone: PYTHONPATH=. python3 examples/keep_readings.py …)
Once a minute it acknowledges what is kept, names what is missing, and asks for what was lost on the way. The same SQL
does for PostgreSQL: connect with psycopg, and write %s for each question mark.
"""

import json
import sqlite3
import sys
from collections.abc import Iterator

from dcu_headend import Asking, Block, Capture, Follower, Message, Result, State
from dcu_headend.mqtt import Listener

TABLES = """
CREATE TABLE IF NOT EXISTS readings (
    meter TEXT, stream TEXT, at BIGINT, object TEXT, attribute INTEGER, part INTEGER, number NUMERIC, text TEXT,
    scaler INTEGER, unit TEXT, status INTEGER, trusted BOOLEAN, dcu TEXT,
    PRIMARY KEY (meter, stream, at, object, attribute, part));
CREATE TABLE IF NOT EXISTS events (meter TEXT, stream TEXT, at BIGINT, content TEXT, event TEXT, severity TEXT,
    dcu TEXT, PRIMARY KEY (meter, stream, at, content));
CREATE TABLE IF NOT EXISTS dropped (dcu TEXT, stream TEXT, meter TEXT, at BIGINT, until BIGINT, count BIGINT, why TEXT);
CREATE TABLE IF NOT EXISTS results (id TEXT, state TEXT, content TEXT, PRIMARY KEY (id, state));
CREATE TABLE IF NOT EXISTS followed (dcu TEXT, stream TEXT, memory TEXT, PRIMARY KEY (dcu, stream));
"""
READING = "INSERT INTO readings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
EVENT = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
DROPPED = "INSERT INTO dropped VALUES (?, ?, ?, ?, ?, ?, ?)"
RESULT = "INSERT INTO results VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
FOLLOWED = "INSERT INTO followed VALUES (?, ?, ?) ON CONFLICT (dcu, stream) DO UPDATE SET memory = excluded.memory"


class Keeper:
    """Keeps messages; each with the memory of having had it, in one transaction."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database
        database.executescript(TABLES)
        known = database.execute("SELECT dcu, stream, memory FROM followed")
        self.follower = Follower({(dcu, stream): memory for dcu, stream, memory in known})
        self.asking = Asking(self.follower)

    def take(self, message: Message) -> None:
        """Keep `message`; it is committed when this returns."""
        if isinstance(message, State):
            self.follower.heard(message)
        self.asking.heard(message)
        if not isinstance(message, Block | Result) or not self.follower.new(message):
            return
        with self.database:
            if isinstance(message, Result):
                self.database.execute(RESULT, (message.id, message.state, json.dumps([message.result, message.error])))
            else:
                self._keep(message)
            self.database.execute(FOLLOWED, (message.dcu, message.stream, self.follower.memory(message)))
        self.follower.took(message)  # which would be too early before the commit: what fails comes again

    def _keep(self, block: Block) -> None:
        if block.stream.startswith("event"):
            self.database.executemany(EVENT, (event(block, capture) for capture in block.captures))
        else:
            self.database.executemany(READING, (row for each in block.captures for row in readings(block, each)))
        if (lost := block.dropped) is not None:
            row = block.dcu, block.stream, lost.meter, lost.at, lost.until, lost.count, lost.reason
            self.database.execute(DROPPED, row)

    def tend(self, listener: Listener) -> None:
        """Say to the DCUs what is kept and what is to come once more, and name what is missing."""
        listener.acknowledge(self.follower)
        for dcu, wish in self.asking.wishes():
            listener.send(dcu, wish)
        for gap in self.follower.gaps():
            print("missing:", gap, flush=True)


def readings(block: Block, capture: Capture) -> Iterator[tuple[object, ...]]:
    """Yield a row for each value: a number as the meter has it, or text; what a database cannot hold is written out."""
    for column, value in zip(capture.columns, capture.values, strict=True):
        number = +value if isinstance(value, int | float) and abs(value) < 2**63 else None
        text = value.hex() if isinstance(value, bytes) else str(value).encode("utf-8", "backslashreplace").decode()
        told = None if value is None or number is not None else text.replace("\0", r"\x00")
        yield (capture.meter, block.stream, capture.at, column.object, column.attribute, column.index, number, told,
               column.scaler, column.symbol, capture.status, capture.trusted, block.dcu)  # fmt: skip


def event(block: Block, capture: Capture) -> tuple[object, ...]:
    """Return the row of an event; what tells it from another of the same second is its content."""
    content = json.dumps([repr(capture.values), dict(capture.more)], sort_keys=True)
    return capture.meter, block.stream, capture.at, content, capture.event, capture.severity, block.dcu


if __name__ == "__main__":
    if len(sys.argv) not in {4, 5} or not sys.argv[3].isdecimal():
        sys.exit(__doc__)
    path, host, port, dcu = [*sys.argv[1:], "+"][:4]
    keeper = Keeper(sqlite3.connect(path, check_same_thread=False))
    print("listening", flush=True)
    Listener(keeper.take, print, identifier="keep-readings", dcu=dcu).run(host, int(port), tend=keeper.tend)
