"""The whole road of a command, from its envelope to the meter's line and back: journal, plan, flow and conversation.

Whatever arrives, and whatever the store, the line, the clock and a restart do meanwhile: what changes a meter is sent
at most once, and never after its end was told; every command has its end; no flow ends by it.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dcu.clock import ClockState
from dcu.conversation.session import Session
from dcu.dlms.services import Action, Set
from dcu.errors import BusError, CommandRejected, StoreError
from dcu.health import Health
from dcu.messages.catalogue import EXECUTE
from dcu.model import Command, CommandRecord, CommandState, Role, Visit
from dcu.obeying.obey import LOOK_EVERY, Obey
from dcu.polling.poll import Poll
from sim.fleet import FleetPlan
from sim.virtual import VirtualClock
from tests.journal import MemoryJournal
from tests.lines import BAUD, REGISTERS, Box, PortAround, virtually

STREET = FleetPlan(meters=2, buses=1, baud=BAUD, hls=256, seed=4)
METERS = ("M0001", "M0002")
DAYS = {"object": "0-0:11.0.0.255", "class": 11, "attribute": 2, "value": [{"index": 1, "date": "*-12-25", "day": 2}]}
ACT = {"object": "0-0:10.0.100.255", "class": 9, "method": 1, "value": 1}
KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("meter.set", DAYS),
    (EXECUTE, ACT),
    ("meter.set-clock", {}),
    ("meter.read", {}),
)

#: Seconds after which a flow that lost the store begins again, and in which all that is left comes to its end.
RETRY = 15.0
REST = 3 * LOOK_EVERY + 600.0

SOON = st.sampled_from([0.0, 0.05, 0.3, 1.0, 2.5, 8.0])
COMMANDS = st.tuples(
    st.just("command"), st.sampled_from(KINDS), st.sampled_from(METERS), st.sampled_from([None, None, 1, 3, 30])
)
MISHAPS = st.one_of(
    st.tuples(st.just("again"), st.integers(0, 9)),
    st.tuples(st.just("cut"), st.integers(0, 9), SOON),
    st.tuples(st.just("pause"), SOON),
    st.tuples(st.just("commits"), st.sampled_from([0.0, 0.05, 1.5]), st.booleans()),
    st.tuples(st.just("line"), st.sampled_from([0.0, 0.4]), st.booleans()),
    st.tuples(st.just("wall"), st.sampled_from([0.0, 0.0, 3600.0, -1.7e9]), st.booleans()),
    st.tuples(st.just("exchange"), st.sampled_from(METERS)),
    st.tuples(st.just("restart")),
)
#: Every third step is a command, on the average.
STEPS = st.lists(st.one_of(COMMANDS, MISHAPS, MISHAPS), min_size=2, max_size=16)
#: What a line is busy with, and what waits behind it.
READ_FIRST = ("command", KINDS[3], "M0001", None)
SET_FIRST, SET_SECOND = ("command", KINDS[0], "M0001", None), ("command", KINDS[0], "M0002", 30)
SET_LAST = ("command", KINDS[0], "M0002", None)


class WallClock:
    """Wall time is `ahead` of the truth."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.ahead = 0.0
        self.right = True

    def now(self) -> float:
        return self.clock.now() + self.ahead

    def monotonic(self) -> float:
        return self.clock.monotonic()

    def trusted(self) -> bool:
        return self.state().trusted

    def state(self) -> ClockState:
        return ClockState.SYNCHRONISED if self.right else ClockState.UNSYNCHRONISED


class Journal(MemoryJournal):
    """Commits one after the other, and a transaction that has begun is not withdrawn with whoever asked for it."""

    def __init__(self) -> None:
        super().__init__()
        self._turn = asyncio.Lock()

    async def accept(self, command: Command, rejected: str | None = None) -> tuple[CommandRecord, bool]:
        async def commit() -> tuple[CommandRecord, bool]:
            async with self._turn:
                if self.failure is not None:
                    raise self.failure
                return await MemoryJournal.accept(self, command, rejected)

        return await asyncio.shield(asyncio.ensure_future(commit()))

    async def change(self, *told: Any, **more: Any) -> CommandRecord:
        async def commit() -> CommandRecord:
            async with self._turn:
                return await MemoryJournal.change(self, *told, **more)

        return await asyncio.shield(asyncio.ensure_future(commit()))


class Line(PortAround):
    delay = 0.0
    gone = False

    async def open(self) -> None:
        self._check()
        await super().open()

    async def write(self, data: bytes) -> None:
        await asyncio.sleep(self.delay)
        self._check()
        await super().write(data)

    async def drain(self, quiet: float) -> bool:
        self._check()
        return await super().drain(quiet)

    def _check(self) -> None:
        if self.gone:
            raise BusError("unplugged")


