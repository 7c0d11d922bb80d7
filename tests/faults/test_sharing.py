"""Processes of a head-end keep what one subscription brings into one database; one of them is killed meanwhile."""

import asyncio
import random
import sqlite3
import sys
from asyncio.subprocess import PIPE, Process, create_subprocess_exec
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import aiomqtt
import pytest

from dcu.messages.envelope import Envelopes
from dcu_headend import Follower
from sim.broker import Broker
from tests import sharing
from tests.outbox import NOON, capture

STREAMS, FIRST, BLOCKS = ("load0", "daily"), 1000, 16
METERS = tuple(f"M{number}" for number in range(8))
BIRTH = b'{"dcu":"D1","boot":"b","state":"online","streams":{},"owed":{"load0":%d,"daily":%d}}' % (FIRST, FIRST)
PATIENCE = 60.0


def at(block: int) -> int:
    return NOON + 900 * block


def said() -> list[tuple[str, bytes]]:
    """Return the parts of all blocks, each twice, in an order that nothing but chance has made."""
    told = []
    for stream in STREAMS:
        for block in range(BLOCKS):
            rows = [capture(meter, stream, at(block), (block,)) for meter in METERS]
            parts = Envelopes("D1", "b").block(stream, FIRST + block, rows, 600, compact=False)
            assert len(parts) > 1
            told += [(stream, part) for part in parts] * 2
    random.Random(6).shuffle(told)
    return told


class Keepers:
    """The processes by name, and what they have printed: who was born, which parts were taken."""

    def __init__(self, database: Path, broker: Broker) -> None:
        self.database, self.broker = database, broker
        self.processes: dict[str, Process] = {}
        self.took: Counter[tuple[str, ...]] = Counter()
        self.born: Counter[str] = Counter()
        self.changed = asyncio.Event()
        self._reading: list[asyncio.Task[None]] = []

    async def start(self, name: str) -> None:
        words = (sys.executable, "-m", sharing.__name__, str(self.database), str(self.broker.port), name)
        process = self.processes[name] = await create_subprocess_exec(*words, stdout=PIPE)
        self._reading.append(asyncio.create_task(self._read(name, process)))

    async def _read(self, name: str, process: Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            match line.decode().split():
                case "took", *part:
                    self.took[tuple(part)] += 1
                case "born", _:
                    self.born[name] += 1
                case refused:
                    pytest.fail(f"{name} does not understand {refused}")
            self.changed.set()

    async def kill(self, name: str) -> None:
        self.processes[name].kill()
        await self.processes[name].wait()

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            self.changed.clear()
            await self.changed.wait()

    async def end(self) -> None:
        for process in self.processes.values():
            if process.returncode is None:
                process.kill()
        await asyncio.gather(*self._reading, *(process.wait() for process in self.processes.values()))


async def test_many_processes_keep_each_reading_once_and_lose_none(tmp_path: Path) -> None:
    path, told = tmp_path / "kept.db", said()
    with closing(sqlite3.connect(path)) as database:
        database.executescript(sharing.TABLES)
    async with Broker(tmp_path / "broker") as broker, asyncio.timeout(PATIENCE):
        if broker.kind != "mosquitto":
            pytest.fail("only mosquitto divides what a subscription brings")
        keepers = Keepers(path, broker)
        try:
            async with aiomqtt.Client(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5) as dcu:
                await dcu.publish("ami/v1/D1/state", BIRTH, qos=1, retain=True)
                for name in ("a", "b", "c"):
                    await keepers.start(name)
                await keepers.until(lambda: len(keepers.born) == 3)
                for number, (stream, part) in enumerate(told):
                    await dcu.publish(f"ami/v1/D1/data/{stream}", part, qos=1)
                    if number == len(told) // 2:
                        await keepers.until(lambda: keepers.took.total() > len(told) // 8)
                        await keepers.kill("b")
            await keepers.start("b")
            # what was under way to the one that was killed may come three times
            await keepers.until(lambda: keepers.took.total() >= len(told) and len(keepers.took) == len(told) // 2)
        finally:
            await keepers.end()
    with closing(sqlite3.connect(path)) as database:
        rows = Counter(database.execute("SELECT stream, seq, meter, at FROM kept").fetchall())
        takers = {name for (name,) in database.execute("SELECT process FROM kept")}
        followed = database.execute("SELECT dcu, stream, memory FROM followed").fetchall()
    expected = {(s, FIRST + block, meter, at(block)) for s in STREAMS for block in range(BLOCKS) for meter in METERS}
    assert (set(rows), max(rows.values())) == (expected, 1)
    assert len(takers) > 1
    follower = Follower({(name, stream): memory for name, stream, memory in followed})
    assert list(follower.gaps()) == []
    assert follower.positions() == {("D1", stream): FIRST + BLOCKS - 1 for stream in STREAMS}
