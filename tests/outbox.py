"""An outbox in memory that behaves as the store does: a block has its number before it is handed out."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dcu.model import REFUSED, Capture, Column, Command, CommandRecord, CommandState, Dropped

COLUMNS = (Column(3, bytes.fromhex("0100010800ff"), scaler=0, unit=30),)
NOON = 1_769_860_800
FIRST_SEQ = 1000


@dataclass(frozen=True, slots=True)
class Block:
    stream: str
    seq: int
    items: tuple[Capture, ...] | tuple[CommandRecord, ...]
    dropped: Dropped | None = None


def capture(meter: str = "M0001", stream: str = "load0", at: int = NOON, values: tuple[object, ...] = (1,)) -> Capture:
    return Capture(meter, stream, at, 0, values, COLUMNS, at + 7.25, -0.5, trusted=True)  # type: ignore[arg-type]


def record(command_id: str = "c1", state: CommandState = CommandState.DONE, **more: object) -> CommandRecord:
    return CommandRecord(Command(command_id, "dcu.ping"), state, changed=NOON + 0.5, **more)  # type: ignore[arg-type]


class MemoryOutbox:
    def __init__(self) -> None:
        self.fresh = asyncio.Event()
        self.rows: dict[str, list[Capture] | list[CommandRecord]] = {}
        self.allotted: defaultdict[str, dict[int, Block]] = defaultdict(dict)
        self.numbers: defaultdict[str, int] = defaultdict(lambda: FIRST_SEQ)
        self.acknowledged: list[tuple[str, int]] = []
        self.words: list[Mapping[str, int]] = []
        self.known: dict[tuple[str, int], Block] = {}
        #: What was refused, as it was; known again when the word of that is acknowledged.
        self.refused: dict[tuple[str, int], Block] = {}
        self.failure: Exception | None = None
        #: Until it is set the head-end's words are not kept.
        self.committing = asyncio.Event()
        self.committing.set()

    def add(self, *items: Capture | CommandRecord) -> None:
        for item in items:
            stream = item.stream if isinstance(item, Capture) else "result"
            self.rows.setdefault(stream, []).append(item)  # type: ignore[arg-type]
        self.fresh.set()

    async def streams(self) -> Mapping[str, int]:
        return {stream: self.numbers[stream] for stream in self.rows}

    async def owed(self, stream: str) -> Sequence[int]:
        return sorted(self.allotted[stream])

    async def block(self, stream: str, seq: int) -> Block | None:
        return self.known.get((stream, seq))

    async def next_block(self, stream: str, limit: int) -> Block | None:
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        rows = self.rows.get(stream, [])
        taken, self.rows[stream] = rows[:limit], rows[limit:]
        if not taken:
            return None
        block = Block(stream, self.numbers[stream], tuple(taken))  # type: ignore[arg-type]
        self.numbers[stream] += 1
        self.allotted[stream][block.seq] = self.known[stream, block.seq] = block
        return block

    async def acknowledge(self, stream: str, seq: int) -> None:
        self.allotted[stream].pop(seq, None)  # one that was asked for again was released before
        self.known |= {key: block for key, block in self.refused.items() if key == (stream, seq)}
        self.acknowledged.append((stream, seq))

    async def refuse(self, stream: str, seq: int) -> bool:
        if seq not in self.allotted[stream]:
            return False
        block = self.refused.setdefault((stream, seq), self.allotted[stream][seq])
        times = [item.at if isinstance(item, Capture) else int(item.changed) for item in block.items]
        dropped = Dropped(REFUSED, min(times), max(times), len(times))
        self.allotted[stream][seq] = self.known[stream, seq] = Block(stream, seq, (), dropped)
        return True

    async def acknowledge_to(self, words: Mapping[str, int]) -> None:
        await self.committing.wait()
        if self.failure is not None:
            raise self.failure
        self.words.append(dict(words))
        for stream, seq in words.items():
            for each in [each for each in self.allotted[stream] if each <= seq]:
                await self.acknowledge(stream, each)

    async def least_owed(self) -> Mapping[str, int]:
        return {stream: min(self.allotted[stream], default=self.numbers[stream]) for stream in self.rows}

    async def pending(self) -> Mapping[str, int]:
        return {
            stream: len(rows) + sum(len(block.items) for block in self.allotted[stream].values())
            for stream, rows in self.rows.items()
        }

    async def waiting(self) -> Mapping[str, int]:
        return {stream: len(rows) for stream, rows in self.rows.items()}

    @property
    def empty(self) -> bool:
        return not any(self.rows.values()) and not any(self.allotted.values())