class Road:
    """A box with one line. `sent` has the ids of what was sent to change a meter; `late` those that were over then."""

    def __init__(self, clock: VirtualClock) -> None:
        self.box = Box(clock, STREET)
        self.line = Line(self.box.port)
        self.box.port = self.line
        self.clock = WallClock(clock)
        self.box.clock = self.clock
        for meter in self.box.meters:
            meter.clock_shift = 60.0
        self.journal = Journal()
        self.known = set(METERS)
        self.envelopes: list[dict[str, Any]] = []
        self.sent: Counter[str] = Counter()
        self.late: list[str] = []
        self.flows: list[asyncio.Task[None]] = []
        self.begin()

    def begin(self) -> None:
        """Build the flows as a start does, over what the journal holds."""
        self.poll: Poll = self.box.poll(REGISTERS)
        poll = self.poll

        def submit(visit: Visit) -> None:
            if visit.meter not in self.known:
                raise CommandRejected("no such meter any more")
            poll.submit(visit)

        self.obey = Obey(self.journal, submit, self.known.__contains__, self.own, self.clock, Health(), tuple(Role))
        self.poll.orders = self.obey
        self.flows = [asyncio.create_task(self.guard(run)) for run in (self.poll.run, self.obey.run)]

    async def own(self, _: Command) -> dict[str, Any]:
        return {}

    async def guard(self, run: Callable[[], Any]) -> None:
        while True:
            with without_store():
                await run()
            await asyncio.sleep(RETRY)

    async def end(self) -> None:
        for flow in self.flows:
            assert not flow.done(), flow
            flow.cancel()
        await asyncio.wait(self.flows)

    def note(self, visit: Visit) -> None:
        """A request that changes the meter goes out now."""
        assert visit.command is not None
        self.sent[visit.command.id] += 1
        if self.journal.records[visit.command.id].state.final:
            self.late.append(visit.command.id)

    async def bring(self, number: int, within: float | None = None) -> None:
        """Bring a command by the uplink, which goes `within` seconds if that is told."""
        if self.envelopes:
            envelope = self.envelopes[number % len(self.envelopes)]
            with without_store(), suppress(TimeoutError):
                async with asyncio.timeout(within):
                    await self.obey.receive(json.dumps(envelope).encode())

    async def step(self, what: str, *how: Any) -> None:
        if what == "command":
            (name, args), meter, expires = how
            new = {"id": f"c{len(self.envelopes)}", "name": name, "targets": {"meters": [meter]}, "args": args}
            self.envelopes.append(new | ({} if expires is None else {"expires": int(self.clock.now()) + expires}))
            await self.bring(-1)
        elif what in {"again", "cut"}:
            await self.bring(*how)
        elif what == "pause":
            await asyncio.sleep(*how)
        elif what == "restart":
            await self.end()
            self.begin()
        elif what == "exchange":
            await self.exchange(*how)
        else:
            self.turn(what, *how)

    def turn(self, what: str, much: float, bad: bool) -> None:
        """Make the store, the line or the clock worse, or better."""
        if what == "commits":
            self.journal.delay, self.journal.failure = much, StoreError("disk full") if bad else None
        elif what == "line":
            self.line.delay, self.line.gone = much, bad
        else:
            self.clock.ahead, self.clock.right = much, not bad

    async def exchange(self, meter: str) -> None:
        """Put another device in the place of a meter."""
        await self.poll.let_go(meter)
        self.known.discard(meter)
        with without_store():
            await self.obey.gone(meter, "another meter was put in its place")
        self.known.add(meter)
        self.poll.take_in(next(each for each in self.box.fleet.archive if each.id == meter))


@contextmanager
def without_store() -> Iterator[None]:
    """Suppress StoreError, also in a group, as the guard of the flows does."""
    try:
        yield
    except* StoreError:
        pass


async def play(clock: VirtualClock, steps: list[tuple[Any, ...]]) -> Road:
    road = Road(clock)
    perform = Session.perform

    async def noted(session: Session, request: Set | Action, permit: Callable[[], None] = lambda: None) -> Any:
        def asked() -> None:
            permit()
            road.note(road.poll._permit.visit)

        return await perform(session, request, asked)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "perform", noted)
        for step in steps:
            await road.step(*step)
        for what in ("commits", "line", "wall"):
            road.turn(what, 0.0, bad=False)
        await asyncio.sleep(REST)
        await road.end()
    return road


@settings(max_examples=40, deadline=None)
@given(STEPS)
@example([("line", 0.4, False), READ_FIRST, SET_SECOND, ("exchange", "M0002")])
@example([("line", 0.4, False), READ_FIRST, SET_SECOND, ("wall", 3600.0, False), ("pause", 2.5), ("wall", 0.0, False)])
@example([SET_LAST, SET_LAST, ("commits", 1.5, True), ("exchange", "M0002")])
@example([SET_FIRST, ("pause", 1.0), ("commits", 0.05, True), ("pause", 8.0), ("commits", 0.0, False)])
@example([("line", 0.4, False), SET_FIRST, ("pause", 8.0), ("commits", 0.0, True), ("pause", 8.0)])
def test_at_most_once_and_never_after_the_end(steps: list[tuple[Any, ...]]) -> None:
    road = virtually(lambda clock: play(clock, steps))
    assert road.late == []
    assert not [name for name, times in road.sent.items() if times > 1]
    records = road.journal.records.values()
    assert not [record for record in records if not record.state.final]
    done = {record.command.id for record in records if record.state is CommandState.DONE}
    # the effect of the others can be seen, whoever brought it about
    assert not [name for name in done if road.journal.records[name].command.name == EXECUTE and not road.sent[name]]
