"""Everything that must survive a loss of power, in one SQLite file; no other room touches it."""

from dcu.store.outbox import BLOCK_ROWS, Block
from dcu.store.store import Store

__all__ = ["BLOCK_ROWS", "Block", "Store"]
