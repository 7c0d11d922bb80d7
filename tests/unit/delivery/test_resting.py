"""Streams that nobody has subscribed to, in virtual time."""

import asyncio
from dataclasses import replace

from dcu.delivery.resting import REST, Resting
from dcu.messages.events import OWN_EVENTS
from dcu.uplink import UnheardError
from sim.virtual import VirtualClock
from tests.flow import running
from tests.lines import virtually
from tests.links import MemoryLink, bench, rows
from tests.outbox import record


class Told:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.streams: list[object] = []

    async def __call__(self, name: str, *, meter: str = "", **detail: object) -> None:
        assert name in OWN_EVENTS
        assert not meter
        self.streams.append(detail["stream"])


class Deserted(MemoryLink):
    """The broker has nobody for data, until somebody comes."""

    deserted = True

    async def publish(self, message: object) -> None:
        await super().publish(message)  # type: ignore[arg-type]  # as it is handed on
        if self.deserted and "/data/" in str(getattr(message, "topic", "")):
            raise UnheardError("nobody has subscribed")


def test_one_is_told_and_each_stream_is_asked_by_one_block_in_its_period() -> None:
    async def work(_: VirtualClock) -> None:
        told = Told()
        resting = Resting(told)
        await resting.unheard("a")
        await resting.unheard("b")
        assert (resting.waits("a"), resting.waits("c"), told.streams) == (True, False, ["a"])
        await asyncio.sleep(REST)
        assert not resting.waits("a")
        resting.tried("a")
        resting.tried("c")
        assert (resting.waits("a"), resting.waits("b"), resting.waits("c")) == (True, False, False)
        resting.taken("a")
        assert not resting.waits("a")
        resting.taken("b")
        await resting.unheard("c")
        assert told.streams == ["a", "c"]

    virtually(work)


def test_each_stream_that_is_refused_is_told_of_once_until_it_is_taken() -> None:
    async def work(_: VirtualClock) -> None:
        told = Told()
        resting = Resting(told)
        resting.at("one")
        for stream in ("a", "b", "a"):
            await resting.refused(stream, "not authorized")
        assert (resting.waits("a"), told.streams) == (True, ["a", "b"])
        await resting.unheard("c")
        assert told.streams == ["a", "b", "c"]
        resting.taken("a")
        assert not resting.waits("a")
        await resting.refused("a", "not authorized")
        assert told.streams == ["a", "b", "c", "a"]

    virtually(work)


def test_what_one_broker_refuses_another_is_asked_for() -> None:
    async def work(_: VirtualClock) -> None:
        resting = Resting()
        resting.at("one")
        await resting.refused("a", "not authorized")
        await resting.unheard("b")
        resting.at("one")
        assert resting.waits("a")
        resting.at("two")
        assert (resting.waits("a"), resting.waits("b")) == (False, True)

    virtually(work)


def test_what_nobody_wants_is_kept_sent_seldom_and_leaves_when_somebody_comes() -> None:
    async def work(_: VirtualClock) -> None:
        link = Deserted()
        at = bench(link)
        at.store.add(*rows(300), record())
        async with running(at.deliver):
            await asyncio.sleep(12 * REST + 1)
            data = [key for key in link.keys if key[0] == "load0"]
            assert len(data) <= 20 + 12, "a window, and then one in each period"
            assert [key[0] for key in at.store.acknowledged] == ["result"]
            link.deserted = False
            await asyncio.sleep(REST + 1)
            assert at.store.empty

    virtually(work)


def test_where_the_head_end_acknowledges_its_word_is_waited_for() -> None:
    async def work(_: VirtualClock) -> None:
        link = Deserted()
        at = bench(link)
        at.uplink.settings = replace(at.uplink.settings, acknowledge="head-end")
        at.deliver.awaiting.patience = 600.0
        at.store.add(*rows(100))
        async with running(at.deliver):
            await asyncio.sleep(1)
            assert at.deliver.figures.awaited == len(link.keys) > 0
            assert not at.store.acknowledged

    virtually(work)
