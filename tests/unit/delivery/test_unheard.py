"""Streams that nobody has subscribed to, in virtual time."""

import asyncio
from dataclasses import replace

from dcu.delivery.unheard import UNHEARD_PERIOD, Unheard
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
        unheard = Unheard(told)
        await unheard.note("a")
        await unheard.note("b")
        assert (unheard.waits("a"), unheard.waits("c"), told.streams) == (True, False, ["a"])
        await asyncio.sleep(UNHEARD_PERIOD)
        assert not unheard.waits("a")
        unheard.tried("a")
        unheard.tried("c")
        assert (unheard.waits("a"), unheard.waits("b"), unheard.waits("c")) == (True, False, False)
        unheard.heard("a")
        assert not unheard.waits("a")
        unheard.heard("b")
        await unheard.note("c")
        assert told.streams == ["a", "c"]

    virtually(work)


def test_what_nobody_wants_is_kept_sent_seldom_and_leaves_when_somebody_comes() -> None:
    async def work(_: VirtualClock) -> None:
        link = Deserted()
        at = bench(link)
        at.store.add(*rows(300), record())
        async with running(at.deliver):
            await asyncio.sleep(12 * UNHEARD_PERIOD + 1)
            data = [key for key in link.keys if key[0] == "load0"]
            assert len(data) <= 20 + 12, "a window, and then one in each period"
            assert [key[0] for key in at.store.acknowledged] == ["result"]
            link.deserted = False
            await asyncio.sleep(UNHEARD_PERIOD + 1)
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
