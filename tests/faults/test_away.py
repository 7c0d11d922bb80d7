"""Outages of days and quarrels over a name, in virtual time: nothing is lost, and the tries are counted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from dcu.errors import SentAwayError, UplinkError
from dcu.uplink import Backoff, Link, Outgoing
from sim.headend import Tally
from sim.virtual import VirtualClock
from tests.flow import running
from tests.lines import virtually
from tests.links import Bench, MemoryLink, MemoryUplink, bench, rows
from tests.outbox import NOON, MemoryOutbox, capture, record

HOUR = 3600.0


class AwayUplink(MemoryUplink):
    """Refuses until `back` (virtual seconds)."""

    back = 100 * HOUR

    @asynccontextmanager
    async def connect(self, will: Outgoing) -> AsyncIterator[Link]:
        self.wills.append(will)
        if asyncio.get_running_loop().time() < self.back:
            raise UplinkError("no route to host")
        link = MemoryLink()
        self.links.append(link)
        try:
            yield cast("Link", link)
        finally:
            link.lose()


class Quarrel(MemoryUplink):
    """Another unit has our name: who connects is thrown out `patience` seconds later."""

    patience = 1.0

    @asynccontextmanager
    async def connect(self, will: Outgoing) -> AsyncIterator[Link]:
        self.wills.append(will)
        link = MemoryLink()
        self.links.append(link)
        asyncio.get_running_loop().call_later(self.patience, link.lose)
        try:
            yield cast("Link", link)
        except* UplinkError as lost:
            raise SentAwayError("Session taken over") from lost


def over(uplink: MemoryUplink) -> Bench:
    at = bench()
    at.deliver.uplink, at.deliver.backoff = uplink, Backoff()
    return at


async def read(store: MemoryOutbox, hours: int) -> None:
    """Add ten meters' rows each quarter of an hour."""
    for quarter in range(4 * hours):
        store.add(*[capture(f"M{meter}", at=NOON + 900 * quarter, values=(quarter,)) for meter in range(10)])
        await asyncio.sleep(HOUR / 4)


def test_an_outage_of_a_hundred_hours_loses_nothing_and_makes_no_storm() -> None:
    async def work(_: VirtualClock) -> None:
        uplink, tally = AwayUplink([]), Tally()
        at = over(uplink)
        async with running(at.deliver):
            await read(at.store, 100)
            tries = len(uplink.wills)
            await asyncio.sleep(HOUR)
        assert at.store.empty
        for link in uplink.links:
            for sent in link.blocks:
                tally.take("data", sent.message.payload)
        assert len(tally.captures) == 4000
        assert (tally.conflicts, tally.duplicates, tally.holes()) == (0, 0, {})
        # two a minute, and not so few that it would be noticed late that the broker is back
        assert 100 * 60 < tries < 100 * 60 * 3, tries
        assert at.deliver.figures.tries == len(uplink.wills)

    virtually(work)


class Sleeping(Backoff):
    """Sleeps for an hour after each connection."""

    def delay(self) -> float:
        self.asleep = True
        return HOUR


def test_a_sleep_ends_for_what_is_urgent_and_not_for_data() -> None:
    async def work(_: VirtualClock) -> None:
        uplink = Quarrel([])
        at = over(uplink)
        at.deliver.backoff = Sleeping()
        async with running(at.deliver):
            await asyncio.sleep(60)
            at.store.add(*rows(1))
            await asyncio.sleep(HOUR / 2)
            assert len(uplink.wills) == 1
            at.store.add(record())
            await asyncio.sleep(10)
            assert len(uplink.wills) == 2
            assert at.store.empty
            await asyncio.sleep(HOUR - 10)
            assert len(uplink.wills) == 2
            at.deliver.backoff.asleep = False
            await asyncio.sleep(10)
            assert len(uplink.wills) == 3

    virtually(work)


class Feud(Quarrel):
    """As in MQTT 3.1.1, where a broker hangs up without a word."""

    @asynccontextmanager
    async def connect(self, will: Outgoing) -> AsyncIterator[Link]:
        try:
            async with super().connect(will) as link:
                yield link
        except SentAwayError as lost:
            raise UplinkError("Unspecified error") from lost


@pytest.mark.parametrize("quarrel", [Quarrel, Feud])
def test_two_units_under_one_name_do_not_throw_each_other_out_all_the_time(quarrel: type[Quarrel]) -> None:
    async def work(_: VirtualClock) -> None:
        uplink = quarrel([])
        at, told = over(uplink), set[str | None]()
        async with running(at.deliver):
            for second in range(3600):
                at.store.add(*rows(1, f"load{second % 60}"))
                await asyncio.sleep(1)
                told.add(at.deliver.figures.error)
        # each of them is acknowledged something, which is no reason to come back sooner
        assert any(link.blocks for link in uplink.links)
        assert len(uplink.wills) < 60 * 4, len(uplink.wills)
        assert told & {"Session taken over", "Unspecified error"}

    virtually(work)
