"""A process that writes is killed at random moments: what it reported is there, and nothing contradicts it.

The child reports each promise of the store on a pipe right after it was made; the report may miss the last one.
"""

import json
import random
import signal
import subprocess
import sys
import textwrap
from itertools import pairwise
from pathlib import Path
from typing import Any

from dcu.store import Store
from tests.captures import SetClock

ROOT = Path(__file__).parents[2]

ROUNDS = 12

WRITER = textwrap.dedent("""
    import asyncio, json, os, sys
    from dcu.clock import SystemClock
    from dcu.store import Store
    from tests.captures import capture

    def report(*what):
        os.write(1, (json.dumps(what) + "\\n").encode())

    async def visits(store, meter):
        at = (await store.watermarks()).get((meter, "load0"), 0)
        while True:
            await store.record([capture(at + step, meter) for step in (1, 2, 3)], {(meter, "load0"): at + 3})
            at += 3
            report("stored", meter, at)

    async def counters(store):
        while True:
            given = await store.reserve_counters("M1", 5)
            report("counters", given.start, given.stop)

    async def delivery(store):
        again = await store.unacknowledged("load0")
        while True:
            block = again.pop(0) if again else await store.next_block("load0", 7)
            if block is None:
                await asyncio.sleep(0)
                continue
            report("block", block.seq, [[item.meter, item.at] for item in block.items])
            if block.seq % 3:
                await store.acknowledge("load0", block.seq)
                report("acknowledged", block.seq)

    async def main():
        async with Store.open(sys.argv[1], SystemClock()) as store, asyncio.TaskGroup() as flows:
            report("open")
            for meter in ("M1", "M2", "M3"):
                flows.create_task(visits(store, meter))
            flows.create_task(counters(store))
            flows.create_task(delivery(store))

    asyncio.run(main())
""")


class Promises:
    """Everything that any of the killed processes was told."""

    def __init__(self) -> None:
        self.stored: dict[str, int] = {}
        self.counters: list[range] = []
        self.blocks: dict[int, Any] = {}
        self.acknowledged: set[int] = set()

    def take(self, kind: str, *what: Any) -> None:
        if kind == "stored":
            meter, at = what
            self.stored[meter] = max(at, self.stored.get(meter, 0))
        elif kind == "counters":
            self.counters.append(range(*what))
        elif kind == "block":
            seq, content = what
            assert self.blocks.setdefault(seq, content) == content, "one number, two contents"
        elif kind == "acknowledged":
            self.acknowledged.add(what[0])


def run_and_kill(path: Path, reports: int) -> list[list[Any]]:
    """Run the writer until it has reported so often, kill it there, and return all that it reported."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, cwd=ROOT) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(reports)]
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.readlines()
    assert child.returncode == -signal.SIGKILL
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


async def check(path: Path, promises: Promises) -> None:
    async with Store.open(path, SetClock()) as store:
        for meter, at in promises.stored.items():
            found = [c.at for c in await store.captures(meter, "load0", 0, 1 << 40, 1000)]
            mark = (await store.watermarks())[meter, "load0"]
            assert mark >= at
            assert found == list(range(mark - len(found) + 1, mark + 1))
            assert len(found) == min(mark, 1000)
        underway = {block.seq for block in await store.unacknowledged("load0")}
        assert underway.isdisjoint(promises.acknowledged)
        unreported = promises.blocks.keys() - promises.acknowledged - underway
        assert len(unreported) <= 1, "released without an acknowledgement"
        promises.acknowledged |= unreported


async def test_killed_at_random_moments_it_keeps_every_promise(tmp_path: Path) -> None:
    path, promises, moments = tmp_path / "store.db", Promises(), random.Random(20)
    for _ in range(ROUNDS):
        for report in run_and_kill(path, moments.randrange(1, 400)):
            promises.take(*report)
        await check(path, promises)
    given = sorted((counters.start, counters.stop) for counters in promises.counters)
    assert len(given) > ROUNDS
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(given))
    seqs = sorted(promises.blocks)
    content = [tuple(row) for seq in seqs for row in promises.blocks[seq]]
    assert len(content) == len(set(content)), "a capture in two blocks"
    assert len(seqs) > ROUNDS
