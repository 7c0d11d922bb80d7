"""A head-end of several processes: each hears its part of what DCUs send, all keep into one SQLite database.

`python -m tests.sharing DATABASE PORT NAME` is one of them; it prints a line for each birth it heard and each message
it took, when that is committed. The rows have no key: what came twice would be there twice.
"""

import sqlite3
import sys

from dcu_headend import Block, Follower, Message, State
from dcu_headend.mqtt import Listener

TABLES = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS kept (process TEXT, stream TEXT, seq INTEGER, meter TEXT, at INTEGER);
CREATE TABLE IF NOT EXISTS followed (dcu TEXT, stream TEXT, memory TEXT, PRIMARY KEY (dcu, stream));
"""
MEMORY = "SELECT memory FROM followed WHERE dcu = ? AND stream = ?"
KEEP = "INSERT INTO kept VALUES (?, ?, ?, ?, ?)"
REMEMBER = "INSERT OR REPLACE INTO followed VALUES (?, ?, ?)"


class Sharer:
    """Keeps messages as docs/operate/fleet.md asks of many consumers."""

    def __init__(self, database: sqlite3.Connection, name: str) -> None:
        self._database = database
        self._name = name
        self._follower = Follower()

    def take(self, message: Message) -> None:
        if isinstance(message, State):
            self._follower.heard(message)
            print("born", message.dcu, flush=True)
        if isinstance(message, Block):
            self._keep(message)
            print("took", message.stream, message.seq, message.part, flush=True)

    def _keep(self, block: Block) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        for (memory,) in self._database.execute(MEMORY, (block.dcu, block.stream)):
            self._follower.adopt((block.dcu, block.stream), memory)
        if self._follower.new(block):
            rows = [(self._name, block.stream, block.seq, each.meter, each.at) for each in block.captures]
            self._database.executemany(KEEP, rows)
            self._database.execute(REMEMBER, (block.dcu, block.stream, self._follower.memory(block)))
        self._database.execute("COMMIT")
        self._follower.took(block)


def main(path: str, port: int, name: str) -> None:
    database = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
    sharer = Sharer(database, name)
    Listener(sharer.take, print, identifier=name, share="keepers").run("127.0.0.1", port)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
