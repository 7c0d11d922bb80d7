"""The store of the box: readings and their ledger, commands, deliveries, what is known of meters; in one file.

This file only puts the parts together; each part says what it keeps.
"""

from dcu.store.clocks import Clocks
from dcu.store.counters import Counters
from dcu.store.descriptors import Descriptors
from dcu.store.generations import Generations
from dcu.store.history import History
from dcu.store.ledger import Ledger
from dcu.store.lines import Lines
from dcu.store.reach import Reaches
from dcu.store.retention import Retention
from dcu.store.salvage import Salvage


class Store(Salvage, Retention, Descriptors, Counters, Generations, Reaches, Ledger, Lines, Clocks, History):
    """Use as `async with Store.open(path, clock) as store:`. Every method raises StoreError when the disk fails.

    What a method that writes returned from is committed (WAL, synchronous=FULL). Any number of tasks may call at
    once; what they write meanwhile shares a commit.
    """
