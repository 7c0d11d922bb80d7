import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from dcu.messages.envelope import Envelopes
from dcu.model import LEAP, Dropped
from sim.broker import Broker
from sim.headend import HeadEnd, Tally
from tests.outbox import NOON, capture

ENVELOPES = Envelopes("D", "boot-1")
LATER = Envelopes("D", "boot-2")


def take(tally: Tally, seq: int, value: object = 1, at: int = NOON, envelopes: Envelopes = ENVELOPES) -> None:
    tally.take("data/load0", envelopes.block("load0", seq, [capture(at=at, values=(value,))], 100_000)[0])


def test_a_capture_comes_out_as_it_went_in() -> None:
    tally = Tally()
    take(tally, 1, b"\x00\xff")
    (received,) = tally.captures.values()
    assert received.key == ("M0001", "load0", NOON)
    assert received.values == (b"\x00\xff",)
    assert received.columns[0]["object"] == "1-0:1.8.0.255"
    assert (received.status, received.offset, received.trusted) == (0, -0.5, True)


def test_a_repeat_after_a_restart_is_a_duplicate_and_no_more() -> None:
    tally = Tally()
    take(tally, 1)
    take(tally, 1, envelopes=LATER)
    assert (tally.messages, len(tally.captures), tally.duplicates, tally.conflicts) == (2, 1, 1, 0)


def test_the_same_number_with_other_content_is_wrong() -> None:
    tally = Tally()
    take(tally, 1, 1)
    take(tally, 1, 2)
    assert tally.conflicts == 1
    assert [received.values for received in tally.captures.values()] == [(1,)]


def test_the_same_capture_with_other_values_is_wrong_under_any_number() -> None:
    tally = Tally()
    take(tally, 1, 1)
    take(tally, 2, 2)
    assert tally.conflicts == 1


@pytest.mark.parametrize("compact", [False, True])
def test_a_moment_that_a_meter_was_asked_for_twice_in_a_second_is_no_double_of_delivery(*, compact: bool) -> None:
    tally = Tally()
    first = replace(capture(stream="instant", at=NOON), read_at=NOON + 0.1)
    second = replace(first, read_at=NOON + 0.6)
    for seq, row in enumerate([first, second, first, second]):
        (payload,) = ENVELOPES.block("instant", seq, [row], 10_000, compact=compact)
        tally.take("data/instant", payload)
    assert (len(tally.captures), len(tally.again), tally.doubled, tally.conflicts) == (1, 1, 2, 0)


def test_holes_are_named() -> None:
    tally = Tally()
    for seq in (10, 11, 14, 16):
        take(tally, seq, at=NOON + seq)
    assert tally.holes() == {"load0": [12, 13, 15]}


def test_a_hole_that_was_told_of_is_none() -> None:
    tally = Tally()
    for seq, numbers in ((11, None), (1000, (14, 999))):
        word = Dropped("storage" if numbers is None else LEAP, 0, 0, 0, numbers)
        tally.take("data/load0", ENVELOPES.dropped("load0", seq, word))
    assert tally.holes() == {"load0": [12, 13]}
    assert len(tally.dropped) == 1


def test_events_are_listed_also_when_two_share_a_second() -> None:
    tally = Tally()
    events = [capture(stream="event.fraud", values=(code,)) for code in (40, 41)]
    tally.take("event", ENVELOPES.block("event.fraud", 1, events, 100_000)[0])
    assert [event.values for event in tally.events] == [(40,), (41,)]
    assert tally.conflicts == 0


@asynccontextmanager
async def answering(broker: Broker, reply: dict[str, Any]) -> AsyncIterator[None]:
    """A DCU that answers every command with "running", then with `reply`."""
    async with aiomqtt.Client(broker.host, broker.port, identifier="D") as client:
        await client.subscribe("ami/v1/D/command", qos=1)

        async def answer() -> None:
            async for seq, message in numbered(client):
                envelope = json.loads(message.payload)
                for number, state in enumerate(({"state": "running"}, reply)):
                    result = {
                        "dcu": "D",
                        "boot": "b",
                        "stream": "result",
                        "seq": 2 * seq + number,
                        "id": envelope["id"],
                    }
                    await client.publish("ami/v1/D/result", json.dumps(result | {"asked": envelope} | state), qos=1)

        task = asyncio.create_task(answer())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def numbered(client: aiomqtt.Client) -> AsyncIterator[tuple[int, aiomqtt.Message]]:
    number = 0
    async for message in client.messages:
        yield number, message
        number += 1


async def test_a_command_and_its_final_result(tmp_path: Path) -> None:
    async with Broker(tmp_path) as broker, HeadEnd(broker.host, broker.port, "D") as head:
        async with answering(broker, {"state": "done", "result": {"pong": 1}}):
            results = [await head.command("meter.read", "M0001", {"registers": True}) for _ in range(3)]
        assert [result["state"] for result in results] == ["done"] * 3
        assert len({result["id"] for result in results}) == 3
        assert results[0]["asked"]["targets"] == {"meters": ["M0001"]}
        assert len(head.latencies) == 3
        with pytest.raises(TimeoutError):
            await head.command("dcu.ping", patience=0.1)
        await broker.stop()
        with pytest.raises((aiomqtt.MqttError, TimeoutError)):
            await head.command("dcu.ping", patience=0.5)


def test_both_encodings_come_to_the_same() -> None:
    values: tuple[tuple[object, ...], ...] = ((17,), (b"\x01",), ("x",), (None,))
    captures = [capture(f"M{n % 7}", at=NOON + 900 * (n // 7), values=values[n % 4]) for n in range(50)]
    tallies = []
    for compact in (False, True):
        tally = Tally()
        for payload in Envelopes("D", "b").block("load0", 1, captures, 10**6, compact=compact):
            tally.take("data/load0", payload)
            tally.take("data/load0", payload)
        tallies.append(tally)
    assert tallies[0].captures == tallies[1].captures
    assert [(tally.duplicates, tally.conflicts) for tally in tallies] == [(1, 0), (1, 0)]
    assert len(tallies[1].captures) == 50
