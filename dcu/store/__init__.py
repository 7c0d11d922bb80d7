"""Everything that must survive a loss of power: in one SQLite file, and beside it what a damaged one is mended from.

No other room touches these files: the spare, the reserve of room, the key under which secrets are sealed.
"""

from dcu.store.audit import AuditEntry, Verdict
from dcu.store.clocks import Adjustment
from dcu.store.generations import Sealed
from dcu.store.integrity import Mishap
from dcu.store.lines import Line, Station, line_of
from dcu.store.outbox import BLOCK_ROWS, Block, Shipped
from dcu.store.readings import Recorded
from dcu.store.room import make_place
from dcu.store.store import Store
from dcu.store.vault import Vault, vault_for
from dcu.store.wreck import Salvaged
from dcu.store.writer import PATIENCE

__all__ = [
    "BLOCK_ROWS",
    "PATIENCE",
    "Adjustment",
    "AuditEntry",
    "Block",
    "Line",
    "Mishap",
    "Recorded",
    "Salvaged",
    "Sealed",
    "Shipped",
    "Station",
    "Store",
    "Vault",
    "Verdict",
    "line_of",
    "make_place",
    "vault_for",
]
