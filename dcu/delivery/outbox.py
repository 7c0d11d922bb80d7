"""What delivery needs of a store: blocks under a number, until somebody acknowledges them.

What a block is to those who write it is in `dialect`; the store that does this is `dcu.store.outbox`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from dcu.delivery.dialect import Block


class Outbox(Protocol):
    """What this flow needs of the store. Each raises StoreError, which ends the flow."""

    #: Set after a commit that added something to deliver.
    fresh: asyncio.Event

    async def streams(self) -> Mapping[str, int]:
        """Streams that were ever stored, each with the number its next block will bear."""

    async def owed(self, stream: str) -> Sequence[int]:
        """Numbers of the blocks allotted and not acknowledged, the lowest first."""

    async def block(self, stream: str, seq: int) -> Block | None:
        """A block as it was first handed out, acknowledged or not; None when it is not held any more."""

    async def next_block(self, stream: str, limit: int) -> Block | None:
        """Allot the next number to at most `limit` rows; committed before it returns. None: all are allotted."""

    async def acknowledge(self, stream: str, seq: int) -> None:
        """The broker has this block; in any order."""

    async def refuse(self, stream: str, seq: int) -> bool:
        """The broker will not take this block: let its place be taken by the word of that. False: it is not owed."""

    async def acknowledge_to(self, words: Mapping[str, int]) -> None:
        """The head-end has all blocks up to a number, of each stream in `words`."""

    async def least_owed(self) -> Mapping[str, int]:
        """The lowest number of each stream that is not acknowledged."""

    async def pending(self) -> Mapping[str, int]:
        """Rows per stream not yet acknowledged."""

    async def waiting(self) -> Mapping[str, int]:
        """Rows of every stream that no block was allotted to yet."""
