"""The order of sending and the isolation of suspects, one step at a time; whole connections are in test_deliver."""

import asyncio
import math
from collections.abc import Mapping
from typing import cast

from dcu.config import StreamSettings, UplinkSettings
from dcu.delivery.awaiting import CAP
from dcu.delivery.dialect import Dialect
from dcu.delivery.sending import BLOCK_OCTETS, IDLE_BOUND, Delivery, Sending
from dcu.delivery.strikes import Strikes
from dcu.messages.envelope import Envelopes
from dcu.uplink import Link, Outgoing, Topics
from dcu.uplink.ways import QUIET, SHORT_DELAY
from sim.virtual import VirtualClock
from tests.lines import virtually
from tests.links import PLAIN, FixedClock, until
from tests.outbox import FIRST_SEQ, MemoryOutbox, capture, record


class TakingLink:
    """Acknowledges everything."""

    window = 20
    max_payload = 100_000
    resumed = True
    longest_delay = math.inf

    def __init__(self) -> None:
        self.topics: list[str] = []
        self.sizes: list[int] = []
        self.types: list[str | None] = []
        self.kept_back: set[str] = set()

    def admits(self, stream: str) -> bool:
        return stream not in self.kept_back

    async def publish(self, message: Outgoing) -> None:
        self.topics.append(message.topic)
        self.sizes.append(len(message.payload))
        self.types.append(message.content_type)


def make(
    store: MemoryOutbox,
    link: TakingLink,
    strikes: Strikes | None = None,
    streams: Mapping[str, StreamSettings] | None = None,
) -> Sending:
    return Sending(
        store=store,
        link=cast("Link", link),
        dialect=Dialect(Envelopes("D", "b"), Topics("p", "D"), FixedClock()),
        settings=UplinkSettings("broker", "D", streams=PLAIN if streams is None else streams).stream,
        figures=Delivery(),
        strikes=strikes or Strikes(),
        alive=lambda: None,
    )


async def all_steps(sending: Sending) -> int:
    steps = 0
    async with asyncio.TaskGroup() as group:
        while await sending.step(group):
            steps += 1
    return steps


async def test_step_by_step_the_most_urgent_first() -> None:
    store, link = MemoryOutbox(), TakingLink()
    store.add(capture(), capture(stream="event.standard", values=(1,)), record())
    assert await all_steps(make(store, link)) == 3
    assert link.topics == ["p/D/result", "p/D/event", "p/D/data/load0"]
    assert store.empty


async def test_what_cannot_be_told_or_has_no_topic_holds_nothing_up() -> None:
    store, link = MemoryOutbox(), TakingLink()
    store.add(capture(stream="event.dcu", values=(230, 231)), capture(stream="a/#"), capture())
    assert await all_steps(make(store, link)) == 3
    assert sorted(link.topics) == ["p/D/data/a__", "p/D/data/load0", "p/D/event"]
    assert store.empty


async def test_blocks_come_to_the_size_they_aim_at() -> None:
    store, link = MemoryOutbox(), TakingLink()
    store.add(*[capture(f"M{n}", values=("x" * 100,)) for n in range(300)])
    sending = make(store, link)
    while await all_steps(sending):
        pass
    middle = link.sizes[1:-1]
    assert all(BLOCK_OCTETS * 0.7 < size <= BLOCK_OCTETS * 1.1 for size in middle), link.sizes


async def test_data_waits_for_a_full_block_or_for_its_time_and_events_for_nothing() -> None:
    store, link = MemoryOutbox(), TakingLink()
    sending = make(store, link, streams={"load0": StreamSettings(compact=False, delay=0.05, rows=3)})
    store.add(capture(), capture(), capture(stream="event.fraud"))
    assert await all_steps(sending) == 1
    assert link.topics == ["p/D/event"]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(sending.follow()), group.create_task(sending.run(group))]
        began = asyncio.get_running_loop().time()
        await until(lambda: bool(store.acknowledged[1:]), turns=100_000)
        assert asyncio.get_running_loop().time() - began >= 0.04
        store.add(capture(), capture(), capture(), capture())
        await until(lambda: bool(store.acknowledged[2:]), turns=100)
        for task in tasks:
            task.cancel()
    assert [len(rows) for rows in store.rows.values()] == [1, 0]


def test_data_waits_no_longer_for_connections_that_break_first() -> None:
    async def scenario(_: VirtualClock) -> None:
        store, link, due = MemoryOutbox(), TakingLink(), dict[str, float]()
        store.add(capture())
        for _connection in range(2):
            sending = make(store, link, streams={"load0": StreamSettings(compact=False, delay=30.0, rows=3)})
            sending.due = due
            await for_some_time(sending, 20.0)
        assert store.empty
        assert not due

    virtually(scenario)


