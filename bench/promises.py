"""A store at work beside a witness: what it promises is told at once, and held against what is found after its death.

`python -m bench.promises DATABASE [LOG [damaged]]` works until it is killed; with LOG its disk is recorded
(`bench.power`). With a third word it sets the store aside as damaged, and ends.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from dcu.clock import SystemClock
from dcu.model import Capture, Column
from dcu.store import Block, Mishap, Sealed, Store, writer
from dcu.store.integrity import DAMAGED

METERS = ("M1", "M2", "M3")
STREAM = "load0"
COLUMNS = tuple(Column(3, bytes([1, 0, group, 8, 0, 255]), scaler=-1, unit=30) for group in range(1, 5))

#: Rows of a visit, rows of a block, counters of a range.
ROWS, BLOCK, RANGE = 3, 7, 5

#: Octets after which the log is copied into the database here, more often than in life: a death has to meet that, too.
CHECKPOINT_OCTETS = 100_000

#: Tells a witness what was promised: a kind, and what it is about.
Report = Callable[..., None]


def capture(at: int, meter: str) -> Capture:
    """Return a capture whose values tell which one it is."""
    values = tuple(at * 10 + column + int(meter[1:]) * 1_000_000 for column in range(len(COLUMNS)))
    return Capture(meter, STREAM, at, 0, values, COLUMNS, at + 5.125, -0.375, trusted=True)


async def work(path: Path, report: Report) -> None:
    """Use every part of the store that must not forget, until the end of the process."""
    async with Store.open(path, SystemClock()) as store, asyncio.TaskGroup() as flows:
        for meter in METERS:
            flows.create_task(_visits(store, meter, report))
        for flow in (_counters, _delivery, _keys):
            flows.create_task(flow(store, report))


async def set_aside(path: Path, report: Report) -> None:
    """Have the store set aside as a damaged one, and begin with what can be read of it."""
    async with Store.open(path, SystemClock(), Mishap(DAMAGED, "a check of the whole file failed")) as store:
        given = await store.counters.reserve("key", RANGE)
        report("counters", given.start, given.stop)
        if (block := await store.outbox.next_block(STREAM, BLOCK)) is not None:
            _tell(block, report)
        await store.salvage.bring_rest()


async def _visits(store: Store, meter: str, report: Report) -> None:
    at = (await store.readings.watermarks()).get((meter, STREAM), 0)
    while True:
        await store.readings.record([capture(at + row + 1, meter) for row in range(ROWS)], {(meter, STREAM): at + ROWS})
        at += ROWS
        report("stored", meter, at)


async def _counters(store: Store, report: Report) -> None:
    while True:
        given = await store.counters.reserve("key", RANGE)
        report("counters", given.start, given.stop)


async def _delivery(store: Store, report: Report) -> None:
    again = await store.outbox.unacknowledged(STREAM)
    while True:
        block = again.pop(0) if again else await store.outbox.next_block(STREAM, BLOCK)
        if block is None:
            await asyncio.sleep(0.001)
            continue
        _tell(block, report)
        if block.seq % 3:
            await store.outbox.acknowledge(STREAM, block.seq)
            report("acknowledged", block.seq)


async def _keys(store: Store, report: Report) -> None:
    """Change the keys of a meter again and again: what a meter was told may be known here only."""
    held = await store.generations.all()
    number = max((each.generation for each in held), default=0)
    while True:
        number += 1
        sealed = Sealed("M1", number, "pending", 1.0, {"password": number.to_bytes(8)})
        await store.generations.begin(sealed)
        report("key", number)
        await store.generations.move("M1", number, "current", alone=True)


def _tell(block: Block, report: Report) -> None:
    """Report a block that was handed out, and what it says was leapt over."""
    report("block", block.seq, content(block))
    if block.dropped is not None and block.dropped.numbers is not None:
        report("leapt", *block.dropped.numbers)


def content(block: Block) -> list[list[Any]]:
    """Return what a block holds, to be compared: meter, time and first value of each row."""
    rows = [item for item in block.items if isinstance(item, Capture)]
    return [[row.meter, row.at, row.values[0]] for row in rows]


class Witness:
    """Everything that was promised so far; `faults` are the promises that were found broken."""

    def __init__(self) -> None:
        self.stored: dict[str, int] = {}
        self.counters: list[range] = []
        self.blocks: dict[int, Any] = {}
        self.acknowledged: set[int] = set()
        self.key = 0
        self.leapt: list[range] = []
        self.faults: list[str] = []

    def take(self, kind: str, *what: Any) -> None:
        """Hear one promise."""
        match kind:
            case "stored":
                meter, at = what
                self.stored[meter] = max(at, self.stored.get(meter, 0))
            case "counters":
                self.counters.append(range(*what))
            case "block":
                seq, rows = what
                self._expect(self.blocks.setdefault(seq, rows) == rows, f"block {seq} has two contents")
            case "acknowledged":
                self.acknowledged.add(what[0])
            case "key":
                self.key = max(self.key, what[0])
            case "leapt":
                first, last = what
                self.leapt.append(range(first, last + 1))

    async def question(self, path: Path) -> None:
        """Open what is left of the store, hold it against the promises, and deliver what is still to be delivered."""
        async with Store.open(path, SystemClock()) as store:
            await store.salvage.bring_rest()
            await self._question_captures(store)
            await self._question_counters(store)
            await self._question_keys(store)
            await self._question_delivery(store)

    async def _question_captures(self, store: Store) -> None:
        marks = await store.readings.watermarks()
        for meter, at in self.stored.items():
            mark = marks.get((meter, STREAM), 0)
            self._expect(mark >= at, f"{meter}: stored up to {at}, known up to {mark}")
            found = await store.readings.captures(meter, STREAM, 0, 1 << 40, 1000)
            wanted = [capture(time, meter) for time in range(mark - min(mark, 1000) + 1, mark + 1)]
            self._expect(found == wanted, f"{meter}: {len(found)} captures up to {mark} are not those that were stored")

    async def _question_counters(self, store: Store) -> None:
        given = await store.counters.reserve("key", RANGE)
        self.counters.append(given)
        ranges = sorted((each.start, each.stop) for each in self.counters)
        twice = [later for earlier, later in pairwise(ranges) if earlier[1] > later[0]]
        self._expect(not twice, f"counters {twice} were given twice")

    async def _question_keys(self, store: Store) -> None:
        numbers = [each.generation for each in await store.generations.all()]
        self._expect(max(numbers, default=0) >= self.key, f"key {self.key} was kept, {numbers} are there")

    async def _question_delivery(self, store: Store) -> None:
        underway = await store.outbox.unacknowledged(STREAM)
        unacknowledged = {block.seq for block in underway}
        self._expect(unacknowledged.isdisjoint(self.acknowledged), "a block that was released is there again")
        lost = self.blocks.keys() - self.acknowledged - unacknowledged
        # the witness may have missed the last word
        self._expect(len(lost) <= 1, f"blocks {lost} were released without an acknowledgement")
        self.acknowledged |= lost
        while (block := await store.outbox.next_block(STREAM, 1000)) is not None:
            underway.append(block)
        for block in underway:
            _tell(block, self.take)
            await store.outbox.acknowledge(STREAM, block.seq)
            self.acknowledged.add(block.seq)
        self._question_sequence(await store.readings.watermarks())

    def _question_sequence(self, marks: dict[tuple[str, str], int]) -> None:
        seqs = sorted(self.blocks)
        holes = [range(earlier + 1, later) for earlier, later in pairwise(seqs) if later != earlier + 1]
        untold = [hole for hole in holes if not any(hole[0] in told and hole[-1] in told for told in self.leapt)]
        self._expect(not untold, f"holes in the sequence that were not told of: {untold}")
        rows = [tuple(row) for seq in seqs for row in self.blocks[seq]]
        self._expect(len(rows) == len(set(rows)), "a capture is in two blocks")
        known = {(meter, at) for meter in METERS for at in range(1, marks.get((meter, STREAM), 0) + 1)}
        self._expect({row[:2] for row in rows} == known, "what was delivered is not what was stored")

    def _expect(self, kept: bool, fault: str) -> None:  # noqa: FBT001 - a verdict
        if not kept:
            self.faults.append(fault)


def reports(lines: list[bytes]) -> Iterator[list[Any]]:
    """Yield the reports in the output of a killed process; its last line may be torn."""
    yield from (json.loads(line) for line in lines if line.endswith(b"\n"))


def _say(*what: object) -> None:
    os.write(1, (json.dumps(what) + "\n").encode())


def main() -> None:
    """Work in this process until it is killed."""
    report: Report = _say
    writer.CHECKPOINT_OCTETS = CHECKPOINT_OCTETS
    if len(sys.argv) > 2:
        from bench.power import record  # noqa: PLC0415 - takes SQLite over

        report = record(Path(sys.argv[2]), Path(sys.argv[1]).parent)
    asyncio.run((set_aside if len(sys.argv) > 3 else work)(Path(sys.argv[1]), report))


if __name__ == "__main__":
    main()
