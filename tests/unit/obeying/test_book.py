"""The steps of commands into the journal: kept before they are told, and each command for itself."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from dcu.errors import DcuError, StoreError
from dcu.health import Health
from dcu.model import Command, CommandState
from dcu.obeying.book import Book
from dcu.obeying.underway import BOX, Underway
from sim.virtual import VirtualClock
from tests.journal import MemoryJournal
from tests.lines import virtually


class Desk:
    """A book over a journal in memory."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.journal = MemoryJournal()
        self.health = Health()
        self.book = Book(self.journal, clock, self.health)

    async def begin(self, name: str = "one", meters: tuple[str, ...] = ("M1",), targets: str = "") -> Underway:
        command = Command(name, "meter.read", () if targets else meters, received=self.clock.now(), targets=targets)
        await self.journal.accept(command)
        underway = self.book.underway[name] = Underway.of(command, meters, self.clock.monotonic())
        return underway

    def state(self, name: str = "one") -> CommandState:
        return self.journal.records[name].state


def at_a_desk(work: Callable[[Desk], Coroutine[Any, Any, None]]) -> None:
    virtually(lambda clock: work(Desk(clock)))


async def mistaken() -> None:
    raise KeyError("M1")


def test_an_end_is_kept_then_told_and_its_command_is_under_way_no_more() -> None:
    async def work(desk: Desk) -> None:
        underway = await desk.begin()
        underway.take("M1", {"v": 1}, None)
        desk.journal.delay = 2.0
        ending = asyncio.create_task(desk.book.end(underway, CommandState.DONE, ""))
        await asyncio.sleep(1.0)
        assert not underway.over.done()
        await ending
        record = await underway.over
        assert (record, record.result, record.error) == (desk.journal.records["one"], {"M1": {"v": 1}}, None)
        assert (desk.book.underway, list(desk.health.command_latency)) == ({}, [2.0])

    at_a_desk(work)


def test_the_answer_of_the_box_is_the_whole_result() -> None:
    async def work(desk: Desk) -> None:
        underway = await desk.begin(meters=())
        underway.take(BOX, {"v": 1}, None)
        await desk.book.end(underway, CommandState.DONE, None)
        assert (await underway.over).result == {"v": 1}

    at_a_desk(work)


def test_of_two_ends_the_first_is_kept() -> None:
    async def work(desk: Desk) -> None:
        underway = await desk.begin()
        ends = (desk.book.end(underway, state, None) for state in (CommandState.EXPIRED, CommandState.DONE))
        await asyncio.gather(*ends)
        assert desk.journal.changes[1:] == [("one", CommandState.EXPIRED)]

    at_a_desk(work)


def test_an_end_that_cannot_be_kept_leaves_the_command_under_way() -> None:
    async def work(desk: Desk) -> None:
        underway = await desk.begin()
        desk.journal.failure = StoreError("disk full")
        with pytest.raises(StoreError):
            await desk.book.end(underway, CommandState.DONE, None)
        assert (underway.over.done(), underway.ending, [*desk.book.underway]) == (False, 0, ["one"])

    at_a_desk(work)


def test_what_came_is_told_once_and_not_beside_an_end() -> None:
    async def work(desk: Desk) -> None:
        underway = await desk.begin("many", ("M1", "M2"), "all")
        underway.take("M1", {"v": 1}, None)
        await desk.book.tell(underway)
        record = desk.journal.records["many"]
        assert (record.result, record.progress) == ({"M1": {"v": 1}}, {"of": 2, "answered": 1, "failed": 0})
        assert underway.answers == {}
        underway.take("M2", None, "silent")
        await asyncio.gather(desk.book.end(underway, CommandState.FAILED, "M2: silent"), desk.book.tell(underway))
        assert [state for _, state in desk.journal.changes[1:]] == [CommandState.RUNNING, CommandState.FAILED]

    at_a_desk(work)


@pytest.mark.parametrize(("sent", "said"), [(False, "our own mistake: KeyError"), (True, "not known whether it was")])
def test_our_mistake_over_one_command_fails_that_one(sent: bool, said: str) -> None:
    async def work(desk: Desk) -> None:
        underway = await desk.begin()
        await desk.begin("other")
        underway.sent = sent
        await desk.book.surely(underway.command, mistaken())
        assert (desk.state(), desk.state("other")) == (CommandState.FAILED, CommandState.ACCEPTED)
        assert str((await underway.over).error).startswith(said)
        assert [*desk.book.underway] == ["other"]

    at_a_desk(work)


def test_a_store_that_fails_is_nobodys_mistake() -> None:
    async def fails() -> None:
        raise StoreError("disk full")

    async def work(desk: Desk) -> None:
        underway = await desk.begin()
        with pytest.raises(StoreError):
            await desk.book.surely(underway.command, fails())
        assert (desk.state(), [*desk.book.underway]) == (CommandState.ACCEPTED, ["one"])

    at_a_desk(work)


def test_a_failure_that_cannot_be_kept_is_left_to_the_journal_and_whoever_waits_hears_of_it() -> None:
    async def work(desk: Desk) -> None:
        underway = await desk.begin()
        desk.journal.failure = StoreError("disk full")
        with pytest.raises(StoreError):
            await desk.book.surely(underway.command, mistaken())
        assert desk.book.underway == {}
        with pytest.raises(StoreError, match="disk full"):
            await underway.over

    at_a_desk(work)


def test_who_waits_for_what_is_dropped_is_told_to_ask_again() -> None:
    async def work(desk: Desk) -> None:
        underway = await desk.begin()
        desk.book.drop(underway.command, asyncio.CancelledError())
        desk.book.drop(underway.command, asyncio.CancelledError())  # it is gone already
        with pytest.raises(DcuError, match="ask again by the same id"):
            await underway.over

    at_a_desk(work)
