"""The order of sending and the isolation of suspects, one step at a time; whole connections are in test_deliver."""

import asyncio
from typing import cast

from dcu.messages.envelope import Envelopes
from dcu.sending import BLOCK_OCTETS, MAX_ASIDE, SUSPECT_AFTER, Delivery, Sending, Strikes
from dcu.uplink import Link, Outgoing, Topics
from tests.outbox import FIRST_SEQ, Block, MemoryOutbox, capture, record


class TakingLink:
    """Acknowledges everything."""

    window = 20
    max_payload = 100_000

    def __init__(self) -> None:
        self.topics: list[str] = []
        self.sizes: list[int] = []

    async def publish(self, message: Outgoing) -> None:
        self.topics.append(message.topic)
        self.sizes.append(len(message.payload))


def make(store: MemoryOutbox, link: TakingLink, strikes: Strikes | None = None) -> Sending:
    return Sending(
        store=store,
        link=cast("Link", link),
        envelopes=Envelopes("D", "b"),
        topics=Topics("p", "D"),
        figures=Delivery(),
        strikes=strikes or Strikes(),
        proven=lambda: None,
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


async def test_blocks_come_to_the_size_they_aim_at() -> None:
    store, link = MemoryOutbox(), TakingLink()
    store.add(*[capture(f"M{n}", values=("x" * 100,)) for n in range(300)])
    sending = make(store, link)
    while await all_steps(sending):
        pass
    middle = link.sizes[1:-1]
    assert all(BLOCK_OCTETS * 0.7 < size <= BLOCK_OCTETS * 1.1 for size in middle), link.sizes


class BusyOutbox(MemoryOutbox):
    """Commits a row in the instant after it looked for one in vain."""

    def __init__(self) -> None:
        super().__init__()
        self.late = [capture()]
        self.released = asyncio.Event()

    async def acknowledge(self, stream: str, seq: int) -> None:
        await super().acknowledge(stream, seq)
        self.released.set()

    async def next_block(self, stream: str, limit: int) -> Block | None:
        found = await super().next_block(stream, limit)
        if found is None and self.late:
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
        async with asyncio.timeout(5):
            await store.released.wait()
        for task in tasks:
            task.cancel()
    assert store.acknowledged == [("load0", FIRST_SEQ)]


def test_a_block_is_suspect_after_enough_broken_connections() -> None:
    strikes = Strikes()
    for _ in range(SUSPECT_AFTER):
        assert not strikes.suspect(("load0", 1))
        strikes.blame(("load0", 1))
        strikes.blame(None)
    assert strikes.suspect(("load0", 1))
    strikes.clear(("load0", 1))
    assert not strikes.suspect(("load0", 1))


def test_too_many_suspects_acquit_all() -> None:
    strikes = Strikes()
    assert all(strikes.refuse(("load0", seq)) for seq in range(MAX_ASIDE))
    assert not strikes.refuse(("load0", MAX_ASIDE))
    assert not any(strikes.suspect(("load0", seq)) for seq in range(MAX_ASIDE + 1))
