"""Whatever is recorded, taken, acknowledged and let go, in any order and with a crash at any moment: each capture is
delivered once or named among those that went, sequence numbers grow by one, and a number that is sent again has the
content it had.
"""

import asyncio
import shutil
import tempfile
from contextlib import AbstractAsyncContextManager
from itertools import count
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dcu.model import Capture
from dcu.store import Block, Store
from tests.captures import SetClock, capture

METERS = st.sampled_from(["M1", "M2", "M3"])
STREAMS = st.sampled_from(["load0", "event.fraud", "instant"])
TIMES = st.lists(st.integers(0, 50), max_size=4)


class StoreMachine(RuleBasedStateMachine):
    """A store beside what it must hold: every row per stream, the blocks not acknowledged, the watermarks.

    `named` are the rows behind those taken that went and are to be named next, `gone` the last position that may be
    missing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="dcu-store-"))
        self.runner = asyncio.Runner()
        self.clock = SetClock()
        self.files = count()
        self.unique = count()
        self.rows: dict[str, list[Capture]] = {}
        self.taken: dict[str, int] = {}
        self.seqs: dict[str, int] = {}
        self.underway: dict[str, list[Block]] = {}
        self.marks: dict[tuple[str, str], int] = {}
        self.named: dict[str, int] = {}
        self.gone: dict[str, int] = {}

    @initialize()
    def begin(self) -> None:
        self.path = self.directory / f"{next(self.files)}.db"
        self._open()

    def _open(self) -> None:
        self.context: AbstractAsyncContextManager[Store] = Store.open(self.path, self.clock)
        self.store = self.runner.run(self.context.__aenter__())

    def _close(self) -> None:
        self.runner.run(self.context.__aexit__(None, None, None))

    @rule(meter=METERS, stream=STREAMS, times=TIMES, watermark=st.none() | st.integers(0, 50))
    def record(self, meter: str, stream: str, times: list[int], watermark: int | None) -> None:
        visit = [capture(at, meter, stream, (next(self.unique), at)) for at in times]
        key = (meter, stream)
        self.runner.run(self.store.readings.record(visit, {} if watermark is None else {key: watermark}))
        covered = self.marks.get(key) if watermark is not None else None
        self.rows.setdefault(stream, []).extend(c for c in visit if covered is None or c.at > covered)
        if watermark is not None:
            self.marks[key] = max(watermark, self.marks.get(key, watermark))

    @rule(stream=STREAMS, limit=st.integers(1, 5))
    def take(self, stream: str, limit: int) -> None:
        block = self.runner.run(self.store.outbox.next_block(stream, limit))
        start = self.taken.get(stream, 0)
        named = self.named.pop(stream, 0)
        expected = self.rows.get(stream, [])[start : start + (named or limit)]
        if not expected:
            assert block is None
            return
        assert block is not None
        if named:
            times = [each.at for each in expected]
            assert block.dropped is not None
            assert (block.items, block.dropped.count) == ((), named)
            assert block.dropped.start <= min(times)
            assert block.dropped.end >= max(times)
        else:
            assert (block.items, block.dropped) == (tuple(expected), None)
        assert block.seq == self.seqs.get(stream, block.seq - 1) + 1
        self.seqs[stream] = block.seq
        self.taken[stream] = start + len(expected)
        self.underway.setdefault(stream, []).append(block)

    @precondition(lambda self: any(self.underway.values()))
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        stream = data.draw(st.sampled_from([name for name, blocks in self.underway.items() if blocks]))
        block = data.draw(st.sampled_from(self.underway[stream]))
        self.runner.run(self.store.outbox.acknowledge(stream, block.seq))
        self.underway[stream].remove(block)

    @rule(stream=STREAMS, before=st.integers(0, 60))
    def expire(self, stream: str, before: int) -> None:
        shed = self.runner.run(self.store.retention.expire(stream, before))
        assert not shed.unsent
        if shed.captures:
            self.gone[stream] = max(self.gone.get(stream, 0), self.taken.get(stream, 0))

    @rule(stream=STREAMS, unsent=st.booleans())
    def let_go(self, stream: str, unsent: bool) -> None:
        shed = self.runner.run(self.store.retention.shed(stream, "storage", unsent=unsent))
        taken = self.taken.get(stream, 0)
        assert unsent or not shed.unsent
        if shed.unsent:
            self.named[stream] = self.named.get(stream, 0) + shed.unsent
            assert taken + self.named[stream] <= len(self.rows[stream])
            self.gone[stream] = taken + self.named[stream]
        elif shed.captures:
            self.gone[stream] = max(self.gone.get(stream, 0), taken)

    @rule()
    def restart(self) -> None:
        self._close()
        self.clock.time += 1000
        self._open()

    @rule()
    def crash(self) -> None:
        """Go on with the files as a dead process leaves them."""
        left = self.path
        self.path = self.directory / f"{next(self.files)}.db"
        for suffix in ("", "-wal"):
            shutil.copy(f"{left}{suffix}", f"{self.path}{suffix}")
        shutil.copy(left.with_suffix(".spare"), self.path.with_suffix(".spare"))
        self._close()
        self._open()

    @invariant()
    def nothing_underway_has_changed(self) -> None:
        for stream, blocks in self.underway.items():
            assert self.runner.run(self.store.outbox.unacknowledged(stream)) == blocks

    @invariant()
    def everything_is_counted(self) -> None:
        pending = self.runner.run(self.store.outbox.pending())
        for stream, rows in self.rows.items():
            underway = sum(len(block.items) for block in self.underway.get(stream, []))
            waiting = len(rows) - self.taken.get(stream, 0) - self.named.get(stream, 0)
            assert pending.get(stream, 0) == waiting + underway
        assert self.runner.run(self.store.readings.watermarks()) == self.marks

    def teardown(self) -> None:
        if hasattr(self, "store"):
            for stream, rows in self.rows.items():
                for meter in ("M1", "M2", "M3"):
                    found = self.runner.run(self.store.readings.captures(meter, stream, 0, 50, 1000))
                    gone = self.gone.get(stream, 0)
                    left = [row for row in rows[gone:] if row.meter == meter]
                    before = [row for row in rows[:gone] if row.meter == meter]
                    assert found[len(found) - len(left) :] == left
                    older, recorded = found[: len(found) - len(left)], iter(before)
                    assert all(row in recorded for row in older), "in their order, whatever went in between"
                    underway = {row for block in self.underway.get(stream, []) for row in block.items}
                    assert [row for row in older if row in underway] == [row for row in before if row in underway]
            self._close()
        self.runner.close()
        shutil.rmtree(self.directory)


StoreMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestStore = StoreMachine.TestCase
