"""The ledger in a real file: whatever is read, repeated and cut off by a crash, it says what the arithmetic says.

And what it counts is what a reader finds who goes from capture to capture.
"""

import asyncio
import shutil
import tempfile
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from itertools import count
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dcu.model import Reason
from dcu.plan.ledger import Account, Asked, entered
from dcu.store import Store
from dcu.store.ledger import Span
from tests.captures import SetClock, capture

METERS = ("M1", "M2")
STREAM = "load0"
PERIOD = 10
#: The rows each meter holds: every tenth second but some, a little beside the full ten.
HELD = {
    "M1": [at + 2 for at in range(0, 1000, 10) if at % 70],
    "M2": [at for at in range(0, 1000, 10) if at % 110 > 20],
}


class LedgerMachine(RuleBasedStateMachine):
    """A store beside the accounts that it must hold, and the captures it took."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="dcu-ledger-"))
        self.runner = asyncio.Runner()
        self.files = count()
        self.accounts: dict[str, Account | None] = dict.fromkeys(METERS)
        self.taken: dict[str, list[int]] = {meter: [] for meter in METERS}

    @initialize(expected=st.booleans())
    def begin(self, *, expected: bool) -> None:
        self.path = self.directory / f"{next(self.files)}.db"
        self._open()
        if expected:
            self.runner.run(self.store.ledger.expect({STREAM: {35: METERS}}))
            self.accounts = dict.fromkeys(METERS, Account(35, 0))

    def _open(self) -> None:
        self.context: AbstractAsyncContextManager[Store] = Store.open(self.path, SetClock())
        self.store = self.runner.run(self.context.__aenter__())

    def _close(self) -> None:
        self.runner.run(self.context.__aexit__(None, None, None))

    @rule(
        meter=st.sampled_from(METERS),
        start=st.integers(0, 1000),
        length=st.integers(0, 400),
        reason=st.sampled_from([Reason.NO_RECORD, Reason.CLOCK]),
    )
    def ask(self, meter: str, start: int, length: int, reason: Reason) -> None:
        asked = [Asked(start, start + length, PERIOD, reason)]
        times = [at for at in HELD[meter] if start <= at <= start + length]
        self._record(meter, asked, times)

    @rule(meter=st.sampled_from(METERS), newest=st.booleans())
    def backfill(self, meter: str, *, newest: bool) -> None:
        """Ask for what is pending, a few rows at a time."""
        account = self.accounts[meter]
        if account is None or not account.pending:
            return
        gap = account.pending[-1 if newest else 0]
        first, last = account.grid.times(gap.start, gap.end)
        span = (max(first, last - 70), last) if newest else (first, min(last, first + 70))
        self._record(meter, [Asked(*span, PERIOD)], [at for at in HELD[meter] if span[0] <= at <= span[1]])

    def _record(self, meter: str, asked: list[Asked], times: list[int]) -> None:
        account, news = entered(self.accounts[meter], asked, times)
        self.accounts[meter] = account
        self.taken[meter] += [times[at] for at in sorted(news)]
        captures = [capture(at, meter) for at in times]
        recorded = self.runner.run(self.store.readings.record(captures, {}, asked={(meter, STREAM): asked}))
        assert recorded.accounts == {(meter, STREAM): account}
        assert recorded.overflow == ()

    @rule()
    def leave_the_timetable_and_come_back(self) -> None:
        self.runner.run(self.store.ledger.expect({}))
        self.runner.run(self.store.ledger.expect({STREAM: {35: METERS}}))
        for meter, account in self.accounts.items():
            if account is None:
                self.accounts[meter] = Account(35, 0)
            else:
                since = 35 if account.watermark is None else account.watermark + 1
                self.accounts[meter] = replace(account, since=since)

    @rule()
    def crash(self) -> None:
        """Go on with the files as a dead process leaves them."""
        left = self.path
        self.path = self.directory / f"{next(self.files)}.db"
        for suffix in ("", "-wal"):
            shutil.copy(f"{left}{suffix}", f"{self.path}{suffix}")
        self._close()
        self._open()

    @rule(after=st.integers(0, 1000), length=st.integers(0, 500))
    def tally(self, after: int, length: int) -> None:
        [found] = self.runner.run(self.store.ledger.tallies([Span(STREAM, after, after + length, PERIOD)]))
        expected = read = missing = 0
        for account in self.accounts.values():
            if account is None:
                continue
            grid = account.grid if account.period else Account(account.since, PERIOD).grid
            top = account.top if account.period else account.since - PERIOD
            points = {at for at in range(grid.since, after + length + 1, PERIOD) if at > after}
            gone = {at for gap in account.gaps for at in range(gap.start, gap.end + 1, PERIOD)}
            expected += len(points)
            missing += len(points & gone)
            read += len({at for at in points if at <= top} - gone)
        assert (found.expected, found.read, sum(found.missing.values())) == (expected, read, missing)

    @invariant()
    def no_capture_is_there_twice_and_none_that_was_taken_is_lost(self) -> None:
        for meter, times in self.taken.items():
            found = [each.at for each in self.runner.run(self.store.readings.captures(meter, STREAM, 0, 2000, 1000))]
            assert found == times
            assert len(set(times)) == len(times)

    @invariant()
    def the_gaps_told_are_those_of_the_accounts(self) -> None:
        told = [(line.meter, line.start, line.end, line.reason) for line in self.runner.run(self.store.ledger.gaps([]))]
        assert told == [
            (meter, gap.start, gap.end, gap.reason)
            for meter, account in self.accounts.items()
            if account is not None
            for gap in account.gaps
        ]

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self._close()
        self.runner.close()
        shutil.rmtree(self.directory)


LedgerMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestLedger = LedgerMachine.TestCase
