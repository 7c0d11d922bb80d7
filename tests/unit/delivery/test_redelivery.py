"""The answers to the commands about the past, over a real store."""

from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dcu.delivery.redelivery import MAX_WANTED, Redelivery
from dcu.delivery.strikes import Key
from dcu.errors import CommandRejected
from dcu.messages.canonical import number, told
from dcu.model import Command
from dcu.store import Store
from tests.captures import SetClock, capture

NOON = 1_769_860_800


class Bench:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.wanted: deque[Key] = deque()
        self.woken = 0
        self.room = Redelivery(store, self.wanted, self.wake)

    def wake(self) -> None:
        self.woken += 1

    async def ask(self, name: str, **args: Any) -> Any:
        defaults = {"from_seq": 0, "to_seq": 1 << 53} if name == "dcu.resend" else {"after": ""}
        return await self.room.commands[name](Command("1", name, args={"stream": "load0", **defaults, **args}))


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with Store.open(tmp_path / "store.db", SetClock()) as store:
        await store.readings.record([capture(NOON + 900 * n) for n in range(6)], {})
        while (block := await store.outbox.next_block("load0", 2)) is not None:
            await store.outbox.acknowledge("load0", block.seq)
        yield Bench(store)


async def test_blocks_are_wanted_again_and_where_to_go_on_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = await bench.store.delivered.known("load0", 0, 1 << 53, 10)
    monkeypatch.setattr("dcu.delivery.redelivery.MAX_RESENT", 2)
    answer = await bench.ask("dcu.resend")
    assert answer == {"stream": "load0", "blocks": 2, "from_seq": first, "to_seq": second, "more": third}
    assert list(bench.wanted) == [("load0", first), ("load0", second)]
    assert bench.woken == 1
    answer = await bench.ask("dcu.resend", **{"from_seq": third, "from": NOON, "to": NOON + 86_400})
    assert answer == {"stream": "load0", "blocks": 1, "from_seq": third, "to_seq": third, "more": None}


async def test_what_waits_already_is_not_wanted_twice(bench: Bench) -> None:
    first, second, third = await bench.store.delivered.known("load0", 0, 1 << 53, 10)
    await bench.ask("dcu.resend", from_seq=second)
    answer = await bench.ask("dcu.resend")
    assert (answer["blocks"], answer["from_seq"], answer["to_seq"]) == (3, first, third)
    assert list(bench.wanted) == [("load0", second), ("load0", third), ("load0", first)]


async def test_what_waits_is_bounded(bench: Bench) -> None:
    bench.wanted.extend([("load0", 1)] * MAX_WANTED)
    with pytest.raises(CommandRejected, match="wait to be sent again"):
        await bench.ask("dcu.resend")


async def test_what_is_held_is_told_with_its_sums(bench: Bench) -> None:
    answer = await bench.ask("dcu.reconcile", **{"from": NOON, "to": NOON + 900})
    total = told(number(capture(NOON)) + number(capture(NOON + 900)))
    assert answer == {
        "stream": "load0",
        "from": "2026-01-31T12:00:00Z",
        "to": "2026-01-31T12:15:00Z",
        "captures": 2,
        "hash": total,
        "pending": 0,
        "meters": {"M1": {"captures": 2, "hash": total}},
        "more": None,
        "dropped": [],
        "more_dropped": False,
    }


async def test_meters_come_in_pages(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcu.delivery.redelivery.MAX_COMPARED", 1)
    await bench.store.readings.record([capture(NOON, "M2")], {})
    block = await bench.store.outbox.next_block("load0", 2)
    assert block is not None
    await bench.store.outbox.acknowledge("load0", block.seq)
    span = {"from": NOON, "to": NOON + 900}
    answer = await bench.ask("dcu.reconcile", **span)
    assert (list(answer["meters"]), answer["more"]) == (["M1"], "M1")
    answer = await bench.ask("dcu.reconcile", **span, after="M1")
    assert (list(answer["meters"]), answer["more"], answer["captures"]) == (["M2"], None, 3)
