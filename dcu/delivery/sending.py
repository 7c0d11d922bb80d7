"""What one connection has under way and what goes next: results, events, then data in turn, in a bounded window.

Here is the order of sending and the isolation of blocks the broker will not take. Connecting, and everything that is
not a block, is in `deliver`.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from dcu.config import StreamSettings
from dcu.delivery.awaiting import Awaiting
from dcu.delivery.dialect import Block, Dialect
from dcu.delivery.outbox import Outbox
from dcu.delivery.replies import Replies
from dcu.delivery.resting import REST, Resting
from dcu.delivery.strikes import ASIDE_PERIOD, Key, Strikes
from dcu.errors import UplinkError
from dcu.messages.envelope import RESULT, is_event, urgent
from dcu.uplink import Link, Outgoing, RefusedError, UnheardError

log = structlog.get_logger()

#: Octets of payload under way unacknowledged: a GPRS line (20 kbit/s) empties it within the usual keepalive of 30 s,
#: and an urgent message never waits behind more than this.
WINDOW_OCTETS = 32_768

#: Octets a data block aims at, so that several fit into the window; rows per block follow from what rows came to.
BLOCK_OCTETS = 10_240

#: Rows of the first block of a stream as JSON, whose size nobody knows yet; of a compact one all that are allowed. What
#: its rows come to is learned from blocks of some rows only: a short one is mostly head.
FIRST_BLOCK_ROWS = 16
TELLING_ROWS = 100

#: Rows of a compact block that is written on the spot: two milliseconds on a PC, and no thread for who sends little.
SHORT_ROWS = 32

#: Places in the window that data leaves to results and events.
URGENT_PLACES = 2

#: The longest that nothing to send is waited for, so that progress is seen.
IDLE_BOUND = 30.0


@dataclass(slots=True)
class Delivery:
    """Figures for health. `acknowledged` counts blocks, `published` also those sent again, `octets` what these held.

    `awaited` are blocks that the broker has and the head-end has not acknowledged, where it does.
    """

    connected: bool = False
    since: float | None = None
    mqtt: str | None = None
    published: int = 0
    octets: int = 0
    acknowledged: int = 0
    refused: int = 0
    in_flight: int = 0
    set_aside: int = 0
    awaited: int = 0
    connections: int = 0
    tries: int = 0
    commands: int = 0
    error: str | None = None


@dataclass(slots=True, kw_only=True)
class Sending:
    """Sends blocks over one `link`. `alive` hears of each look for more to send.

    `settings` says how each stream is sent; `awaiting` has what waits for the head-end's word, `wanted` what was asked
    for again and has not come there, `due` when what is no full block yet leaves all the same (time of the loop): these
    outlast a connection.
    """

    store: Outbox
    link: Link
    dialect: Dialect
    settings: Callable[[str], StreamSettings]
    figures: Delivery
    strikes: Strikes
    alive: Callable[[], None]
    awaiting: Awaiting = field(default_factory=Awaiting)
    wanted: deque[Key] = field(default_factory=deque)
    due: dict[str, float] = field(default_factory=dict)
    replies: Replies = field(default_factory=lambda: Replies(""))
    resting: Resting = field(default_factory=Resting)
    _again: dict[str, deque[int]] = field(default_factory=dict)
    _aside: deque[tuple[float, Key]] = field(default_factory=deque)
    _turn: deque[str] = field(default_factory=deque)
    _dry: set[str] = field(default_factory=set)
    _waiting: dict[str, int] = field(default_factory=dict)
    _dividing: set[Key] = field(default_factory=set)
    _taken_any: bool = False
    _commits: int = 0
    _looked: int = -1
    _under_way: dict[Key, int] = field(default_factory=dict)
    _row_octets: dict[str, float] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def oldest(self) -> Key | None:
        """Key of the block that has waited longest for its acknowledgement."""
        return next(iter(self._under_way), None)

    async def follow(self) -> None:
        """Look into the store again after each commit."""
        fresh = self.store.fresh
        while True:
            await fresh.wait()
            fresh.clear()
            self._commits += 1
            self._dry.clear()
            self._wake.set()

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Send what earlier connections left, then whatever comes; acknowledgements are awaited in `group`."""
        await self._recall()
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            self.alive()
            if not await self.step(group):
                look_again = loop.call_at(self._next_look(loop.time()), self._wake.set)
                await self._wake.wait()
                look_again.cancel()

    def _next_look(self, now: float) -> float:
        return min([now + IDLE_BOUND, *(due for due in self.due.values() if due > now)])

    async def step(self, group: asyncio.TaskGroup) -> bool:
        """Send the most urgent block there is room for; say whether one was sent."""
        for message in self.dialect.due():
            await self.link.publish(message)
        if (block := await self._next()) is None:
            return False
        messages = await self._written(block)
        octets = sum(len(message.payload) for message in messages)
        if len(block.items) >= TELLING_ROWS or (block.items and not self.settings(block.stream).compact):
            self._row_octets[block.stream] = octets / max(1, len(block.items))
        self.resting.tried(block.stream)
        self._under_way[block.stream, block.seq] = octets
        self.figures.in_flight = len(self._under_way)
        sent = group.create_task(self._send(block, messages))
        if copies := list(self.replies.copies(block.items, messages)):
            group.create_task(self._reply(copies))
        if len(messages) > 1:
            # the later parts are queued only after the earlier ones' acknowledgement: no other data comes between them
            self._dividing.add((block.stream, block.seq))
            if self.dialect.consecutive:
                await asyncio.wait([sent])
        return True

    async def _written(self, block: Block) -> list[Outgoing]:
        compact = self.settings(block.stream).compact
        write = partial(self.dialect.told, block, self.link.max_payload, compact=compact)
        long = compact or self.dialect.laborious
        # hundreds of rows are tens of milliseconds of work: beside the loop, which has lines to listen to
        return await asyncio.to_thread(write) if long and len(block.items) > SHORT_ROWS else write()

    async def _send(self, block: Block, messages: Sequence[Outgoing]) -> None:
        key = block.stream, block.seq
        try:
            for message in messages:
                self.figures.published += 1
                self.figures.octets += len(message.payload)
                await self.link.publish(message)
        except UnheardError:
            await self._unheard(key)
        except RefusedError as error:
            await self._refused(key, error)
        else:
            self._taken_any = True
            self.resting.taken(block.stream)
            await self._accepted(key)
            if block.items and self.awaiting.patience is not None and not self.awaiting.lacks(*key):
                await self.store.acknowledge(*key)  # it was given up before, and asked for again
        del self._under_way[key]
        self._dividing.discard(key)
        self.figures.in_flight = len(self._under_way)
        self._wake.set()

    async def _unheard(self, key: Key) -> None:
        """Keep a block that nobody was there for, unless the head-end's word is waited for anyway."""
        if self.awaiting.patience is not None:
            await self._accepted(key)
            return
        stream, seq = key
        if key not in self.wanted:
            self._again[stream] = deque(sorted({*self._again.get(stream, ()), seq}))
        await self.resting.unheard(stream)
        asyncio.get_running_loop().call_later(REST, self._wake.set)

    async def _reply(self, copies: Sequence[Outgoing]) -> None:
        """Send the answer to a command where it was wanted besides; whether it comes there is the asker's business."""
        for copy in copies:
            await self.link.publish(copy)

    async def _accepted(self, key: Key) -> None:
        self._no_more_wanted(key)
        if self.awaiting.patience is None:
            await self.store.acknowledge(*key)
            self.figures.acknowledged += 1
        else:
            self.awaiting.add(*key, asyncio.get_running_loop().time())
            self.figures.awaited = len(self.awaiting)
        self.strikes.clear(key, asyncio.get_running_loop().time())

    def acknowledged(self, words: Mapping[str, int]) -> None:
        """The head-end has, of each stream, all up to a number, and the store knows."""
        for stream, seq in words.items():
            self.awaiting.acknowledge(stream, seq)
            self.strikes.released(stream, seq)
        self.figures.awaited = len(self.awaiting)
        self._dry.clear()
        self._wake.set()

    def look(self) -> None:
        """There is something in `wanted`."""
        self._wake.set()

    async def _refused(self, key: Key, error: RefusedError) -> None:
        stream, seq = key
        log.error("block refused", stream=stream, seq=seq, error=str(error))
        self.figures.refused += 1
        self._no_more_wanted(key)
        loop = asyncio.get_running_loop()
        own_fault = self.strikes.refuse(key, loop.time() if error.for_good else None)
        if self.strikes.hopeless(key):
            await self._give_up(key)
        else:
            self._set_aside(key)
        if not own_fault:
            await self.resting.refused(stream, str(error))
            loop.call_later(REST, self._wake.set)
        if self.strikes.everything and not self._taken_any:
            raise UplinkError(f"the broker refuses everything: {error}") from error

    async def _give_up(self, key: Key) -> None:
        """Say in place of a block that the broker will not take it; its rows can be read, and asked for again."""
        stream, seq = key
        self.strikes.forget(key)
        self.figures.set_aside = len(self._aside)
        if await self.store.refuse(stream, seq):
            log.error("block given up", stream=stream, seq=seq)
            self._again.setdefault(stream, deque()).appendleft(seq)

    async def _recall(self) -> None:
        if not self.link.resumed:
            self.awaiting.forget()
        for stream in await self.store.streams():
            seqs = [seq for seq in await self.store.owed(stream) if not self.awaiting.holds(stream, seq)]
            self._again[stream] = deque(seq for seq in seqs if not self.strikes.suspect((stream, seq)))
            for seq in seqs:
                if self.strikes.suspect((stream, seq)):
                    self._set_aside((stream, seq))
        for key in [key for key in self.wanted if self.strikes.suspect(key)]:
            self._no_more_wanted(key)
            self._set_aside(key)

    def _set_aside(self, key: Key) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + ASIDE_PERIOD
        self._aside.append((due, key))
        self.figures.set_aside = len(self._aside)
        loop.call_at(due, self._wake.set)

    async def _next(self) -> Block | None:
        places = self.link.window - len(self._under_way)
        if places <= 0:
            return None
        await self._look_around()
        if self.dialect.waits:  # results are in our own words
            return await self._first([stream for stream in self._turn if stream == RESULT and self._hurries(stream)])
        block = await self._first(sorted(filter(self._hurries, self._turn), key=is_event))
        if self._dividing:
            return block
        if block is None and self._room_for_data(places):
            self._turn.rotate(-1)
            block = await self._first([stream for stream in self._turn if self._may_leave(stream)])
        return block or await self._repeated(places) or await self._due_aside()

    async def _look_around(self) -> None:
        """Learn of streams and rows that appeared since; asked only when a commit may have brought some."""
        if self._looked == self._commits:
            return
        self._looked = self._commits
        known = set(self._turn)
        self._waiting = dict(await self.store.waiting())
        self._turn.extend(stream for stream in self._waiting if stream not in known)

    def _may_leave(self, stream: str) -> bool:
        return not urgent(stream) and self._admits(stream) and self._ripe(stream)

    def _hurries(self, stream: str) -> bool:
        return urgent(stream) and all(stream != name for name, _ in self._dividing) and not self.resting.waits(stream)

    def _admits(self, stream: str) -> bool:
        return (urgent(stream) or self.link.admits(stream)) and not self.resting.waits(stream)

    def _ripe(self, stream: str) -> bool:
        """Whether a block of `stream` may leave: it is full, or its first row has waited for as long as it may."""
        rows = self._waiting.get(stream, 0)
        if self._again.get(stream) or rows >= self._rows(stream):
            return True
        if not rows:
            return False
        now = asyncio.get_running_loop().time()
        latest = now + min(self.settings(stream).delay, self.link.longest_delay)
        self.due[stream] = min(latest, self.due.get(stream, latest))
        return now >= self.due[stream]

    def _taken(self, stream: str, rows: int) -> None:
        """Count what was allotted; what is left keeps its time, so that none waits longer than it may."""
        self._waiting[stream] = max(0, self._waiting.get(stream, 0) - rows)
        if not self._waiting[stream]:
            self.due.pop(stream, None)

    async def _first(self, streams: Sequence[str]) -> Block | None:
        for stream in streams:
            if (block := await self._from(stream)) is not None:
                return block
        return None

    async def _from(self, stream: str) -> Block | None:
        while self._again.get(stream):
            seq = self._again[stream].popleft()
            block = None if self.awaiting.holds(stream, seq) else await self.store.block(stream, seq)
            if block is not None:
                return block
        if stream in self._dry or self.awaiting.full(stream) or self.strikes.full(stream):
            return None
        commits = self._commits
        block = await self.store.next_block(stream, self._rows(stream))
        self._taken(stream, len(block.items) if block else 0)
        if block is None and commits == self._commits:
            self._dry.add(stream)
        return block

    def _rows(self, stream: str) -> int:
        if stream == RESULT:
            return 1
        kept = self.settings(stream)
        if stream not in self._row_octets:
            return kept.rows if kept.compact else min(kept.rows, FIRST_BLOCK_ROWS)
        aim = min(BLOCK_OCTETS, self.link.max_payload // 2)
        return max(1, min(kept.rows, int(aim / self._row_octets[stream])))

    def _room_for_data(self, places: int) -> bool:
        if not self._under_way:
            return True
        return places > URGENT_PLACES and sum(self._under_way.values()) + BLOCK_OCTETS <= WINDOW_OCTETS

    async def _repeated(self, places: int) -> Block | None:
        """Return a block that the head-end asked for again, or left without a word for too long."""
        if not self._room_for_data(places):
            return None
        overdue = self.awaiting.overdue(asyncio.get_running_loop().time(), self._admits)
        block = None if overdue is None else await self._once_more(overdue)
        while block is None and (key := self._wish()) is not None:
            block = await self._once_more(key)
            if block is None:
                self._no_more_wanted(key)
        return block

    async def _once_more(self, key: Key) -> Block | None:
        return None if key in self._under_way else await self.store.block(*key)

    def _wish(self) -> Key | None:
        """Return the next block that was asked for and may leave; it stays in `wanted` until the broker has it."""
        return next((key for key in self.wanted if key not in self._under_way and self._admits(key[0])), None)

    def _no_more_wanted(self, key: Key) -> None:
        if key in self.wanted:
            self.wanted.remove(key)

    async def _due_aside(self) -> Block | None:
        """Return the suspect that has waited longest, of a stream that may leave; it leaves alone."""
        now = asyncio.get_running_loop().time()
        due = [] if self._under_way else [each for each in self._aside if each[0] <= now and self._admits(each[1][0])]
        if not due:
            return None
        self._aside.remove(due[0])
        return await self.store.block(*due[0][1])