def test_before_a_sleep_everything_leaves() -> None:
    async def scenario(_: VirtualClock) -> None:
        store, link = MemoryOutbox(), TakingLink()
        link.longest_delay = SHORT_DELAY
        store.add(capture())
        sending = make(store, link, streams={"load0": StreamSettings(compact=False, delay=2 * QUIET, rows=3)})
        await for_some_time(sending, SHORT_DELAY - 1.0)
        assert not store.acknowledged
        await for_some_time(sending, 2.0)
        assert store.empty

    virtually(scenario)


async def for_some_time(sending: Sending, seconds: float) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(sending.follow()), group.create_task(sending.run(group))]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()


async def test_a_stream_is_sent_as_it_is_set() -> None:
    store, link = MemoryOutbox(), TakingLink()
    store.add(*[capture(f"M{n}", values=(n,)) for n in range(1000)])
    store.add(*[capture(f"M{n}", "load1", values=(n,)) for n in range(20)])
    sending = make(store, link, streams={"load0": StreamSettings(delay=0.0), "load1": StreamSettings(False, 0.0, 10)})
    assert await all_steps(sending) == 4
    sent = dict(zip(link.topics, link.types, strict=True))
    assert sent == {"p/D/data/load0": "application/vnd.dcu.block", "p/D/data/load1": "application/json"}
    assert [len(rows) for rows in store.rows.values()] == [0, 0]


class BusyOutbox(MemoryOutbox):
    """Commits a row in the instant after it counted none."""

    def __init__(self) -> None:
        super().__init__()
        self.late = [capture()]
        self.released = asyncio.Event()

    async def acknowledge(self, stream: str, seq: int) -> None:
        await super().acknowledge(stream, seq)
        self.released.set()

    async def waiting(self) -> Mapping[str, int]:
        found = await super().waiting()
        if self.late:
            self.add(self.late.pop())
            for _ in range(3):
                await asyncio.sleep(0)
        return found


async def test_a_commit_during_a_vain_look_is_not_missed() -> None:
    store, link = BusyOutbox(), TakingLink()
    store.rows["load0"] = []
    sending = make(store, link)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(sending.follow()), group.create_task(sending.run(group))]
        async with asyncio.timeout(30):
            await store.released.wait()
        for task in tasks:
            task.cancel()
    assert store.acknowledged == [("load0", FIRST_SEQ)]


async def test_data_that_a_channel_does_not_carry_waits_and_what_is_urgent_does_not() -> None:
    store, link = MemoryOutbox(), TakingLink()
    link.kept_back = {"load0"}
    store.add(capture(), capture(stream="daily"), capture(stream="event.standard", values=(1,)), record())
    sending = make(store, link)
    await all_steps(sending)
    assert link.topics == ["p/D/result", "p/D/event", "p/D/data/daily"]
    link.kept_back.clear()
    await all_steps(sending)
    assert link.topics[3:] == ["p/D/data/load0"]


async def test_what_was_asked_for_again_goes_behind_everything_else() -> None:
    store, link = MemoryOutbox(), TakingLink()
    sending = make(store, link)
    store.add(capture())
    assert await all_steps(sending) == 1
    sending = make(store, link)
    sending.wanted.append(("load0", FIRST_SEQ))
    store.add(capture(stream="load1"), record())
    assert await all_steps(sending) == 3
    assert link.topics[1:] == ["p/D/result", "p/D/data/load1", "p/D/data/load0"]


async def test_what_was_asked_for_again_of_a_stream_that_may_not_leave_holds_up_no_other() -> None:
    store, link = MemoryOutbox(), TakingLink()
    store.add(capture(), capture(stream="load1"))
    assert await all_steps(make(store, link)) == 2
    sending = make(store, link)
    link.kept_back = {"load1"}
    sending.wanted.extend([("load1", FIRST_SEQ), ("load0", FIRST_SEQ)])
    assert await all_steps(sending) == 1
    assert link.topics[2:] == ["p/D/data/load0"]
    assert list(sending.wanted) == [("load1", FIRST_SEQ)]
    link.kept_back.clear()
    assert await all_steps(sending) == 1
    assert not sending.wanted


def test_what_the_head_end_leaves_without_a_word_goes_out_again() -> None:
    async def scenario(_: VirtualClock) -> None:
        store, link = MemoryOutbox(), TakingLink()
        sending = make(store, link)
        sending.awaiting.patience = 600.0
        store.add(capture(), capture("M2", "load1"))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(sending.run(group))
            await asyncio.sleep(599.0)
            assert sorted(link.topics) == ["p/D/data/load0", "p/D/data/load1"]
            await store.acknowledge_to({"load1": FIRST_SEQ})
            sending.acknowledged({"load1": FIRST_SEQ})
            await asyncio.sleep(IDLE_BOUND + 2.0)
            assert link.topics[2:] == ["p/D/data/load0"]
            await store.acknowledge_to({"load0": FIRST_SEQ})
            sending.acknowledged({"load0": FIRST_SEQ})
            await asyncio.sleep(2 * CAP)
            task.cancel()
        assert len(link.topics) == 3
        assert store.empty

    virtually(scenario)
