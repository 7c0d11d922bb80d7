"""The store of the box: readings and their ledger, commands, deliveries, what is known of meters; in one file.

This file only puts the parts together; each part says what it keeps.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from dcu.clock import Clock
from dcu.store.audit import Audit
from dcu.store.clocks import Clocks
from dcu.store.commands import Commands
from dcu.store.counters import Counters
from dcu.store.database import Database
from dcu.store.delivered import Delivered
from dcu.store.descriptors import Descriptors
from dcu.store.generations import Generations
from dcu.store.history import History
from dcu.store.integrity import Mishap
from dcu.store.ledger import Ledger
from dcu.store.lines import Lines
from dcu.store.outbox import Outbox
from dcu.store.reach import Reaches
from dcu.store.readings import Readings
from dcu.store.retention import Retention
from dcu.store.salvage import Salvage
from dcu.store.spoilt import Spoilt


class Store:
    """Use as `async with Store.open(path, clock) as store:`. Every method of a part raises StoreError.

    What a method that writes returned from is committed (WAL, synchronous=FULL). Any number of tasks may call at
    once; what they write meanwhile, whichever the part, shares a commit. What concerns the file, and its end, is said
    by `database`, over which all parts are.
    """

    __slots__ = (
        "audit",
        "clocks",
        "commands",
        "counters",
        "database",
        "delivered",
        "descriptors",
        "generations",
        "history",
        "ledger",
        "lines",
        "outbox",
        "reaches",
        "readings",
        "retention",
        "salvage",
        "spoilt",
    )

    def __init__(self, database: Database) -> None:
        self.database = database
        self.readings = Readings(database)
        self.ledger = Ledger(database)
        self.audit = Audit(database)
        self.commands = Commands(database, self.audit)
        self.outbox = Outbox(database, self.readings, self.commands)
        self.delivered = Delivered(database, self.readings)
        self.retention = Retention(database, self.readings)
        self.spoilt = Spoilt(database, self.readings)
        self.salvage = Salvage(database, self.spoilt)
        self.descriptors = Descriptors(database)
        self.counters = Counters(database)
        self.generations = Generations(database)
        self.reaches = Reaches(database)
        self.clocks = Clocks(database)
        self.lines = Lines(database)
        self.history = History(database)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: Path | str, clock: Clock, found: Mishap | None = None, patience: float = 0.0
    ) -> AsyncIterator[Self]:
        """Open or create the store at `path` for the time of the context, as `Database.open` does."""
        async with Database.open(path, clock, found, patience) as database:
            yield cls(database)
